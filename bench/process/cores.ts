/**
 * Which core the server runs on and which the generator runs on. Pinning needs
 * taskset (util-linux) and two allowed cores; without them the figures are
 * still printed, with a warning, because the two then disturb one another.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface Cores {
  /** Undefined: not pinned. */
  readonly server: number | undefined;
  readonly generator: number | undefined;
  /** Why nothing is pinned; undefined when it is. */
  readonly warning: string | undefined;
}

export function chooseCores(): Cores {
  const allowed = allowedCores();
  if (allowed.length < 2) return unpinned("only one core is available");
  if (spawnSync("taskset", ["--version"]).error) return unpinned("taskset is not installed");
  return { server: allowed[0], generator: allowed[1], warning: undefined };
}

/**
 * Whether generators have less than a core each, beside the harness and, where it is here too, the node: one that
 * polls would keep the others from their work.
 */
export function mustSleep(
  processes: number,
  isNodeHere: boolean,
  cores: readonly number[] | undefined,
): boolean {
  if (cores !== undefined) return new Set(cores).size < processes;
  return allowedCores().length < processes + (isNodeHere ? 2 : 1);
}

function unpinned(reason: string): Cores {
  return {
    server: undefined,
    generator: undefined,
    warning: `${reason}: server and generator are not pinned and disturb one another`,
  };
}

/** The cores this process may use, from /proc; empty where there is none. */
function allowedCores(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    return parseCoreList(list);
  } catch {
    return [];
  }
}

/** `0-1,4` → [0, 1, 4]. */
export function parseCoreList(list: string): number[] {
  const cores: number[] = [];
  for (const part of list.split(",").filter((text) => text !== "")) {
    const [first = 0, last = first] = part.split("-").map(Number);
    for (let core = first; core <= last; core++) cores.push(core);
  }
  return cores;
}

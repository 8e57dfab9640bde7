/**
 * What a server process that cannot be asked has used: read from /proc by the
 * harness, over all its threads and all its children. Linux only.
 *
 * The kernel counts in ticks of 10 ms, rounded down per process: in a window of
 * three seconds on a busy core that is less than one part in a hundred.
 */
import { readdirSync, readFileSync } from "node:fs";
import { sharedMs } from "../process/clock.js";
import { diskWrittenBytes, type ServerSnapshot } from "./server-telemetry.js";

/** USER_HZ, which is 100 wherever Node runs. */
const TICK_US = 10_000;

/** One line of /proc/<pid>/stat (proc(5)). */
export interface ProcessStat {
  readonly parent: number;
  /** Of all its threads, and of children that have ended and were waited for. */
  readonly userTicks: number;
  readonly systemTicks: number;
}

/** The process with this id and everything it has started. Its event loop, if any, cannot be seen. */
export function snapshotOf(pid: number): ServerSnapshot {
  const family = familyOf(pid, allProcesses());
  const snapshotAt = sharedMs();
  const sumOf = (pick: (stat: ProcessStat) => number) =>
    family.reduce((sum, [, stat]) => sum + pick(stat), 0);
  return {
    sharedMs: snapshotAt,
    cpuUserUs: TICK_US * sumOf(({ userTicks }) => userTicks),
    cpuSystemUs: TICK_US * sumOf(({ systemTicks }) => systemTicks),
    rssBytes: family.reduce((sum, [id]) => sum + residentBytes(id), 0),
    heapBytes: 0,
    externalBytes: 0,
    loopDelayP99Ms: 0,
    loopDelayMaxMs: 0,
    gcPauseMs: 0,
    gcPauseMaxMs: 0,
    diskWrittenBytes: family.reduce((sum, [id]) => sum + (diskWrittenBytes(id) ?? 0), 0),
  };
}

/** The name in parentheses may hold anything, parentheses too: fields count from the last one. */
export function parseStat(line: string): ProcessStat {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return {
    parent: field(4),
    userTicks: field(14) + field(16),
    systemTicks: field(15) + field(17),
  };
}

/** A process and its descendants. */
export function familyOf(
  pid: number,
  processes: ReadonlyMap<number, ProcessStat>,
): (readonly [number, ProcessStat])[] {
  const own = processes.get(pid);
  if (own === undefined) return [];
  const children = [...processes].filter(([, { parent }]) => parent === pid).map(([id]) => id);
  return [[pid, own], ...children.flatMap((child) => familyOf(child, processes))];
}

function allProcesses(): Map<number, ProcessStat> {
  const found = new Map<number, ProcessStat>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const line = readOrNothing(`/proc/${pid}/stat`);
    if (line !== "") found.set(pid, parseStat(line));
  }
  return found;
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readOrNothing(`/proc/${pid}/status`))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** A process may end between being listed and being read. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

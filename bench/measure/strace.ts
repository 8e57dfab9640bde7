/**
 * System calls per delivered message, by name: the steadiest measure there is on
 * a noisy machine. `strace -c -f` is attached to a server under load for a few
 * seconds. It slows the server several times, so larger batches form than
 * without it; that is why this is a pass of its own and no figure of another
 * pass is taken under it.
 */
import { spawn, spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { sharedMs } from "../process/clock.js";

export interface SystemCalls {
  readonly fromMs: number;
  readonly toMs: number;
  readonly calls: ReadonlyMap<string, number>;
}

export function hasStrace(): boolean {
  return spawnSync("strace", ["-V"]).status === 0;
}

/** Attaches to `pid` and all its threads for `windowMs`; the summary goes through `file`. */
export async function countSystemCalls(pid: number, windowMs: number, file: string): Promise<SystemCalls> {
  const strace = spawn("strace", ["-c", "-f", "-o", file, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  const ended = new Promise<void>((resolve) => strace.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    strace.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("attached")) resolve();
    });
    strace.once("error", reject);
    strace.once("exit", () => reject(new Error(`strace could not attach: ${said.trim()}`)));
  });
  const fromMs = sharedMs();
  await sleep(windowMs);
  const toMs = sharedMs();
  strace.kill("SIGINT");
  await ended;
  return { fromMs, toMs, calls: parseSummary(await readFile(file, "utf8")) };
}

/** The rows of `strace -c`: share, seconds, µs per call, calls, errors or nothing, name. */
export function parseSummary(text: string): Map<string, number> {
  const calls = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z_]\w*)\s*$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined && match[2] !== "total") {
      calls.set(match[2], Number(match[1]));
    }
  }
  return calls;
}

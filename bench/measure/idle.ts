/**
 * Memory per idle connection: resident memory of the server process before and
 * after a number of devices have connected, signed in and fallen silent.
 *
 * Tokens are minted by an earlier process on the same data, so that the memory
 * minting takes does not hide in the reading before. Garbage is collected before
 * each reading, so that what sign-in threw away does not count.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { chooseCores } from "../process/cores.js";
import type { System } from "../systems/system.js";
import type { IdleWorkload } from "../workloads/workloads.js";
import { Contestant } from "./contestant.js";
import { withScratchDirectory } from "./scratch-directory.js";

export interface IdleResult {
  readonly system: string;
  readonly connections: number;
  readonly rssBeforeBytes: number;
  readonly rssAfterBytes: number;
  readonly bytesPerConnection: number;
  /** The part that is no file mapped into memory, where the system tells (Linux); else null. */
  readonly anonymousBytesPerConnection: number | null;
  /** From the first connection to the last sign-in. */
  readonly connectMs: number;
}

interface IdleRun {
  readonly workload: IdleWorkload;
  readonly system: System;
  readonly dataDirectory: string;
}

export function runIdle(run: IdleRun): Promise<IdleResult> {
  return withScratchDirectory(run.dataDirectory, (directory) => measureIdle(run, directory));
}

async function measureIdle({ workload, system }: IdleRun, directory: string): Promise<IdleResult> {
  const { connections, settleMs } = workload;
  const cores = chooseCores();
  const minting = await system.start({ core: cores.server, directory });
  const dialect = await minting.dialectFor(connections);
  await minting.stop();
  const contestant = await Contestant.start(system, {
    cores,
    directory,
    devices: connections,
    dialect,
    payloadBytes: 16,
    seed: 1,
    unreceiptedPerDeviceMax: 1,
    senders: 0,
    exposeGc: true,
  });
  try {
    const before = await settledMemory(contestant, settleMs);
    const from = performance.now();
    await contestant.open({ from: 0, to: connections });
    const connectMs = performance.now() - from;
    const after = await settledMemory(contestant, settleMs);
    return {
      system: system.name,
      connections,
      rssBeforeBytes: before.rssBytes,
      rssAfterBytes: after.rssBytes,
      bytesPerConnection: (after.rssBytes - before.rssBytes) / connections,
      anonymousBytesPerConnection:
        before.anonymousBytes === null || after.anonymousBytes === null
          ? null
          : (after.anonymousBytes - before.anonymousBytes) / connections,
      connectMs,
    };
  } finally {
    await contestant.stop();
  }
}

async function settledMemory({ server }: Contestant, settleMs: number) {
  await sleep(settleMs);
  const { rssBytes } = await server.snapshot({ collect: true });
  return { rssBytes, anonymousBytes: anonymousBytes(server.pid) };
}

function anonymousBytes(pid: number): number | null {
  try {
    const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}

/** System calls per delivered message of several systems: one contestant after the other, under strace. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Contestant } from "./contestant.js";
import { roundMs } from "./durations.js";
import { type PairsRun, withContestants } from "./pairs.js";
import { withScratchDirectory } from "./scratch-directory.js";
import { countSystemCalls } from "./strace.js";

export interface SystemCallsResult {
  readonly system: string;
  readonly inFlight: number;
  /** Messages delivered while strace was attached. */
  readonly delivered: number;
  readonly callsPerMessage: number;
  /** By name, most frequent first. */
  readonly byName: Readonly<Record<string, number>>;
}

export async function runSystemCalls(run: PairsRun): Promise<SystemCallsResult[]> {
  return withContestants(run, async (contestants) => {
    const results: SystemCallsResult[] = [];
    for (const inFlight of run.workload.inFlight) {
      for (const contestant of contestants) {
        run.onProgress(
          `system calls, ${inFlight} in flight: ${contestant.system.name}`,
          roundMs(run.workload),
        );
        results.push(await countFor(run, contestant, inFlight));
      }
    }
    return results;
  });
}

async function countFor(run: PairsRun, contestant: Contestant, inFlight: number): Promise<SystemCallsResult> {
  const { warmUpMs, windowMs, drainMs } = run.workload;
  const { generator, server, system } = contestant;
  await generator.request("circulate", { inFlight });
  await sleep(warmUpMs);
  const { fromMs, toMs, calls } = await withScratchDirectory(run.dataDirectory, (directory) =>
    countSystemCalls(server.pid, windowMs, join(directory, "summary")),
  );
  const { delivered } = await contestant.finish({ fromMs, toMs, drainMs });
  const ordered = [...calls].sort(([, a], [, b]) => b - a);
  return {
    system: system.name,
    inFlight,
    delivered: Math.round(delivered),
    callsPerMessage: ordered.reduce((sum, [, count]) => sum + count, 0) / delivered,
    byName: Object.fromEntries(ordered.map(([name, count]) => [name, count / delivered])),
  };
}

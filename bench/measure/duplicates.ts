/**
 * Pairs in which a share of the sends is made again under the same id, beside
 * plain pairs on the same node, in alternating rounds. A repeat must be answered
 * and must not be delivered: what comes twice is counted as duplicated.
 */
import type { OnProgress } from "../report/progress.js";
import type { System } from "../systems/system.js";
import type { DuplicatesWorkload } from "../workloads/workloads.js";
import type { Contestant } from "./contestant.js";
import { roundMs } from "./durations.js";
import { withContestants } from "./pairs.js";
import { type Round, runRound, seenIn } from "./round.js";
import { type Row, rowOf } from "./row.js";
import { spread } from "./statistics.js";

export interface DuplicatesResult {
  readonly inFlight: number;
  readonly seed: number;
  readonly repeatedShare: number;
  /** Repeats per message sent, as they were made. */
  readonly repeatedPerMsg: number;
  /** Server CPU per delivered message, to plain pairs': median of neighbouring rounds, least and most. */
  readonly ratioToPlain: number;
  readonly ratioToPlainMin: number;
  readonly ratioToPlainMax: number;
  readonly plain: Row;
  readonly repeating: Row;
}

interface DuplicatesRun {
  readonly workload: DuplicatesWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

export function runDuplicates(run: DuplicatesRun): Promise<DuplicatesResult[]> {
  return withContestants({ ...run, systems: [run.system] }, async ([contestant]) => {
    const results: DuplicatesResult[] = [];
    if (contestant === undefined) return results;
    for (const inFlight of run.workload.inFlight) results.push(await alternate(run, contestant, inFlight));
    return results;
  });
}

async function alternate(
  { workload, system, onProgress }: DuplicatesRun,
  contestant: Contestant,
  inFlight: number,
): Promise<DuplicatesResult> {
  const { repeatedShare, repeatedAfterSends, seed } = workload;
  const repeats = { share: repeatedShare, afterSends: repeatedAfterSends };
  const plain: Round[] = [];
  const repeating: Round[] = [];
  for (let i = 1; i <= workload.rounds; i++) {
    const expectedMs = 2 * roundMs(workload);
    onProgress(
      `${workload.name}, ${inFlight} in flight: round ${i} of ${workload.rounds}`,
      expectedMs,
      seenIn(repeating.at(-1)),
    );
    plain.push(await runRound(contestant, { ...workload, inFlight }));
    repeating.push(await runRound(contestant, { ...workload, inFlight, repeats }));
  }
  const { devices, payloadBytes } = workload;
  const row = (name: string, rounds: readonly Round[]) =>
    rowOf({ workload: name, inFlight, devices, payloadBytes, system, rounds, bare: undefined });
  const ratio = spread(repeating.map((round, i) => round.serverCpuUsPerMsg / plain[i]!.serverCpuUsPerMsg));
  const sumOf = (pick: (round: Round) => number) => repeating.reduce((sum, round) => sum + pick(round), 0);
  return {
    inFlight,
    seed,
    repeatedShare,
    repeatedPerMsg: sumOf(({ repeated }) => repeated) / sumOf(({ sent }) => sent),
    ratioToPlain: ratio.median,
    ratioToPlainMin: ratio.min,
    ratioToPlainMax: ratio.max,
    plain: row("plain", plain),
    repeating: row(workload.name, repeating),
  };
}

/**
 * A pairs workload over several systems in one run: all are started, then for
 * each number in flight the rounds alternate, A B A B …, and become rows.
 */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import { bareRelay } from "../systems/bare-relay.js";
import type { System } from "../systems/system.js";
import type { PairsWorkload } from "../workloads/workloads.js";
import { Contestant } from "./contestant.js";
import { connectingMs, roundMs } from "./durations.js";
import { type Round, runRound, seenIn } from "./round.js";
import { type Row, rowOf } from "./row.js";
import { withScratchDirectory } from "./scratch-directory.js";

export interface PairsRun {
  readonly workload: PairsWorkload;
  readonly systems: readonly System[];
  /** A directory in which each system gets one of its own. */
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

/** A sender without receipts for this many rounds of its messages is not measured but stuck. */
const UNRECEIPTED_PER_IN_FLIGHT = 32;
const UNRECEIPTED_MIN = 1024;

/** Starts all systems, gives them to `use`, and stops them and removes their data whatever happens. */
export async function withContestants<T>(
  run: PairsRun,
  use: (contestants: readonly Contestant[]) => Promise<T>,
): Promise<T> {
  return withScratchDirectory(run.dataDirectory, (directory) => withContestantsIn(directory, run, use));
}

async function withContestantsIn<T>(
  directory: string,
  run: PairsRun,
  use: (contestants: readonly Contestant[]) => Promise<T>,
): Promise<T> {
  const { workload, systems, onProgress } = run;
  const contestants: Contestant[] = [];
  try {
    for (const system of systems) {
      onProgress(`${system.name}: connecting ${workload.devices} devices`, connectingMs(workload.devices));
      const contestant = await Contestant.start(system, {
        cores: chooseCores(),
        directory: await mkdtemp(join(directory, `${system.name}-`)),
        devices: workload.devices,
        payloadBytes: workload.payloadBytes,
        seed: workload.seed,
        unreceiptedPerDeviceMax: Math.max(
          UNRECEIPTED_MIN,
          UNRECEIPTED_PER_IN_FLIGHT * Math.max(...workload.inFlight),
        ),
      });
      contestants.push(contestant);
      const everybody = { from: 0, to: workload.devices };
      await contestant.open(everybody);
      await contestant.learnRosters(0, everybody);
    }
    return await use(contestants);
  } finally {
    await Promise.allSettled(contestants.map((contestant) => contestant.stop()));
  }
}

/** One row per number in flight and system. */
export async function runPairs(run: PairsRun): Promise<Row[]> {
  return withContestants(run, async (contestants) => {
    const rows: Row[] = [];
    for (const inFlight of run.workload.inFlight) rows.push(...(await alternate(run, contestants, inFlight)));
    return rows;
  });
}

async function alternate(
  run: PairsRun,
  contestants: readonly Contestant[],
  inFlight: number,
): Promise<Row[]> {
  const { workload } = run;
  const rounds = new Map<Contestant, Round[]>(contestants.map((contestant) => [contestant, []]));
  let last: Round | undefined;
  for (let i = 1; i <= workload.rounds; i++) {
    for (const contestant of contestants) {
      run.onProgress(
        `${workload.name}, ${inFlight} in flight: round ${i} of ${workload.rounds}, ${contestant.system.name}`,
        roundMs(workload),
        seenIn(last),
      );
      last = await runRound(contestant, { ...workload, inFlight });
      rounds.get(contestant)?.push(last);
    }
  }
  const bare = contestants.find(({ system }) => system === bareRelay);
  return contestants.map((contestant) =>
    rowOf({
      workload: workload.name,
      inFlight,
      devices: workload.devices,
      payloadBytes: workload.payloadBytes,
      system: contestant.system,
      rounds: rounds.get(contestant) ?? [],
      bare: bare && rounds.get(bare),
    }),
  );
}

/**
 * A day's traffic in small: most sends go to one device, some to groups of a few, few to groups of a thousand, of
 * lengths as people's messages have them, at times that a seeded schedule has fixed; a fifth of the devices comes and
 * goes meanwhile, and drains what was queued (generator/mix.ts, generator/churn.ts). What counts is what those notice
 * who are connected, how soon those who come back have what they missed, and what a delivery costs the server.
 *
 * At the end of each round everybody comes back, and every delivery is accounted for.
 */
import type { ArrivalOptions } from "../generator/arrivals.js";
import { Mix } from "../generator/mix.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { System } from "../systems/system.js";
import type { MixedWorkload } from "../workloads/workloads.js";
import { type ArrivalRound, generatorWasLimit, runArrivals } from "./arrival-round.js";
import { Contestant } from "./contestant.js";
import { connectingMs, roundMs } from "./durations.js";
import { seenIn } from "./round.js";
import { type Row, rowOf } from "./row.js";
import { withScratchDirectory } from "./scratch-directory.js";
import { median } from "./statistics.js";

export interface MixedResult {
  readonly seed: number;
  readonly scheduleHash: string;
  /** Sends offered per second, whatever the system does, and what comes of each on average. */
  readonly ratePerSec: number;
  readonly deliveriesPerSend: number;
  readonly groups: number;
  /** Devices that come and go, out of the row's devices; and those away at a time, as a share of all. */
  readonly churningDevices: number;
  readonly awayShare: number;
  readonly payloadMedianBytes: number;
  readonly payloadBytesMax: number;
  /** In the windows of all rounds; and the entries that one return drained, on average. */
  readonly returns: number;
  readonly drainedPerReturn: number;
  /** From the moment a send was meant for to the moment the generator had handed it to a socket: the worst of the rounds. */
  readonly generatorLagP99Ms: number;
  readonly generatorLagMaxMs: number;
  /** Cores' worth of other work on the machine, median; null off Linux. */
  readonly othersBusy: number | null;
  /** Due at a window's end and not sent, over all rounds. */
  readonly unsent: number;
  /** Latencies of deliveries are those of devices that are connected throughout; payloadBytes is the mean. */
  readonly row: Row;
}

interface MixedRun {
  readonly workload: MixedWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

/** Sends of one device without a receipt: beyond what any rate here has. */
const UNRECEIPTED_MAX = 256;

export function runMixed(run: MixedRun): Promise<MixedResult> {
  return withScratchDirectory(run.dataDirectory, async (directory) => {
    const { workload, system, onProgress } = run;
    const mix = mixOf(workload);
    const { devices, senders, seed } = mix.options;
    onProgress(`${workload.name}: connecting ${devices} devices`, connectingMs(devices));
    const contestant = await Contestant.start(system, {
      cores: chooseCores(),
      directory,
      devices,
      senders,
      payloadBytes: Math.round(mix.meanBytes),
      seed,
      unreceiptedPerDeviceMax: UNRECEIPTED_MAX,
      manners: { readyWhenLive: true },
      mix,
    });
    try {
      await contestant.open({ from: 0, to: devices });
      await contestant.learnRosters(0, { from: 0, to: devices });
      return resultOf(run, mix, await rounds(run, contestant));
    } finally {
      await contestant.stop();
    }
  });
}

function mixOf({ devices, churningDevices, groups, sizes, seed }: MixedWorkload): Mix {
  return new Mix({ devices, senders: devices - churningDevices, seed, kinds: groups, sizes });
}

async function rounds({ workload, onProgress }: MixedRun, contestant: Contestant): Promise<ArrivalRound[]> {
  const { devices, churningDevices, ratePerSec, seed, thereMs, awayMs } = workload;
  const done: ArrivalRound[] = [];
  for (let i = 1; i <= workload.rounds; i++) {
    onProgress(
      `${workload.name}: round ${i} of ${workload.rounds}`,
      roundMs(workload),
      seenIn(done.at(-1)?.round),
    );
    const comeAndGo = { from: devices - churningDevices, to: devices, thereMs, awayMs, seed };
    const arrivals: ArrivalOptions = {
      ratePerSec,
      devices,
      seed,
      churn: { ...comeAndGo, port: contestant.server.port },
    };
    done.push(await runArrivals(contestant, arrivals, workload));
  }
  return done;
}

function resultOf({ workload, system }: MixedRun, mix: Mix, done: readonly ArrivalRound[]): MixedResult {
  const { devices, churningDevices, ratePerSec, thereMs, awayMs } = workload;
  const row = rowOf({
    workload: workload.name,
    inFlight: 0,
    devices,
    payloadBytes: Math.round(mix.meanBytes),
    system,
    // Its CPU time would count its polling.
    rounds: done.map(({ round, window }) => ({ ...round, generatorBusy: window.busy })),
    bare: undefined,
  });
  const sumOf = (pick: (one: ArrivalRound) => number) => done.reduce((sum, one) => sum + pick(one), 0);
  const returns = sumOf(({ round }) => round.returns ?? 0);
  const busy = done.map(({ othersBusy }) => othersBusy).filter((value) => value !== null);
  return {
    seed: workload.seed,
    scheduleHash: mix.hash(),
    ratePerSec,
    deliveriesPerSend: mix.deliveriesPerSend,
    groups: mix.groups.length,
    churningDevices,
    awayShare: (churningDevices / devices) * (awayMs / (awayMs + thereMs)),
    payloadMedianBytes: workload.sizes.medianBytes,
    payloadBytesMax: workload.sizes.bytesMax,
    returns,
    drainedPerReturn: returns === 0 ? 0 : sumOf(({ round }) => round.drained ?? 0) / returns,
    generatorLagP99Ms: Math.max(...done.map(({ window }) => window.lagP99Ms)),
    generatorLagMaxMs: Math.max(...done.map(({ window }) => window.lagMaxMs)),
    othersBusy: busy.length === 0 ? null : median(busy),
    unsent: sumOf(({ window }) => window.unsent),
    row: { ...row, generatorWasLimit: done.some(generatorWasLimit) },
  };
}

/**
 * Open loop: first the highest rate that a system sustains (sustainable-rate.ts), then
 * what it does at parts of that, in several rounds over all of them.
 */
import type { Percentiles } from "../generator/latency.js";
import { scheduleHash } from "../generator/schedule.js";
import { chooseCores } from "../process/cores.js";
import type { Figures, OnProgress } from "../report/progress.js";
import type { System } from "../systems/system.js";
import type { OpenLoopWorkload } from "../workloads/workloads.js";
import { type ArrivalRound, generatorWasLimit, runArrivals } from "./arrival-round.js";
import { Contestant } from "./contestant.js";
import { roundMs } from "./durations.js";
import { withScratchDirectory } from "./scratch-directory.js";
import { median, spread } from "./statistics.js";
import { ATTEMPTS, findSustainable, isSustained } from "./sustainable-rate.js";

export type Latency = Omit<Percentiles, "count">;

/**
 * Figures are medians of the rounds, percentiles too: one slow moment of the machine is one round.
 * Counts are sums of all rounds.
 */
export interface OpenLoopRate {
  /** Of the sustainable rate. */
  readonly share: number;
  readonly ratePerSec: number;
  /** Those that have figures. */
  readonly rounds: number;
  readonly achievedPerSec: number;
  /** From the moment a send was meant for to the moment its payload was read. */
  readonly delivery: Latency;
  /** Of the rounds. */
  readonly deliveryP99MsMin: number;
  readonly deliveryP99MsMax: number;
  /** From the same moment to the receipt that covers the send; null for a system without receipts. */
  readonly receipt: Latency | null;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
  readonly unreceipted: number;
  readonly refused: number;
  /** Shares of a core; the generator's without its polling. */
  readonly serverBusy: number;
  readonly generatorBusy: number;
  /** Cores' worth of other work on this machine in the window (interrupts and stolen time too); null off Linux. */
  readonly othersBusy: number | null;
  /** From the moment a send was meant for to the moment the generator had handed it to a socket. */
  readonly generatorLagP99Ms: number;
  readonly generatorLagMaxMs: number;
  /** From the poll that found a socket ready to its read. */
  readonly generatorReadLagP99Ms: number;
  /** In half of the rounds at least. */
  readonly generatorWasLimit: boolean;
  readonly serverLoopDelayP99Ms: number;
  readonly serverLoopDelayMaxMs: number;
  readonly serverGcShare: number;
  readonly serverGcPauseMaxMs: number;
  /** As in a row. */
  readonly diskBytesPerMsg: number | null;
  readonly flushesPerSec: number | null;
  /** Due at the window's end and not sent. */
  readonly unsent: number;
  /** In a round half a second's sends were overdue and the arrivals ended: its figures are of what came before. */
  readonly gaveUp: boolean;
}

/** One window of the search. */
export interface OpenLoopTrial {
  readonly ratePerSec: number;
  readonly windowMs: number;
  readonly isSustained: boolean;
  readonly deliveryP99Ms: number | null;
  /** Means of the window's halves. */
  readonly backlogFirstHalf: number;
  readonly backlogSecondHalf: number;
  readonly othersBusy: number | null;
  readonly generatorWasLimit: boolean;
}

export interface OpenLoopResult {
  readonly system: string;
  readonly devices: number;
  readonly payloadBytes: number;
  readonly seed: number;
  readonly scheduleHash: string;
  /** With an empty search: another system's, at parts of which this one was measured. */
  readonly sustainablePerSec: number;
  /** The generator, not the system, ended the search: the system may sustain more. */
  readonly generatorWasLimit: boolean;
  readonly search: readonly OpenLoopTrial[];
  readonly rates: readonly OpenLoopRate[];
}

export interface OpenLoopRun {
  readonly workload: OpenLoopWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
  /** Nothing is searched: the rates are parts of this one, which another system sustains. */
  readonly ofPerSec?: number;
}

/** Sends of one device without a receipt: beyond what any sustained rate has. */
const UNRECEIPTED_MAX = 1024;
/** Arrivals end when so much of a second's sends are overdue or under way: the rate is not sustained. */
const BACKLOG_SECONDS_MAX = 0.5;

export function runOpenLoop(run: OpenLoopRun): Promise<OpenLoopResult> {
  return withScratchDirectory(run.dataDirectory, async (directory) => {
    const { devices, payloadBytes, seed } = run.workload;
    const contestant = await Contestant.start(run.system, {
      cores: chooseCores(),
      directory,
      devices,
      payloadBytes,
      seed,
      unreceiptedPerDeviceMax: UNRECEIPTED_MAX,
    });
    try {
      await contestant.open({ from: 0, to: devices });
      await contestant.learnRosters(0, { from: 0, to: devices });
      return await measureOpenLoop(run, contestant);
    } finally {
      await contestant.stop();
    }
  });
}

async function measureOpenLoop(run: OpenLoopRun, contestant: Contestant): Promise<OpenLoopResult> {
  const { workload, system, ofPerSec, onProgress } = run;
  const search: OpenLoopTrial[] = [];
  const trial = async (ratePerSec: number, windowMs: number): Promise<boolean> => {
    onProgress(
      `${workload.name}: does ${system.name} sustain ${ratePerSec}/s?`,
      roundMs({ ...workload, windowMs }),
      seenAt(search.at(-1)),
    );
    const arrivals = await arriveAt(contestant, workload, ratePerSec, windowMs);
    const tried = trialRow(arrivals, ratePerSec, workload);
    search.push(tried);
    return tried.isSustained;
  };
  const sustainablePerSec = ofPerSec ?? (await findSustainable(workload, trial));
  if (sustainablePerSec === 0) {
    throw new Error(`${system.name} did not sustain even ${workload.searchFromPerSec} sends per second`);
  }
  const limit = search
    .filter(({ isSustained }) => !isSustained)
    .sort((a, b) => a.ratePerSec - b.ratePerSec)[0];
  const rates = workload.shares.map((share) => ({
    share,
    ratePerSec: Math.round(share * sustainablePerSec),
    rounds: [] as ArrivalRound[],
  }));
  let seen: Figures | undefined;
  for (let round = 0; round < workload.rounds; round++) {
    for (const { ratePerSec, rounds } of rates) {
      onProgress(`${workload.name}: ${system.name} at ${ratePerSec}/s`, roundMs(workload), seen);
      let latest = await arriveAt(contestant, workload, ratePerSec, workload.windowMs);
      for (let again = 1; again < ATTEMPTS && latest.window.gaveUp; again++) {
        latest = await arriveAt(contestant, workload, ratePerSec, workload.windowMs);
      }
      rounds.push(latest);
      seen = { perSec: ratePerSec, p99Ms: latest.delivery?.p99Ms ?? null };
    }
  }
  return {
    system: system.name,
    devices: workload.devices,
    payloadBytes: workload.payloadBytes,
    seed: workload.seed,
    scheduleHash: scheduleHash(workload.seed, workload.devices),
    sustainablePerSec,
    generatorWasLimit: search.length > 0 && (limit === undefined || limit.generatorWasLimit),
    search,
    rates: rates.map(rateRow),
  };
}

function trialRow(
  arrivals: ArrivalRound,
  ratePerSec: number,
  { deliveryP99MsMax }: OpenLoopWorkload,
): OpenLoopTrial {
  const { window, delivery, othersBusy } = arrivals;
  return {
    ratePerSec,
    windowMs: window.windowMs,
    isSustained: isSustained(arrivals, ratePerSec, deliveryP99MsMax),
    deliveryP99Ms: delivery?.p99Ms ?? null,
    backlogFirstHalf: window.backlogFirstHalf,
    backlogSecondHalf: window.backlogSecondHalf,
    othersBusy,
    generatorWasLimit: generatorWasLimit(arrivals),
  };
}

/** For progress: what the rate before showed. */
function seenAt(trial: OpenLoopTrial | undefined): Figures | undefined {
  return trial && { perSec: trial.ratePerSec, p99Ms: trial.deliveryP99Ms };
}

function arriveAt(
  contestant: Contestant,
  { devices, seed, warmUpMs, drainMs }: OpenLoopWorkload,
  ratePerSec: number,
  windowMs: number,
): Promise<ArrivalRound> {
  const arrivals = { ratePerSec, devices, seed, backlogSecondsMax: BACKLOG_SECONDS_MAX };
  return runArrivals(contestant, arrivals, { warmUpMs, windowMs, drainMs });
}

interface MeasuredRate {
  readonly share: number;
  readonly ratePerSec: number;
  readonly rounds: readonly ArrivalRound[];
}

/** A round whose arrivals ended before its window began has no figures. */
function rateRow({ share, ratePerSec, rounds }: MeasuredRate): OpenLoopRate {
  const measured = rounds.filter(({ delivery }) => delivery !== undefined);
  const deliveries = measured.flatMap(({ delivery }) => delivery ?? []);
  const receipts = measured.flatMap(({ receipt }) => receipt ?? []);
  if (measured.length === 0) {
    throw new Error(
      `${ratePerSec} sends per second were too many, though more was sustained before: is the machine busy?`,
    );
  }
  const middle = (figure: (round: ArrivalRound) => number) => median(measured.map(figure));
  const middleOrNull = (figure: (round: ArrivalRound) => number | null) => {
    const known = measured.map(figure).filter((value) => value !== null);
    return known.length === 0 ? null : median(known);
  };
  const sum = (count: (round: ArrivalRound) => number) =>
    rounds.reduce((all, round) => all + count(round), 0);
  const p99s = spread(deliveries.map(({ p99Ms }) => p99Ms));
  return {
    share,
    ratePerSec,
    rounds: measured.length,
    achievedPerSec: middle(({ round }) => round.deliveredPerSec),
    delivery: medianLatency(deliveries),
    deliveryP99MsMin: p99s.min,
    deliveryP99MsMax: p99s.max,
    receipt: receipts.length === 0 ? null : medianLatency(receipts),
    lost: sum(({ round }) => round.lost),
    duplicated: sum(({ round }) => round.duplicated),
    reordered: sum(({ round }) => round.reordered),
    misdelivered: sum(({ round }) => round.misdelivered),
    unreceipted: sum(({ round }) => round.unreceipted),
    refused: sum(({ round }) => round.refused),
    serverBusy: middle(({ round }) => round.serverBusy),
    generatorBusy: middle(({ window }) => window.busy),
    othersBusy: middleOrNull(({ othersBusy }) => othersBusy),
    generatorLagP99Ms: middle(({ window }) => window.lagP99Ms),
    generatorLagMaxMs: middle(({ window }) => window.lagMaxMs),
    generatorReadLagP99Ms: middle(({ window }) => window.readLagP99Ms),
    generatorWasLimit: 2 * sum((round) => Number(generatorWasLimit(round))) >= rounds.length,
    serverLoopDelayP99Ms: middle(({ round }) => round.serverLoopDelayP99Ms),
    serverLoopDelayMaxMs: middle(({ round }) => round.serverLoopDelayMaxMs),
    serverGcShare: middle(({ round }) => round.serverGcShare),
    serverGcPauseMaxMs: middle(({ round }) => round.serverGcPauseMaxMs),
    diskBytesPerMsg: middleOrNull(({ round }) => round.diskBytesPerMsg),
    flushesPerSec: middleOrNull(({ round }) => round.flushesPerSec),
    unsent: sum(({ window }) => window.unsent),
    gaveUp: rounds.some(({ window }) => window.gaveUp),
  };
}

/** Each percentile's median by itself. */
function medianLatency(latencies: readonly Latency[]): Latency {
  const middle = (percentile: keyof Latency) => median(latencies.map((latency) => latency[percentile]));
  return { p50Ms: middle("p50Ms"), p99Ms: middle("p99Ms"), p999Ms: middle("p999Ms"), maxMs: middle("maxMs") };
}

/** Whether everything arrived once, in order, with a receipt where receipts are given. */
export function isRateClean(rate: OpenLoopRate): boolean {
  const { lost, duplicated, reordered, misdelivered, unreceipted } = rate;
  return lost + duplicated + reordered + misdelivered + unreceipted === 0;
}

/**
 * From rounds to the rows that are printed and written as JSON. Ratios are
 * formed between the two rounds that ran one after the other, because the
 * machine's speed drifts within minutes; then their median is taken. Histograms
 * are merged. Counts of what went wrong are sums over every round, whole rounds
 * with warm-up and drain included.
 */
import { assert } from "../../src/base/assert.js";
import { durabilityName } from "../../src/wire/server-frames.js";
import { durabilityNone } from "../generator/dialect.js";
import { mergedPercentiles } from "../generator/latency.js";
import type { System } from "../systems/system.js";
import type { Round } from "./round.js";
import { median, spread } from "./statistics.js";

/** The histograms stay in it, so that percentiles of each round can still be had from the file. */
export type RawRound = Omit<Round, "durabilities">;

export interface Row {
  readonly workload: string;
  readonly inFlight: number;
  readonly devices: number;
  readonly payloadBytes: number;
  readonly system: string;
  readonly durability: System["durability"];
  /** What the system promises beyond that, and what it does not, in a line. */
  readonly guarantee: string;
  /** Medians over the rounds. */
  readonly deliveredPerSec: number;
  readonly serverCpuUsPerMsg: number;
  readonly generatorCpuUsPerMsg: number;
  readonly serverBusy: number;
  readonly generatorBusy: number;
  /** Null without a bare relay in the run. */
  readonly ratioToBare: number | null;
  readonly ratioToBareMin: number | null;
  readonly ratioToBareMax: number | null;
  /** The same, to uWebSockets.js `publish`; only where a message goes to many. */
  readonly ratioToPublish?: number;
  readonly ratioToPublishMin?: number;
  readonly ratioToPublishMax?: number;
  readonly deliveryP50Ms: number;
  readonly deliveryP99Ms: number;
  readonly deliveryP999Ms: number;
  readonly deliveryMaxMs: number;
  /** Null for a system that gives no receipts. */
  readonly receiptP50Ms: number | null;
  readonly receiptP99Ms: number | null;
  readonly receiptP999Ms: number | null;
  readonly receiptMaxMs: number | null;
  readonly longestReceiptGapMs: number | null;
  /** Until the queue of a device that came back was empty; only where devices come and go. */
  readonly drainP50Ms?: number;
  readonly drainP99Ms?: number;
  readonly drainMaxMs?: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** At another device than addressed, or never sent. */
  readonly misdelivered: number;
  /** Refusals that asked to try again later, which was done: the system was overloaded. */
  readonly refused: number;
  readonly unreceipted: number;
  /** Of the server: medians over the rounds, and the longest of all. */
  readonly serverLoopDelayP99Ms: number;
  readonly serverLoopDelayMaxMs: number;
  readonly serverGcShare: number;
  readonly serverGcPauseMaxMs: number;
  /** Sent to storage, per delivered message (null off Linux), and flushes (null where nothing is stored). */
  readonly diskBytesPerMsg: number | null;
  readonly flushesPerSec: number | null;
  readonly generatorWasLimit: boolean;
  readonly rounds: readonly RawRound[];
}

/** Busier than this is as busy as a core gets. */
const SATURATED = 0.95;

export function rowOf(options: {
  readonly workload: string;
  readonly inFlight: number;
  readonly devices: number;
  readonly payloadBytes: number;
  readonly system: System;
  readonly rounds: readonly Round[];
  /** The bare relay's rounds, one for each of `rounds`; undefined when it did not run. */
  readonly bare: readonly Round[] | undefined;
}): Row {
  const { rounds, bare, system } = options;
  const ratios =
    bare && spread(rounds.map((round, i) => round.serverCpuUsPerMsg / bare[i]!.serverCpuUsPerMsg));
  const delivery = mergedPercentiles(rounds.map((round) => round.deliveryLatency));
  const receipt = mergedPercentiles(rounds.map((round) => round.receiptLatency));
  const drain = mergedPercentiles(rounds.flatMap((round) => round.drainLatency ?? []));
  assert(delivery !== undefined, "a round delivers something");
  const medianOf = (pick: (round: Round) => number) => median(rounds.map(pick));
  const maxOf = (pick: (round: Round) => number) => Math.max(...rounds.map(pick));
  const sumOf = (pick: (round: Round) => number) => rounds.reduce((sum, round) => sum + pick(round), 0);
  const generatorBusy = medianOf((round) => round.generatorBusy);
  const serverBusy = medianOf((round) => round.serverBusy);
  return {
    workload: options.workload,
    inFlight: options.inFlight,
    devices: options.devices,
    payloadBytes: options.payloadBytes,
    system: system.name,
    durability: durabilityOf(system, rounds),
    guarantee: system.guarantee,
    deliveredPerSec: medianOf((round) => round.deliveredPerSec),
    serverCpuUsPerMsg: medianOf((round) => round.serverCpuUsPerMsg),
    generatorCpuUsPerMsg: medianOf((round) => round.generatorCpuUsPerMsg),
    serverBusy,
    generatorBusy,
    ratioToBare: ratios?.median ?? null,
    ratioToBareMin: ratios?.min ?? null,
    ratioToBareMax: ratios?.max ?? null,
    deliveryP50Ms: delivery.p50Ms,
    deliveryP99Ms: delivery.p99Ms,
    deliveryP999Ms: delivery.p999Ms,
    deliveryMaxMs: delivery.maxMs,
    receiptP50Ms: receipt?.p50Ms ?? null,
    receiptP99Ms: receipt?.p99Ms ?? null,
    receiptP999Ms: receipt?.p999Ms ?? null,
    receiptMaxMs: receipt?.maxMs ?? null,
    longestReceiptGapMs: receipt ? Math.max(...rounds.map((round) => round.longestReceiptGapMs)) : null,
    ...(drain && { drainP50Ms: drain.p50Ms, drainP99Ms: drain.p99Ms, drainMaxMs: drain.maxMs }),
    lost: sumOf((round) => round.lost),
    duplicated: sumOf((round) => round.duplicated),
    reordered: sumOf((round) => round.reordered),
    misdelivered: sumOf((round) => round.misdelivered),
    refused: sumOf((round) => round.refused),
    unreceipted: sumOf((round) => round.unreceipted),
    serverLoopDelayP99Ms: medianOf((round) => round.serverLoopDelayP99Ms),
    serverLoopDelayMaxMs: maxOf((round) => round.serverLoopDelayMaxMs),
    serverGcShare: medianOf((round) => round.serverGcShare),
    serverGcPauseMaxMs: maxOf((round) => round.serverGcPauseMaxMs),
    diskBytesPerMsg: medianOrNull(rounds.map((round) => round.diskBytesPerMsg)),
    flushesPerSec: medianOrNull(rounds.map((round) => round.flushesPerSec)),
    generatorWasLimit: generatorBusy > SATURATED && serverBusy < SATURATED,
    rounds: rounds.map(rawOf),
  };
}

/** What the receipts themselves said; it must be what the system claims. */
function durabilityOf(system: System, rounds: readonly Round[]): System["durability"] {
  for (const number of new Set(rounds.flatMap((round) => round.durabilities))) {
    const named = number === durabilityNone ? "none" : durabilityName(number);
    assert(named === system.durability, `receipts say ${named}, not ${system.durability}`);
  }
  return system.durability;
}

function medianOrNull(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}

function rawOf(round: Round): RawRound {
  const { durabilities: _named, ...raw } = round;
  return raw;
}

export type WrongCounts = Pick<Row, "lost" | "duplicated" | "reordered" | "misdelivered" | "unreceipted">;

/** Whether everything arrived once, in order, where it was sent to, with a receipt where receipts are given. */
export function isClean(row: WrongCounts): boolean {
  const { lost, duplicated, reordered, misdelivered, unreceipted } = row;
  return [lost, duplicated, reordered, misdelivered, unreceipted].every((count) => count === 0);
}

/**
 * One round of one contestant: traffic starts, warms up unmeasured, is measured
 * for a window, stops and drains.
 *
 *   start ──▶ warm-up ──▶ │ window: CPU, deliveries, latencies │ ──▶ drain, judge
 */
import { setTimeout as sleep } from "node:timers/promises";
import { mergedPercentiles } from "../generator/latency.js";
import type { Circulate, RoundResult } from "../generator/orders.js";
import type { RepeatOptions } from "../generator/repeats.js";
import type { Figures } from "../report/progress.js";
import type { ServerSnapshot } from "../systems/server-telemetry.js";
import type { Contestant } from "./contestant.js";

export interface RoundOptions {
  readonly inFlight: number;
  /** A share of the sends is made again under the same id. */
  readonly repeats?: RepeatOptions;
  readonly warmUpMs: number;
  readonly windowMs: number;
  /** How long nothing may move before what is missing counts as lost. */
  readonly drainMs: number;
}

export interface Round {
  readonly delivered: number;
  readonly deliveredPerSec: number;
  readonly serverCpuUsPerMsg: number;
  readonly serverUserShare: number;
  /** CPU seconds per second; 1 is a whole core. */
  readonly serverBusy: number;
  readonly generatorCpuUsPerMsg: number;
  readonly generatorBusy: number;
  readonly serverRssBytes: number;
  readonly serverLoopDelayP99Ms: number;
  readonly serverLoopDelayMaxMs: number;
  /** Pauses for garbage collection: share of the window, and the longest. */
  readonly serverGcShare: number;
  readonly serverGcPauseMaxMs: number;
  /** Sent to storage, per delivered message; null off Linux. */
  readonly diskBytesPerMsg: number | null;
  /** Null where nothing is stored. */
  readonly flushesPerSec: number | null;
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
  readonly refused: number;
  readonly repeated: number;
  readonly unreceipted: number;
  readonly longestReceiptGapMs: number;
  readonly durabilities: readonly number[];
  /** HdrHistograms of microseconds, compressed, in base64; that of receipts is empty where none are given. */
  readonly deliveryLatency: string;
  readonly receiptLatency: string;
  /** Where devices came and went: how often one came back in the window, what they drained, and how long that took. */
  readonly returns?: number;
  readonly drained?: number;
  readonly drainLatency?: string;
}

export async function runRound(contestant: Contestant, options: RoundOptions): Promise<Round> {
  const { generator, server } = contestant;
  const { inFlight, repeats } = options;
  const circulate: Circulate = { inFlight, ...(repeats && { repeats }) };
  await generator.request("circulate", circulate);
  await sleep(options.warmUpMs);
  const [before] = await Promise.all([server.snapshot(), generator.request("measure")]);
  await sleep(options.windowMs);
  const [after] = await Promise.all([server.snapshot(), generator.request("closeWindow")]);
  return judge(contestant, before, after, options.drainMs);
}

/** For progress: what the last round showed. */
export function seenIn(round: Round | undefined): Figures | undefined {
  if (round === undefined) return undefined;
  const p99Ms = mergedPercentiles([round.deliveryLatency])?.p99Ms ?? null;
  return { perSec: round.deliveredPerSec, p99Ms };
}

/** Stops and drains what was measured between two snapshots. */
export async function judge(
  contestant: Contestant,
  before: ServerSnapshot,
  after: ServerSnapshot,
  drainMs: number,
): Promise<Round> {
  const window = { fromMs: before.sharedMs, toMs: after.sharedMs, drainMs };
  return roundOf(before, after, await contestant.finish(window));
}

/** What the server's two snapshots and the generator's judgement come to. */
export function roundOf(before: ServerSnapshot, after: ServerSnapshot, result: RoundResult): Round {
  const userUs = after.cpuUserUs - before.cpuUserUs;
  const cpuUs = userUs + after.cpuSystemUs - before.cpuSystemUs;
  const windowMs = after.sharedMs - before.sharedMs;
  const { delivered } = result;
  const deliveredPerMs = delivered / windowMs;
  return {
    delivered: Math.round(delivered),
    deliveredPerSec: deliveredPerMs * 1000,
    serverCpuUsPerMsg: cpuUs / delivered,
    serverUserShare: userUs / cpuUs,
    serverBusy: cpuUs / 1000 / windowMs,
    generatorCpuUsPerMsg: result.cpuUs / result.windowMs / deliveredPerMs,
    generatorBusy: result.cpuUs / 1000 / result.windowMs,
    serverRssBytes: after.rssBytes,
    serverLoopDelayP99Ms: after.loopDelayP99Ms,
    serverLoopDelayMaxMs: after.loopDelayMaxMs,
    serverGcShare: after.gcPauseMs / windowMs,
    serverGcPauseMaxMs: after.gcPauseMaxMs,
    diskBytesPerMsg: per(difference(before.diskWrittenBytes, after.diskWrittenBytes), delivered),
    flushesPerSec: per(difference(before.flushes, after.flushes), windowMs / 1000),
    sent: result.sent,
    lost: result.lost,
    duplicated: result.duplicated,
    reordered: result.reordered,
    misdelivered: result.misdelivered,
    refused: result.refused,
    repeated: result.repeated,
    unreceipted: result.unreceipted,
    longestReceiptGapMs: result.longestReceiptGapMs,
    durabilities: result.durabilities,
    deliveryLatency: result.deliveryLatency,
    receiptLatency: result.receiptLatency,
    ...result.churn,
  };
}

/** Null where one is not known. */
function difference(before: number | null | undefined, after: number | null | undefined): number | null {
  return before == null || after == null ? null : after - before;
}

function per(amount: number | null, units: number): number | null {
  return amount === null ? null : amount / units;
}

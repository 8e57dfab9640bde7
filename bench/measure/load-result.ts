/**
 * The result of a load run. Its figures are called as those of a row are
 * (row.ts), where they are the same, so that thresholds know them; what the node
 * alone can tell is null unless its process was named. Kept flat for this reason.
 */
import { assert } from "../../src/base/assert.js";
import { durabilityName } from "../../src/wire/server-frames.js";
import type { ArrivalWindow } from "../generator/arrivals.js";
import { mergedPercentiles } from "../generator/latency.js";
import type { Judgement } from "../generator/merged-ledger.js";
import type { RoundResult } from "../generator/orders.js";
import { scheduleHash } from "../generator/schedule.js";
import type { ServerSnapshot } from "../systems/server-telemetry.js";
import type { LoadWorkload } from "../workloads/schemas.js";
import type { LoadMoment } from "./load-monitor.js";
import type { LoadTarget } from "./load-target.js";

export interface LoadResult {
  readonly workload: string;
  readonly system: string;
  readonly url: string;
  readonly processes: number;
  readonly devices: number;
  readonly peers: number;
  readonly payloadBytes: number;
  readonly seed: number;
  /** Null in a closed loop, whose sends follow what comes back. */
  readonly ratePerSec: number | null;
  readonly scheduleHash: string | null;
  /** Per device; 0 in an open loop. */
  readonly inFlight: number;
  /** As the receipts say; null without any. */
  readonly durability: string | null;
  readonly windowMs: number;
  readonly deliveredPerSec: number;
  readonly deliveryP50Ms: number;
  readonly deliveryP99Ms: number;
  readonly deliveryP999Ms: number;
  readonly deliveryMaxMs: number;
  readonly receiptP50Ms: number | null;
  readonly receiptP99Ms: number | null;
  readonly receiptP999Ms: number | null;
  readonly receiptMaxMs: number | null;
  /** In any one process. */
  readonly longestReceiptGapMs: number | null;
  /** Over the whole run. */
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
  readonly unreceipted: number;
  readonly refused: number;
  /** From before this run, delivered at sign-in: acked, and not judged. */
  readonly stale: number;
  /** Due at the window's end and not sent. */
  readonly unsent: number;
  /** So much was overdue that some process ended its arrivals. */
  readonly gaveUp: boolean;
  readonly generatorCpuUsPerMsg: number;
  /** Of the busiest process; in an open loop without polling. */
  readonly generatorBusy: number;
  /** From the moment a send was meant for until a socket had it; null in a closed loop. */
  readonly generatorLagP99Ms: number | null;
  readonly generatorLagMaxMs: number | null;
  /** Generators share cores and sleep up to a millisecond where nothing is due. */
  readonly generatorSleeps: boolean;
  readonly generatorWasLimit: boolean;
  /** Null where the node's process was not named. */
  readonly serverCpuUsPerMsg: number | null;
  readonly serverBusy: number | null;
  readonly serverRssBytes: number | null;
  readonly diskBytesPerMsg: number | null;
  /** HdrHistograms of all processes, encoded. */
  readonly deliveryLatency: string;
  readonly receiptLatency: string;
  readonly timeline: readonly LoadMoment[];
}

export interface LoadOutcome {
  readonly windowMs: number;
  readonly judgement: Judgement;
  /** One of each process. */
  readonly rounds: readonly RoundResult[];
  /** The same; empty in a closed loop. */
  readonly windows: readonly ArrivalWindow[];
  readonly sleeps: boolean;
  readonly stale: number;
  readonly timeline: readonly LoadMoment[];
  readonly server: { readonly before: ServerSnapshot; readonly after: ServerSnapshot } | undefined;
  readonly deliveryLatency: string;
  readonly receiptLatency: string;
}

/** A generator is the limit when it is busier than this, or later than this where it polls, or where it sleeps. */
const GENERATOR_BUSY_MAX = 0.95;
const LAG_P99_MS_MAX = 1;
const SLEEPER_LAG_P99_MS_MAX = 3;

export function resultOf(
  { workload, target }: { readonly workload: LoadWorkload; readonly target: LoadTarget },
  outcome: LoadOutcome,
): LoadResult {
  const { rounds, judgement, windowMs, deliveryLatency, receiptLatency } = outcome;
  const { pace, devices, payloadBytes, processes, seed } = workload;
  const peers = Math.min(workload.peers, devices - 1);
  const ratePerSec = "ratePerSec" in pace ? pace.ratePerSec : null;
  const delivery = mergedPercentiles([deliveryLatency]);
  const receipt = mergedPercentiles([receiptLatency]);
  if (delivery === undefined) throw new Error("nothing was delivered in the whole window");
  const delivered = sumOf(rounds, (round) => round.delivered);
  return {
    workload: workload.name,
    system: "interline",
    url: target.url,
    processes,
    devices,
    peers,
    payloadBytes,
    seed,
    ratePerSec,
    scheduleHash: ratePerSec === null ? null : scheduleHash(seed, devices, peers),
    inFlight: "inFlight" in pace ? pace.inFlight : 0,
    durability: durabilityOf(rounds),
    windowMs,
    deliveredPerSec: (delivered / windowMs) * 1000,
    deliveryP50Ms: delivery.p50Ms,
    deliveryP99Ms: delivery.p99Ms,
    deliveryP999Ms: delivery.p999Ms,
    deliveryMaxMs: delivery.maxMs,
    receiptP50Ms: receipt?.p50Ms ?? null,
    receiptP99Ms: receipt?.p99Ms ?? null,
    receiptP999Ms: receipt?.p999Ms ?? null,
    receiptMaxMs: receipt?.maxMs ?? null,
    longestReceiptGapMs: receipt ? Math.max(...rounds.map((round) => round.longestReceiptGapMs)) : null,
    ...judgement,
    unreceipted: sumOf(rounds, (round) => round.unreceipted),
    refused: sumOf(rounds, (round) => round.refused),
    stale: outcome.stale,
    ...generatorFigures(outcome, delivered),
    ...serverFigures(outcome, delivered),
    deliveryLatency,
    receiptLatency,
    timeline: outcome.timeline,
  };
}

function generatorFigures({ rounds, windows, sleeps }: LoadOutcome, delivered: number) {
  const lag = mergedPercentiles(windows.map((window) => window.lag));
  const cpuShares = rounds.map((round) => round.cpuUs / 1000 / round.windowMs);
  const busy = Math.max(...(windows.length > 0 ? windows.map((window) => window.busy) : cpuShares));
  const isLate = (lag?.p99Ms ?? 0) > (sleeps ? SLEEPER_LAG_P99_MS_MAX : LAG_P99_MS_MAX);
  return {
    unsent: sumOf(windows, ({ unsent }) => unsent),
    gaveUp: windows.some(({ gaveUp }) => gaveUp),
    generatorCpuUsPerMsg: sumOf(rounds, (round) => round.cpuUs) / delivered,
    generatorBusy: busy,
    generatorLagP99Ms: lag?.p99Ms ?? null,
    generatorLagMaxMs: lag?.maxMs ?? null,
    generatorSleeps: sleeps,
    generatorWasLimit: isLate || busy > GENERATOR_BUSY_MAX,
  };
}

function serverFigures({ server, windowMs }: LoadOutcome, delivered: number) {
  if (server === undefined) {
    return { serverCpuUsPerMsg: null, serverBusy: null, serverRssBytes: null, diskBytesPerMsg: null };
  }
  const { before, after } = server;
  const cpuUs = after.cpuUserUs - before.cpuUserUs + after.cpuSystemUs - before.cpuSystemUs;
  assert(cpuUs >= 0, "the node's process has not been another one meanwhile");
  return {
    serverCpuUsPerMsg: cpuUs / delivered,
    serverBusy: cpuUs / 1000 / windowMs,
    serverRssBytes: after.rssBytes,
    diskBytesPerMsg: ((after.diskWrittenBytes ?? 0) - (before.diskWrittenBytes ?? 0)) / delivered,
  };
}

function durabilityOf(rounds: readonly RoundResult[]): string | null {
  const names = new Set(rounds.flatMap((round) => round.durabilities).map(nameOf));
  return names.size === 0 ? null : [...names].sort().join(", ");
}

function nameOf(durability: number): string {
  return durabilityName(durability) ?? `durability ${durability}`;
}

function sumOf<T>(parts: readonly T[], pick: (part: T) => number): number {
  return parts.reduce((sum, part) => sum + pick(part), 0);
}

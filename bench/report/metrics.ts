/**
 * The figures of a row that thresholds and `diff` know by name: one registry, so
 * that a metric has one name and one meaning. bench/README.md prints this table.
 */
import { latencyCurve } from "../generator/latency.js";
import { uwsTopics } from "../systems/uws-topics.js";
import type { ResultKernel, ResultLoad, ResultRound, ResultRow } from "./schema.js";

/** Fields of a row that hold a number: null where a system has no such figure, absent in older files. */
type NumberField<Row> = {
  [Field in keyof Row]-?: Row[Field] extends number | null | undefined ? Field : never;
}[keyof Row];

/** Those of a kernel's result. */
type KernelField = "nsPerKey" | "timesKernel" | "bytesPerEntry";

type Field = NumberField<ResultRow> | NumberField<ResultLoad> | KernelField;

/** What has figures: a row, a kernel's result or that of a load run, which share a name's three parts. */
export type Figured = Pick<ResultRow, "workload" | "inFlight" | "system"> & {
  readonly [Name in Field]?: number | null | undefined;
};

export interface Metric {
  readonly name: string;
  readonly field: Field;
  readonly meaning: string;
  /** Absent for what only describes a run: `diff` leaves it out. */
  readonly better?: "less" | "more";
  /**
   * The figure of one round, beside the neighbouring round of the system it is held against; undefined where there is
   * none. Without it, `diff` takes any difference between two rows as a change.
   */
  readonly ofRound?: (round: ResultRound, beside: ResultRound | undefined) => number | undefined;
  /** The system that rounds are held against; absent: the bare relay. */
  readonly against?: string;
  /** The same of a kernel's result, all rounds at once. */
  readonly ofKernel?: (result: ResultKernel) => readonly number[] | undefined;
}

type Latency = "deliveryLatency" | "receiptLatency" | "drainLatency";

const percentile = (of: Latency, percent: number) => (round: ResultRound) => {
  const histogram = round[of];
  return histogram === undefined ? undefined : latencyCurve([histogram], [percent])?.[0];
};

function cpuRatio(round: ResultRound, beside: ResultRound | undefined): number | undefined {
  return beside && round.serverCpuUsPerMsg / beside.serverCpuUsPerMsg;
}

export const metrics: readonly Metric[] = [
  {
    name: "delivered_per_sec",
    field: "deliveredPerSec",
    meaning: "messages delivered per second, median of the rounds",
    better: "more",
    ofRound: (round) => round.deliveredPerSec,
  },
  {
    name: "server_cpu_us_per_msg",
    field: "serverCpuUsPerMsg",
    meaning: "CPU µs of the server per delivered message, median",
    better: "less",
    ofRound: (round) => round.serverCpuUsPerMsg,
  },
  {
    name: "cpu_ratio",
    field: "ratioToBare",
    meaning: "that, divided by the bare relay's; median",
    better: "less",
    ofRound: cpuRatio,
  },
  { name: "cpu_ratio_min", field: "ratioToBareMin", meaning: "the least ratio of any round" },
  { name: "cpu_ratio_max", field: "ratioToBareMax", meaning: "the greatest ratio of any round" },
  {
    name: "publish_ratio",
    field: "ratioToPublish",
    meaning: "of group-fanout: CPU divided by publish's; median",
    better: "less",
    ofRound: cpuRatio,
    against: uwsTopics.name,
  },
  {
    name: "generator_cpu_us_per_msg",
    field: "generatorCpuUsPerMsg",
    meaning: "CPU µs of the load generator per delivered message",
  },
  { name: "server_busy", field: "serverBusy", meaning: "cores the server kept busy; 1 is a whole one" },
  { name: "generator_busy", field: "generatorBusy", meaning: "the same of the load generator" },
  {
    name: "generator_lag_p99_ms",
    field: "generatorLagP99Ms",
    meaning: "of load: from meaning to send to a socket having it",
  },
  {
    name: "delivery_p50_ms",
    field: "deliveryP50Ms",
    meaning: "from meaning to send to arrival, median",
    better: "less",
    ofRound: percentile("deliveryLatency", 50),
  },
  {
    name: "delivery_p99_ms",
    field: "deliveryP99Ms",
    meaning: "the same, 99th percentile",
    better: "less",
    ofRound: percentile("deliveryLatency", 99),
  },
  {
    name: "delivery_p999_ms",
    field: "deliveryP999Ms",
    meaning: "the same, 99.9th percentile",
    better: "less",
    ofRound: percentile("deliveryLatency", 99.9),
  },
  { name: "delivery_max_ms", field: "deliveryMaxMs", meaning: "the same, the slowest" },
  {
    name: "receipt_p50_ms",
    field: "receiptP50Ms",
    meaning: "from meaning to send to the receipt, median",
    better: "less",
    ofRound: percentile("receiptLatency", 50),
  },
  {
    name: "receipt_p99_ms",
    field: "receiptP99Ms",
    meaning: "the same, 99th percentile",
    better: "less",
    ofRound: percentile("receiptLatency", 99),
  },
  {
    name: "receipt_p999_ms",
    field: "receiptP999Ms",
    meaning: "the same, 99.9th percentile",
    better: "less",
    ofRound: percentile("receiptLatency", 99.9),
  },
  { name: "receipt_max_ms", field: "receiptMaxMs", meaning: "the same, the slowest" },
  {
    name: "drain_p50_ms",
    field: "drainP50Ms",
    meaning: "of mixed: until a returning device's queue is empty",
    better: "less",
    ofRound: percentile("drainLatency", 50),
  },
  {
    name: "drain_p99_ms",
    field: "drainP99Ms",
    meaning: "the same, 99th percentile",
    better: "less",
    ofRound: percentile("drainLatency", 99),
  },
  { name: "drain_max_ms", field: "drainMaxMs", meaning: "the same, the slowest" },
  {
    name: "longest_receipt_gap_ms",
    field: "longestReceiptGapMs",
    meaning: "longest time without any receipt",
  },
  {
    name: "server_loop_delay_p99_ms",
    field: "serverLoopDelayP99Ms",
    meaning: "delay of the server's event loop, median of the rounds",
    better: "less",
    ofRound: (round) => round.serverLoopDelayP99Ms,
  },
  {
    name: "server_loop_delay_max_ms",
    field: "serverLoopDelayMaxMs",
    meaning: "the same, the longest of all",
  },
  {
    name: "server_gc_share",
    field: "serverGcShare",
    meaning: "share of the time the server collected garbage",
    better: "less",
    ofRound: (round) => round.serverGcShare,
  },
  { name: "server_gc_pause_max_ms", field: "serverGcPauseMaxMs", meaning: "the longest of its pauses" },
  {
    name: "disk_bytes_per_msg",
    field: "diskBytesPerMsg",
    meaning: "bytes sent to storage per delivered message",
    better: "less",
    ofRound: (round) => round.diskBytesPerMsg ?? undefined,
  },
  { name: "flushes_per_sec", field: "flushesPerSec", meaning: "flushes of storage per second" },
  { name: "lost", field: "lost", meaning: "sent and never delivered", better: "less" },
  { name: "duplicated", field: "duplicated", meaning: "delivered more than once", better: "less" },
  { name: "reordered", field: "reordered", meaning: "delivered after a later one", better: "less" },
  { name: "misdelivered", field: "misdelivered", meaning: "delivered to another device", better: "less" },
  { name: "unreceipted", field: "unreceipted", meaning: "sends without a receipt", better: "less" },
  { name: "refused", field: "refused", meaning: "sends refused for overload, and repeated" },
  {
    name: "ns_per_unit",
    field: "nsPerKey",
    meaning: "kernels: per id, send, account, entry or KiB, median",
    better: "less",
    ofKernel: ({ roundsNs }) => roundsNs,
  },
  { name: "times_kernel", field: "timesKernel", meaning: "kernels: that, divided by interline's; median" },
  {
    name: "bytes_per_entry",
    field: "bytesPerEntry",
    meaning: "kernels: memory per id or account held",
    better: "less",
    // It is weighed once, at the end: what is no change is what the rule's percentage says.
    ofKernel: ({ bytesPerEntry, roundsNs }) => roundsNs?.map(() => bytesPerEntry ?? 0),
  },
];

/** Throws an error that lists the names there are. */
export function metricNamed(name: string): Metric {
  const metric = metrics.find((known) => known.name === name);
  if (metric === undefined) {
    throw new Error(
      `No metric is called ${name}. There are: ${metrics.map((known) => known.name).join(", ")}`,
    );
  }
  return metric;
}

/** Results as a run would write them, with figures that a test chooses. */
import { LatencyCounts } from "../../bench/generator/latency.js";
import type { LoadResult } from "../../bench/measure/load-result.js";
import { median } from "../../bench/measure/statistics.js";
import {
  type ResultKernel,
  type ResultRound,
  type ResultRow,
  type ResultsFile,
  SCHEMA,
} from "../../bench/report/schema.js";

/** A histogram of a thousand values, the slowest ten of which take `p99Ms`. */
export function histogram(p99Ms: number): string {
  const counts = new LatencyCounts();
  for (let i = 0; i < 985; i++) counts.record(Math.round(p99Ms * 100 + i));
  for (let i = 0; i < 15; i++) counts.record(Math.round(p99Ms * 1000));
  return counts.encode();
}

const NOTHING = new LatencyCounts().encode();

export function roundOf(figures: Partial<ResultRound> = {}): ResultRound {
  return {
    delivered: 300_000,
    deliveredPerSec: 100_000,
    serverCpuUsPerMsg: 4,
    serverUserShare: 0.5,
    serverBusy: 0.99,
    generatorCpuUsPerMsg: 3,
    generatorBusy: 0.8,
    serverRssBytes: 100_000_000,
    serverLoopDelayP99Ms: 12,
    sent: 400_000,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    misdelivered: 0,
    refused: 0,
    unreceipted: 0,
    longestReceiptGapMs: 20,
    deliveryLatency: histogram(20),
    receiptLatency: histogram(40),
    ...figures,
  };
}

export function rowOf(figures: Partial<ResultRow> = {}): ResultRow {
  return {
    workload: "pairs",
    inFlight: 1,
    devices: 1000,
    payloadBytes: 256,
    system: "interline",
    durability: "disk",
    deliveredPerSec: 100_000,
    serverCpuUsPerMsg: 4,
    generatorCpuUsPerMsg: 3,
    serverBusy: 0.99,
    generatorBusy: 0.8,
    ratioToBare: 1.1,
    ratioToBareMin: 1,
    ratioToBareMax: 1.2,
    deliveryP50Ms: 2,
    deliveryP99Ms: 20,
    deliveryP999Ms: 25,
    deliveryMaxMs: 30,
    receiptP50Ms: 4,
    receiptP99Ms: 40,
    receiptP999Ms: 45,
    receiptMaxMs: 50,
    longestReceiptGapMs: 20,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    misdelivered: 0,
    refused: 0,
    unreceipted: 0,
    generatorWasLimit: false,
    rounds: [roundOf(), roundOf(), roundOf()],
    ...figures,
  };
}

export function bareRowOf(figures: Partial<ResultRow> = {}): ResultRow {
  const round = roundOf({ serverCpuUsPerMsg: 3.6, receiptLatency: NOTHING });
  return rowOf({
    system: "bare-relay",
    durability: "none",
    serverCpuUsPerMsg: 3.6,
    ratioToBare: 1,
    receiptP50Ms: null,
    receiptP99Ms: null,
    receiptP999Ms: null,
    receiptMaxMs: null,
    longestReceiptGapMs: null,
    rounds: [round, round, round],
    ...figures,
  });
}

export function resultsOf(rows: readonly ResultRow[], more: Partial<ResultsFile> = {}): ResultsFile {
  return {
    schema: SCHEMA,
    environment: {
      interline: "0.1.0",
      commit: null,
      node: "v20.20.2",
      v8: "11.3",
      platform: "linux x64",
      kernel: "6.8",
      cpu: "Made-up <CPU> & co",
      cores: 2,
      memoryBytes: 8e9,
      serverCore: 0,
      generatorCore: 1,
      dataDirectory: "/tmp",
      fileSystem: "ext4",
      flushMs: 1.5,
      warnings: [],
    },
    rows,
    ...more,
  };
}

/** A kernel's result with these figures of its rounds. */
export function kernelOf(roundsNs: readonly number[], figures: Partial<ResultKernel> = {}): ResultKernel {
  return {
    kernel: "dedup",
    system: "interline",
    contestant: "kernel (WebAssembly)",
    unit: "id",
    windowKeys: 1_048_576,
    batchKeys: 64,
    nsPerKey: median(roundsNs),
    nsPerKeyMin: Math.min(...roundsNs),
    nsPerKeyMax: Math.max(...roundsNs),
    timesKernel: 1,
    bytesPerEntry: 28,
    roundsNs,
    ...figures,
  };
}

export function openLoopOf(ratesPerSec: readonly number[]): NonNullable<ResultsFile["openLoop"]> {
  const latency = (ms: number) => ({ p50Ms: ms, p99Ms: 3 * ms, p999Ms: 5 * ms, maxMs: 9 * ms });
  return {
    system: "interline",
    devices: 1000,
    payloadBytes: 256,
    seed: 1,
    scheduleHash: "0123456789abcdef",
    sustainablePerSec: Math.max(...ratesPerSec),
    generatorWasLimit: false,
    search: [],
    rates: ratesPerSec.map((ratePerSec) => ({
      share: ratePerSec / Math.max(...ratesPerSec),
      ratePerSec,
      rounds: 5,
      achievedPerSec: ratePerSec,
      delivery: latency(ratePerSec / 1000),
      deliveryP99MsMin: ratePerSec / 500,
      deliveryP99MsMax: ratePerSec / 250,
      receipt: latency(ratePerSec / 100),
      lost: 0,
      duplicated: 0,
      reordered: 0,
      misdelivered: 0,
      unreceipted: 0,
      refused: 0,
      serverBusy: 0.5,
      generatorBusy: 0.5,
      othersBusy: null,
      generatorLagP99Ms: 0.1,
      generatorLagMaxMs: 1,
      generatorReadLagP99Ms: 0.2,
      generatorWasLimit: false,
      serverLoopDelayP99Ms: 2,
      serverLoopDelayMaxMs: 5,
      serverGcShare: 0.01,
      serverGcPauseMaxMs: 4,
      diskBytesPerMsg: 300,
      flushesPerSec: 40,
      unsent: 0,
      gaveUp: false,
    })),
  };
}

/** A load run in which nothing was wrong. */
export function loadOf(): LoadResult {
  return {
    workload: "load",
    system: "interline",
    url: "ws://127.0.0.1:7400",
    processes: 2,
    devices: 1000,
    peers: 100,
    payloadBytes: 256,
    seed: 1,
    ratePerSec: 5000,
    scheduleHash: "0123456789abcdef",
    inFlight: 0,
    durability: "disk",
    windowMs: 30_000,
    deliveredPerSec: 5000,
    deliveryP50Ms: 0.5,
    deliveryP99Ms: 5,
    deliveryP999Ms: 8,
    deliveryMaxMs: 12,
    receiptP50Ms: 5,
    receiptP99Ms: 15,
    receiptP999Ms: 18,
    receiptMaxMs: 22,
    longestReceiptGapMs: 20,
    sent: 160_000,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    misdelivered: 0,
    unreceipted: 0,
    refused: 0,
    stale: 0,
    unsent: 0,
    gaveUp: false,
    generatorCpuUsPerMsg: 20,
    generatorBusy: 0.2,
    generatorLagP99Ms: 0.1,
    generatorLagMaxMs: 1,
    generatorSleeps: false,
    generatorWasLimit: false,
    serverCpuUsPerMsg: null,
    serverBusy: null,
    serverRssBytes: null,
    diskBytesPerMsg: null,
    deliveryLatency: histogram(5),
    receiptLatency: histogram(15),
    timeline: [1, 2, 3].map((second) => ({
      atMs: 1000 * second,
      sentPerSec: 5000,
      deliveredPerSec: 5000,
      deliveryP99Ms: 5,
      receiptP99Ms: second === 1 ? null : 15,
      lagP99Ms: 0.1,
    })),
  };
}

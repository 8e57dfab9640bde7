/** Every report, with figures as wide as they get, fits a terminal of 100 columns. */
import { describe, expect, it } from "vitest";
import type { Row } from "../../bench/measure/row.js";
import { connectStormReport } from "../../bench/report/connect-storm-report.js";
import { diff } from "../../bench/report/diff.js";
import { diffReport } from "../../bench/report/diff-report.js";
import { duplicatesReport } from "../../bench/report/duplicates-report.js";
import { groupFanoutReport } from "../../bench/report/group-fanout-report.js";
import { idleColumns } from "../../bench/report/idle-report.js";
import { judgementTable } from "../../bench/report/judgement-report.js";
import { kernelsReport } from "../../bench/report/kernels-report.js";
import { loadReport } from "../../bench/report/load-report.js";
import { mixedReport } from "../../bench/report/mixed-report.js";
import { offlineDrainReport } from "../../bench/report/offline-drain-report.js";
import { openLoopReport } from "../../bench/report/open-loop-report.js";
import { environmentReport } from "../../bench/report/output.js";
import { pairsReport, receiptsReport } from "../../bench/report/pairs-report.js";
import { restartReport } from "../../bench/report/restart-report.js";
import { slowReadersReport } from "../../bench/report/slow-readers-report.js";
import { systemCallsReport } from "../../bench/report/syscalls-report.js";
import { TABLE_COLUMNS_MAX, table } from "../../bench/report/table.js";
import { judge, parseThreshold } from "../../bench/report/threshold.js";
import { interline } from "../../bench/systems/interline.js";
import { peers } from "../../bench/systems/peers.js";
import { bareRowOf, loadOf, openLoopOf, resultsOf, roundOf, rowOf } from "./made-up-results.js";

/** Milliseconds of a system that stands still. */
const SLOW = { p50Ms: 1234.5, p99Ms: 12_345.6, p999Ms: 34_567.8, maxMs: 59_999.9 };
const LATENCIES = {
  deliveryP50Ms: SLOW.p50Ms,
  deliveryP99Ms: SLOW.p99Ms,
  deliveryP999Ms: SLOW.p999Ms,
  deliveryMaxMs: SLOW.maxMs,
  receiptP50Ms: SLOW.p50Ms,
  receiptP99Ms: SLOW.p99Ms,
  receiptP999Ms: SLOW.p999Ms,
  receiptMaxMs: SLOW.maxMs,
};
const WRONG = { lost: 1_234_567, duplicated: 123_456, reordered: 123_456, misdelivered: 12_345 };
const BUSY = { serverBusy: 0.12, generatorBusy: 0.12, generatorWasLimit: true, refused: 12_345_678 };

/** A wrong, slow row of a system with this name. */
function wideRow(system: string, figures: Partial<Row> = {}): Row {
  const row = { ...rowOf(), ...LATENCIES, ...WRONG, ...BUSY, system, inFlight: 1000, devices: 1_000_000 };
  return {
    ...row,
    workload: "slow-readers",
    unreceipted: 1_234_567,
    deliveredPerSec: 1_234_567,
    serverCpuUsPerMsg: 12_345.6,
    ratioToBare: 123.4,
    ratioToBareMin: 100.1,
    ratioToBareMax: 999.9,
    guarantee: "a promise ".repeat(30).trim(),
    ...figures,
  } as Row;
}

const systems = [interline.name, "bare-relay", ...peers.keys()];
const rows = systems.map((system) => wideRow(system));
const environment = {
  ...resultsOf([]).environment,
  commit: "0123456789",
  kernel: "6.18.5-fc-v15-with-a-long-name-of-its-own",
  cpu: "Intel(R) Xeon(R) Platinum 8488C with everything that a vendor can say of it, and more",
  dataDirectory: "/tmp/somewhere/deep/below/what/people/call/their/home",
  warnings: ["taskset is not installed: server and generator are not pinned and disturb one another"],
};
const window = { delivery: SLOW, receipt: SLOW, generatorLagP99Ms: 1234.5, serverBusy: 0.99 };
const before = resultsOf([rowOf({ rounds: Array.from({ length: 5 }, () => roundOf()) })]);
const after = resultsOf([
  rowOf({ workload: "pairs", serverCpuUsPerMsg: 123, rounds: before.rows[0]!.rounds }),
]);

const reports: Readonly<Record<string, () => string>> = {
  environment: () => environmentReport(environment),
  pairs: () => pairsReport(rows),
  receipts: () => receiptsReport(rows),
  duplicates: () =>
    duplicatesReport([
      {
        inFlight: 1000,
        seed: 0xffff_ffff,
        repeatedShare: 0.1,
        repeatedPerMsg: 0.123,
        ratioToPlain: 1.2,
        ratioToPlainMin: 1,
        ratioToPlainMax: 123.4,
        plain: wideRow("interline", { workload: "plain" }),
        repeating: wideRow("interline", { workload: "duplicates" }),
      },
    ]),
  "group fan-out": () =>
    groupFanoutReport(
      ["interline", "uws-topics"].map((system) =>
        wideRow(system, {
          workload: "group-fanout-10000",
          devices: 10_001,
          ratioToPublish: 123.4,
          ratioToPublishMin: 100.1,
          ratioToPublishMax: 999.9,
        }),
      ),
    ),
  mixed: () =>
    mixedReport({
      seed: 0xffff_ffff,
      scheduleHash: "0123456789abcdef",
      ratePerSec: 1_000_000_000,
      deliveriesPerSend: 1234.5,
      groups: 123_456,
      churningDevices: 4096,
      awayShare: 0.1234,
      payloadMedianBytes: 98_304,
      payloadBytesMax: 98_304,
      returns: 1_234_567,
      drainedPerReturn: 12_345.6,
      generatorLagP99Ms: SLOW.p99Ms,
      generatorLagMaxMs: SLOW.maxMs,
      othersBusy: 12.3,
      unsent: 1_234_567,
      row: wideRow("interline", {
        workload: "mixed",
        inFlight: 0,
        drainP50Ms: SLOW.p50Ms,
        drainP99Ms: SLOW.p99Ms,
        drainMaxMs: SLOW.maxMs,
        diskBytesPerMsg: 123_456.7,
        flushesPerSec: 12_345.6,
      }),
    }),
  "slow readers": () =>
    slowReadersReport({
      slowDevices: 4096,
      tricklingDevices: 4096,
      feedPerSec: 1_000_000_000,
      seed: 0xffff_ffff,
      deliveryP99Ratio: 12_345.6,
      evicted: 1_234_567,
      quiet: wideRow("interline", { workload: "quiet" }),
      besideSlow: wideRow("interline"),
    }),
  "open loop": () => {
    const result = openLoopOf([500_000, 700_000, 900_000]);
    const rates = result.rates.map((rate) => ({
      ...rate,
      ...WRONG,
      ...BUSY,
      delivery: SLOW,
      deliveryP99MsMin: SLOW.p99Ms,
      deliveryP99MsMax: SLOW.p99Ms,
      receipt: SLOW,
      othersBusy: 12.3,
      generatorLagP99Ms: 1234.5,
      generatorLagMaxMs: 12_345.6,
      generatorReadLagP99Ms: 12_345.6,
      gaveUp: true,
    }));
    return openLoopReport({ ...result, generatorWasLimit: true, seed: 0xffff_ffff, rates });
  },
  "connect storm": () =>
    connectStormReport({
      ...WRONG,
      system: "interline",
      signIns: 18_000,
      signInsAtOnce: 18_000,
      sourceAddresses: 200,
      allWelcomedMs: 123_456,
      refused: 123_456,
      refusalReasons: {
        ["the server refused the upgrade: HTTP/1.1 503 Service Unavailable ".repeat(3)]: 123,
      },
      establishedDevices: 4096,
      ratePerSec: 1_000_000_000,
      seed: 0xffff_ffff,
      scheduleHash: "0123456789abcdef",
      before: window,
      during: window,
      vanishing: window,
      deliveryP99Ratio: 12_345.6,
    }),
  "offline drain": () =>
    offlineDrainReport({
      ...WRONG,
      system: "interline",
      receivers: 18_000,
      entries: 1_000_000_000,
      payloadBytes: 98_304,
      signInCpuUs: 12_345.6,
      signInsPerSec: 123_456,
      onlineCpuUsPerMsg: 12_345.6,
      onlinePerSec: 1_234_567,
      enqueueCpuUsPerEntry: 12_345.6,
      enqueuedPerSec: 1_234_567,
      enqueueToOnline: 123.4,
      connectMs: 123_456,
      drainMs: 1_234_567,
      drainedPerSec: 1_234_567,
      drainCpuUsPerEntry: 12_345.6,
      refused: 12_345_678,
    }),
  restart: () =>
    restartReport({
      ...WRONG,
      system: "interline",
      entries: 1_000_000_000,
      queuedPerSec: 1_234_567,
      refused: 12_345_678,
      readyMs: 123_456,
      firstDeliveryMs: 123_456,
      drainedPerSec: 1_234_567,
    }),
  idle: () =>
    table(
      systems.map((system) => ({
        system,
        connections: 18_000,
        rssBeforeBytes: 1e10,
        rssAfterBytes: 2e10,
        bytesPerConnection: 123_456,
        anonymousBytesPerConnection: 123_456,
        connectMs: 123_456,
      })),
      idleColumns,
    ),
  kernels: () =>
    kernelsReport(
      (["parse", "dedup", "route", "gather", "turn", "crc"] as const).map((kernel) => ({
        kernel,
        system: "js-tuned",
        unit: "envelope",
        contestant: "JavaScript, open addressing, ahead",
        windowKeys: 16_777_216,
        batchKeys: 4096,
        nsPerKey: 1234.5,
        nsPerKeyMin: 1000.1,
        nsPerKeyMax: 9999.9,
        timesKernel: 123.4,
        bytesPerEntry: 123.4,
      })),
    ),
  "system calls": () =>
    systemCallsReport(
      [1, 8].flatMap((inFlight) =>
        ["interline", "bare-relay"].map((system) => ({
          system,
          inFlight,
          delivered: 1_000_000,
          callsPerMessage: 123.456,
          byName: { sendto: 1.234, epoll_wait: 0.123, restart_syscall: 0.006 },
        })),
      ),
    ),
  load: () =>
    loadReport({
      ...loadOf(),
      ...LATENCIES,
      ...WRONG,
      url: "wss://a-node-with-a-long-name.of-a-brand.example:65535",
      devices: 1_000_000,
      peers: 4096,
      processes: 256,
      payloadBytes: 98_304,
      ratePerSec: 1_000_000_000,
      seed: 0xffff_ffff,
      windowMs: 3_600_000,
      deliveredPerSec: 1_234_567,
      durability: "disk, durability 17",
      sent: 4_294_967_295,
      unreceipted: 1_234_567,
      refused: 12_345_678,
      stale: 1_234_567,
      unsent: 1_234_567,
      gaveUp: true,
      generatorWasLimit: true,
      generatorSleeps: true,
      generatorLagP99Ms: 12_345.6,
      generatorLagMaxMs: 12_345.6,
      serverCpuUsPerMsg: 12_345.6,
      serverBusy: 12.3,
      serverRssBytes: 1e11,
      diskBytesPerMsg: 123_456,
    }),
  differences: () => diffReport(diff(before, after), true),
  thresholds: () =>
    judgementTable(
      judge([parseThreshold("slow-readers/1000@interline:longest_receipt_gap_ms<=123456")], rows),
    ),
};

describe("a report", () => {
  it.each(Object.keys(reports))("of %s fits 100 columns", (name) => {
    const text = reports[name]!();
    const long = text.split("\n").filter((line) => line.length > TABLE_COLUMNS_MAX);
    expect(long).toEqual([]);
    expect(text.length).toBeGreaterThan(50);
  });

  it("of a load names what was wrong, and what is not known of the node", () => {
    const text = loadReport({ ...loadOf(), lost: 2 });
    expect(text).toContain("WRONG: 2 lost");
    expect(text).toContain("node: not seen from here");
    expect(loadReport(loadOf())).not.toMatch(/WRONG|warning/);
  });

  it("of a group's fan-out names the row that was wrong, and does not expect a busy core of it", () => {
    const row = { ...wideRow("interline"), workload: "group-fanout-10", ratioToPublish: 1, lost: 3 } as Row;
    const text = groupFanoutReport([row]);
    expect(text).toContain("WRONG: group-fanout-10: interline with 1000 in flight: 3 lost");
    expect(text).not.toContain("neither core");
    expect(pairsReport([{ ...row, ratioToPublish: undefined } as never])).toContain("neither core");
  });

  it("of devices that do not compare with a bare relay has dashes", () => {
    expect(pairsReport([{ ...wideRow("bare-relay"), ...bareRowOf() } as Row])).toContain("–");
  });
});

/**
 * Every verb at its smoke size, so that the harness cannot rot.
 * The figures mean nothing; what is lost, repeated or out of order does. Needs
 * dist, which `npm test` builds first.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasStrace } from "../../bench/measure/strace.js";
import { parseResults, type ResultsFile } from "../../bench/report/schema.js";
import { TABLE_COLUMNS_MAX } from "../../bench/report/table.js";
import { inProcess } from "./in-process.js";

const run = promisify(execFile);
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "interline-bench-test-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A verb within this process, which saves it a start; servers and generators are those of dist. */
async function bench(...args: string[]): Promise<{ stdout: string; file: ResultsFile }> {
  const { stdout, stderr, code } = await inProcess(argumentsOf(args));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return { stdout, file: await written() };
}

/** The same as a command, which is what a user starts. */
async function command(...args: string[]): Promise<{ stdout: string; file: ResultsFile }> {
  const { stdout } = await run(process.execPath, ["dist/bench/main.js", ...argumentsOf(args)]);
  return { stdout, file: await written() };
}

function argumentsOf(args: readonly string[]): string[] {
  const json = join(directory, "results.json");
  return [...args, "--smoke", "--json", json, "--data-directory", directory];
}

async function written(): Promise<ResultsFile> {
  const json = join(directory, "results.json");
  const content = await readFile(json, "utf8");
  const file = parseResults(json, content);
  expect(file, "the schema describes every field").toEqual(JSON.parse(content));
  return file;
}

const clean = { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0, unreceipted: 0 };
const figures = expect.any(Number);

describe("npm run bench", () => {
  it("runs the canonical workload on both systems: everything arrives once, in order, receipted", async () => {
    const { stdout, file } = await command("--only");
    expect(file.schema).toBe("interline-bench/1");
    expect(file.environment).toMatchObject({
      node: process.version,
      fileSystem: expect.any(String),
      flushMs: figures,
    });
    const measured = {
      workload: "pairs",
      deliveredPerSec: figures,
      serverCpuUsPerMsg: figures,
      generatorCpuUsPerMsg: figures,
      ratioToBare: figures,
      deliveryP50Ms: figures,
      deliveryP99Ms: figures,
      deliveryP999Ms: figures,
      ...clean,
    };
    const receipts = { receiptP50Ms: figures, receiptP99Ms: figures, receiptP999Ms: figures };
    const none = { receiptP50Ms: null, receiptP99Ms: null, receiptP999Ms: null };
    const rowsOf = (inFlight: number) => [
      { ...measured, ...receipts, inFlight, system: "interline", durability: "disk" },
      { ...measured, ...none, inFlight, system: "bare-relay", durability: "none", ratioToBare: 1 },
    ];
    expect(file.rows).toMatchObject([...rowsOf(1), ...rowsOf(8)]);
    for (const row of file.rows) expect(row.rounds).toMatchObject([{ sent: figures, lost: 0 }]);
    for (const row of file.rows) {
      expect(row).toMatchObject({ serverGcShare: figures, serverGcPauseMaxMs: figures });
      expect(row).toMatchObject({ serverLoopDelayP99Ms: figures, diskBytesPerMsg: figures });
    }
    expect(file.rows.map(({ flushesPerSec }) => flushesPerSec === null)).toEqual([false, true, false, true]);
    for (const row of file.rows) expect(row.deliveredPerSec).toBeGreaterThan(0);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
  });

  it("keeps receipts flowing with 64 in flight", async () => {
    const { stdout, file } = await bench("receipts");
    expect(file.rows).toMatchObject([{ inFlight: 64, system: "interline", lost: 0, unreceipted: 0 }]);
    expect(stdout).toMatch(/longest time without any receipt \S+ ms/);
  });

  it("runs a workload of one's own, writes the page, and its exit code says that a threshold failed", async () => {
    const own = join(directory, "own.json");
    const full = { devices: 20, payloadBytes: 64, inFlight: [4], rounds: 1, warmUpMs: 50, windowMs: 200 };
    const workload = { verb: "receipts", name: "few", full: { ...full, drainMs: 2000, seed: 1 } };
    await writeFile(own, JSON.stringify(workload));
    const [held, failed] = ["few/4:lost==0", "delivered_per_sec<1"];
    const page = join(directory, "results.html");
    const args = ["receipts", "--workload", own, "--threshold", held, "--threshold", failed, "--html", page];
    await expect(command(...args)).rejects.toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/few\/4:lost==0 .* ok\ndelivered_per_sec<1 .* failed\n/),
    });
    expect(await readFile(page, "utf8")).toContain("few, 4 in flight");
  });

  it("counts system calls per message, or says that it cannot", async () => {
    if (!hasStrace()) {
      await expect(command("syscalls")).rejects.toMatchObject({
        stdout: expect.stringContaining("not installed"),
      });
      return;
    }
    const { file } = await bench("syscalls");
    expect(file.syscalls?.map(({ system }) => system)).toEqual(["interline", "bare-relay"]);
    for (const { byName, callsPerMessage } of file.syscalls ?? []) {
      expect(byName.sendto).toBeGreaterThan(0);
      expect(callsPerMessage).toBeGreaterThan(byName.sendto ?? 0);
    }
  });

  it("compares with every peer that is installed", async () => {
    const { file } = await bench("compare");
    expect(file.rows.slice(0, 2).map(({ system }) => system)).toEqual(["interline", "bare-relay"]);
    for (const row of file.rows) expect(row).toMatchObject(clean);
  });

  it("measures memory per idle connection", async () => {
    const { file } = await bench("idle");
    expect(file.idle).toMatchObject([
      { system: "interline", connections: 100, bytesPerConnection: figures },
      { system: "bare-relay", connections: 100, bytesPerConnection: figures },
    ]);
  });

  it("kills a node with full queues, restarts it and drains them without loss", async () => {
    const { file } = await bench("restart");
    expect(file.restart).toMatchObject({ entries: 2000, lost: 0, duplicated: 0, reordered: 0 });
    expect(file.restart?.firstDeliveryMs).toBeGreaterThan(0);
  });

  it("finds a rate that is sustained, and latencies from intended times at a part of it", async () => {
    const { stdout, file } = await bench("open-loop");
    const latency = { p50Ms: figures, p99Ms: figures, p999Ms: figures, maxMs: figures };
    const sends = { share: 0.5, rounds: 2, ratePerSec: figures, achievedPerSec: figures };
    const rate = { ...sends, delivery: latency, ...clean };
    const run = {
      seed: 1,
      scheduleHash: expect.stringMatching(/^[0-9a-f]{16}$/),
      sustainablePerSec: figures,
    };
    expect(file.openLoop).toMatchObject({ ...run, rates: [{ ...rate, receipt: latency }] });
    expect(file.openLoopBare).toMatchObject({ ...run, rates: [{ ...rate, receipt: null }] });
    expect(file.openLoopAnswering).toMatchObject({
      system: "answering-relay",
      search: [],
      rates: [{ ...rate, ratePerSec: file.openLoop?.rates[0]?.ratePerSec, receipt: null }],
    });
    for (const { delivery, deliveryP99MsMin, deliveryP99MsMax } of file.openLoop?.rates ?? []) {
      expect(delivery.p99Ms).toBeGreaterThanOrEqual(deliveryP99MsMin);
      expect(delivery.p99Ms).toBeLessThanOrEqual(deliveryP99MsMax);
    }
    expect(file.openLoopBare?.scheduleHash).toBe(file.openLoop?.scheduleHash);
    expect(stdout).toContain(file.openLoop?.scheduleHash);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
  });

  it("queues for devices that are away and drains them without loss", async () => {
    const { file } = await bench("offline-drain");
    const { unreceipted: _all, ...arrived } = clean;
    expect(file.offlineDrain).toMatchObject({ receivers: 100, entries: 2000, ...arrived });
    expect(file.offlineDrain?.enqueueToOnline).toBeGreaterThan(0);
    expect(file.offlineDrain?.drainedPerSec).toBeGreaterThan(0);
  });

  it("signs many devices in at once while established ones go on", async () => {
    const { file } = await bench("connect-storm");
    const { unreceipted: _all, ...arrived } = clean;
    expect(file.connectStorm).toMatchObject({ signIns: 200, refused: 0, ...arrived });
    const beside = { system: "answering-relay", signIns: 200, refused: 0, ...arrived };
    expect(file.connectStormAnswering).toMatchObject(beside);
    expect(file.connectStorm?.allWelcomedMs).toBeGreaterThan(0);
    expect(file.connectStorm?.during.delivery.p99Ms).toBeGreaterThan(0);
    expect(file.connectStorm?.vanishing?.delivery.p99Ms).toBeGreaterThan(0);
  });

  it("applies repeated sends once", async () => {
    const { file } = await bench("duplicates");
    expect(file.duplicates).toMatchObject(
      [1, 8].map((inFlight) => ({ inFlight, plain: clean, repeating: clean, ratioToPlain: figures })),
    );
    for (const { repeatedPerMsg } of file.duplicates ?? []) expect(repeatedPerMsg).toBeGreaterThan(0.05);
  });

  it("sends to groups beside publish: nothing lost, wrong or without a receipt", async () => {
    const held = "group-fanout-20/8:publish_ratio>0";
    const page = join(directory, "fanout.html");
    const { stdout, file } = await command("group-fanout", "--threshold", held, "--html", page);
    const both = { workload: "group-fanout-20", inFlight: 8, devices: 21, ...clean };
    expect(file.rows).toMatchObject([
      { ...both, system: "interline", durability: "disk", receiptP99Ms: figures, ratioToPublish: figures },
      { ...both, system: "uws-topics", durability: "none", receiptP99Ms: null, ratioToPublish: 1 },
    ]);
    for (const row of file.rows) expect(row.deliveredPerSec).toBeGreaterThan(0);
    expect(stdout).toMatch(/publish_ratio>0 .* ok\n/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
    expect(await readFile(page, "utf8")).toContain("<h2>Group fan-out</h2>");
  });

  it("mixes direct and group sends of all lengths while devices come and go, and accounts for every delivery", async () => {
    const { stdout, file } = await bench("mixed", "--threshold", "mixed:drain_p99_ms<60000");
    const { mixed } = file;
    expect(mixed).toMatchObject({ seed: 1, groups: 12, churningDevices: 12, payloadMedianBytes: 300 });
    expect(mixed?.scheduleHash).toMatch(/^[0-9a-f]{16}$/);
    expect(stdout).toContain(mixed?.scheduleHash);
    const latencies = {
      deliveryP99Ms: figures,
      receiptP99Ms: figures,
      drainP50Ms: figures,
      drainP99Ms: figures,
    };
    expect(mixed?.row).toMatchObject({ workload: "mixed", durability: "disk", ...latencies, ...clean });
    expect(mixed?.row.rounds).toMatchObject([{ returns: mixed?.returns, flushesPerSec: figures }]);
    expect(mixed?.returns).toBeGreaterThan(0);
    expect(stdout).toMatch(/drain_p99_ms<60000 .* ok\n/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
  });

  it("keeps healthy devices going beside slow readers, and loses nothing of theirs either", async () => {
    const { file } = await bench("slow-readers");
    expect(file.slowReaders).toMatchObject({ slowDevices: 10, quiet: clean, besideSlow: clean });
  });

  it("measures the kernels against JavaScript, and judges thresholds on them", async () => {
    const held = "dedup/4096@set-of-strings:bytes_per_entry>20";
    const { stdout, file } = await bench("kernels", "--threshold", held);
    const contestants = (kernel: string) =>
      (file.kernels ?? []).filter((row) => row.kernel === kernel).map(({ system }) => system);
    const inTurn = ["interline", "js-tuned", "js-plain"];
    expect(contestants("dedup")).toHaveLength(5);
    for (const kernel of ["parse", "gather", "turn"]) expect(contestants(kernel)).toEqual(inTurn);
    expect(contestants("route")).toEqual(["interline", "js-tuned", "js-tuned-ahead", "js-plain"]);
    expect(contestants("crc")).toEqual(["interline", "js-slicing-by-8"]);
    for (const row of file.kernels ?? []) {
      expect(row).toMatchObject({ nsPerKey: figures, timesKernel: figures, roundsNs: [figures] });
      expect(row.bytesPerEntry === null).toBe(row.kernel !== "dedup" && row.kernel !== "route");
    }
    expect(stdout).toMatch(/bytes_per_entry>20 .* ok\n/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
  });

  it("says what is wrong with its options, without a stack", async () => {
    const failed = run(process.execPath, ["dist/bench/main.js", "--rounds", "many"]);
    await expect(failed).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/whole number(?!.*\n\s+at)/s),
    });
  });
});

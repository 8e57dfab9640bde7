import { describe, expect, test } from "vitest";
import { descriptorAdvice, descriptorLimit } from "../../src/ops/descriptors.js";
import { DiskWatch } from "../../src/ops/disk.js";
import { Health } from "../../src/ops/health.js";
import { createLog } from "../../src/ops/log.js";
import { Metrics, type MetricsSnapshot } from "../../src/ops/metrics.js";
import { oneCoreAdvice, oneCoreFlags } from "../../src/ops/one-core.js";
import { Sweeps } from "../../src/ops/sweeps.js";
import { CodedError } from "../../src/wire/coded-error.js";

function lines(options: { level?: string; isReadable?: boolean; hasColours?: boolean } = {}) {
  const written: string[] = [];
  const sink = { write: (line: string) => void written.push(line) };
  return { written, log: createLog({ level: "info", isReadable: false, ...options, sink }) };
}

describe("the log", () => {
  test("is one JSON object a line for machines", () => {
    const { log, written } = lines();
    log.info("listening", { url: "ws://127.0.0.1:1", brands: 3 });
    log.debug("not at this level");
    expect(written).toHaveLength(1);
    expect(JSON.parse(written[0] as string)).toMatchObject({
      level: "info",
      msg: "listening",
      url: "ws://127.0.0.1:1",
      brands: 3,
    });
    expect(written[0]?.endsWith("}\n")).toBe(true);
  });

  test("is one plain line each for people, coloured only when asked", () => {
    const plain = lines({ isReadable: true });
    plain.log.warn("the disk is nearly full", { freeBytes: 5, note: "two words" });
    expect(plain.written[0]).toMatch(
      /^\d\d:\d\d:\d\d warn {2}the disk is nearly full {2}freeBytes=5 note="two words"\n$/,
    );
    const coloured = lines({ isReadable: true, hasColours: true });
    coloured.log.warn("x");
    expect(coloured.written[0]).toContain("\u001b[33m");
  });

  test("an error gives its code and cause, and its stack only at debug", () => {
    const error = new CodedError("storageFailed", { cause: new Error("EIO") });
    const { log, written } = lines();
    log.failure("the storage failed", error);
    log.failure("something else", "text");
    expect(JSON.parse(written[0] as string)).toMatchObject({
      level: "error",
      code: "storageFailed",
      cause: "EIO",
    });
    expect(written[0]).not.toContain("stack");
    expect(JSON.parse(written[1] as string)).toMatchObject({ error: "string" });
    const deep = lines({ level: "debug" });
    deep.log.failure("the storage failed", error);
    expect(JSON.parse(deep.written[0] as string).stack).toContain("ops.test");
  });
});

describe("metrics", () => {
  const zero = { sendsAccepted: 0, duplicates: 0, sendsRefused: 0, entries: 0, delivered: 0 };
  const snapshot: MetricsSnapshot = {
    connections: 2,
    unidentified: 3,
    counters: { ...zero, sendsAccepted: 5, acks: 1, receiptsRidden: 3, receiptsSent: 4, accountsEvicted: 0 },
    signals: { delivered: 11, behind: 12 },
    tailBytes: 10,
    uncommittedBytes: 0,
    clockAheadMs: 90_000,
    store: {
      ...{
        commits: 7,
        flushes: 7,
        bytesWritten: 1,
        journalBlocks: 0,
        journalBytes: 0,
        queuedBytes: 99,
        spilledEntries: 0,
      },
      ...{ quotaEntries: 6, expiredEntries: 0, corruptions: 0, fileBytes: 1, diskFreeBytes: 2 },
    },
    edge: {
      ...{
        attached: 2,
        unauthenticated: 0,
        backlogged: 0,
        heads: 0,
        opened: 9,
        headsRefused: 0,
        newcomersRefused: 0,
      },
      upgradesRefused: new Map([["full", 3]]),
      ended: new Map([["silent", 2]]),
    },
    signIn: { faults: new Map([["signature", 8]]), keyReadings: 1, signaturesVerified: 3 },
  };

  test("show the node's own counters as they are now, each time", async () => {
    let current = snapshot;
    const metrics = new Metrics(() => current);
    expect(await metrics.text()).toContain("interline_sends_accepted_total 5\n");
    current = { ...snapshot, connections: 1, counters: { ...snapshot.counters, sendsAccepted: 6 } };
    const text = await metrics.text();
    for (const line of [
      "interline_sends_accepted_total 6",
      "interline_connections 1",
      "interline_unidentified_connections 3",
      "interline_queued_bytes 99",
      'interline_receipts_total{way="ridden"} 3',
      'interline_signals_total{fate="behind"} 12',
      'interline_gap_entries_total{reason="quota"} 6',
      'interline_edge_upgrades_refused_total{reason="full"} 3',
      'interline_edge_ended_total{code="silent"} 2',
      'interline_sign_in_faults_total{fault="signature"} 8',
      "# TYPE interline_commits_total counter",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(text).toMatch(/^process_cpu_seconds_total [\d.]+$/m);
  });

  test("count refusals by code and commits by how long they took", async () => {
    const metrics = new Metrics(() => snapshot);
    metrics.refused("rosterStale");
    metrics.refused("rosterStale");
    metrics.committed(3);
    const text = await metrics.text();
    expect(text).toContain('interline_refusals_total{code="rosterStale"} 2\n');
    expect(text).toContain('interline_commit_seconds_bucket{le="0.002"} 0\n');
    expect(text).toContain('interline_commit_seconds_bucket{le="0.005"} 1\n');
  });

  test("leave out what is not there: a node without a port has no edge", async () => {
    const metrics = new Metrics(() => ({ ...snapshot, edge: undefined }));
    expect(await metrics.text()).not.toMatch(/^interline_edge_attached \d/m);
  });
});

test("health is ready until something blocks it; what only limits the node is told beside", () => {
  const health = new Health();
  expect(health.report()).toEqual({ ready: true, conditions: [] });
  health.note("diskLow", true);
  expect(health.report()).toEqual({ ready: true, conditions: ["diskLow"] });
  health.block("draining", true);
  expect(health.report()).toEqual({ ready: false, conditions: ["draining", "diskLow"] });
  health.block("draining", false);
  health.note("diskLow", false);
  expect(health.report()).toEqual({ ready: true, conditions: [] });
});

describe("sweeps", () => {
  test("run the tasks in turn, never two at once, and go on after one that fails", async () => {
    let running = 0;
    let most = 0;
    const order: string[] = [];
    const failures: string[] = [];
    const task = (name: string, fails = false) => ({
      name,
      run: async () => {
        order.push(name);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 3));
        running--;
        if (fails) throw new Error("no");
      },
    });
    let done: () => void = () => undefined;
    const enough = new Promise<void>((resolve) => {
      done = resolve;
    });
    const last = { name: "c", run: () => void (order.filter((name) => name === "a").length >= 3 && done()) };
    const sweeps = new Sweeps([task("a"), task("b", true), last], {
      everyMs: 5,
      onFailure: (name) => failures.push(name),
    });
    await enough;
    await sweeps.stop();
    const ran = order.length;
    expect(order.slice(0, 4)).toEqual(["a", "b", "a", "b"]);
    expect(most).toBe(1);
    expect(new Set(failures)).toEqual(new Set(["b"]));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(order.length).toBe(ran);
  });

  test("stop waits for the task under way", async () => {
    let finished = false;
    let begun: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const run = async () => {
      begun();
      await new Promise((resolve) => setTimeout(resolve, 30));
      finished = true;
    };
    const sweeps = new Sweeps([{ name: "slow", run }], { everyMs: 1, onFailure: () => undefined });
    await started;
    await sweeps.stop();
    expect(finished).toBe(true);
  });
});

describe("the disk", () => {
  test("is low below the bound, and is not again before there is a quarter more", async () => {
    const changes: string[] = [];
    let free = 1_000;
    const watch = new DiskWatch({
      directory: "/",
      freeBytesMin: 800,
      onChange: (isLow, freeBytes) => changes.push(`${isLow} ${freeBytes}`),
      readFreeBytes: async () => free,
    });
    for (const next of [1_000, 800, 799, 500, 801, 999, 1_000, 900, 799]) {
      free = next;
      await watch.check();
    }
    expect(changes).toEqual(["true 799", "false 1000", "true 799"]);
    expect(watch.isLow).toBe(true);
  });

  test("is really read, and a directory that is not there is a failure and no change", async () => {
    const changes: boolean[] = [];
    const onChange = (isLow: boolean) => changes.push(isLow);
    await new DiskWatch({
      directory: process.cwd(),
      freeBytesMin: Number.MAX_SAFE_INTEGER,
      onChange,
    }).check();
    expect(changes).toEqual([true]);
    await expect(new DiskWatch({ directory: "/nowhere", freeBytesMin: 1, onChange }).check()).rejects.toThrow(
      "ENOENT",
    );
    expect(changes).toEqual([true]);
  });
});

test("more connections than descriptors are pointed out, with both numbers", () => {
  const wanted = { connectionsMax: 18_000, headReserveMax: 1_000 };
  expect(descriptorAdvice(wanted, 20_000)).toBeUndefined();
  expect(descriptorAdvice(wanted, 1_024)).toMatch(/18000 needs about 19200 .* may have 1024/);
  expect(descriptorAdvice(wanted, undefined)).toBe(descriptorAdvice(wanted, descriptorLimit()));
});

test("a node on one core is told what to be started with, one that was or has more is not", () => {
  const [first, second] = oneCoreFlags;
  expect(oneCoreAdvice(1, ["--enable-source-maps", first])).toContain(`node ${first} ${second} `);
  expect(oneCoreAdvice(1, ["--enable-source-maps", first, second])).toBeUndefined();
  expect(oneCoreAdvice(2, [])).toBeUndefined();
});

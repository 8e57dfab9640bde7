import { build } from "hdr-histogram-js";
import { describe, expect, it } from "vitest";
import { LatencyCounts, mergedPercentiles } from "../../bench/generator/latency.js";
import { Timeline } from "../../bench/generator/timeline.js";
import { median, spread } from "../../bench/measure/statistics.js";
import { parseSummary } from "../../bench/measure/strace.js";
import { parseCoreList } from "../../bench/process/cores.js";
import { figure, TABLE_COLUMNS_MAX, table, wrapped } from "../../bench/report/table.js";

describe("latencies", () => {
  it("give the percentiles that the histogram library gives for the same values", () => {
    const counts = new LatencyCounts();
    const histogram = build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
    let value = 1;
    for (let i = 0; i < 20_000; i++) {
      value = (value * 48_271) % 2_147_483_647;
      const us = value % 10 ** (1 + (i % 7));
      counts.record(us);
      histogram.recordValue(us);
    }
    expect(mergedPercentiles([counts.encode()])).toEqual({
      count: 20_000,
      p50Ms: histogram.getValueAtPercentile(50) / 1000,
      p99Ms: histogram.getValueAtPercentile(99) / 1000,
      p999Ms: histogram.getValueAtPercentile(99.9) / 1000,
      maxMs: histogram.getValueAtPercentile(100) / 1000,
    });
  });

  it("are merged, not averaged", () => {
    const [quick, slow] = [new LatencyCounts(), new LatencyCounts()];
    for (let i = 0; i < 99; i++) quick.record(100);
    slow.record(50_000);
    const merged = mergedPercentiles([quick.encode(), slow.encode()]);
    expect(merged?.p50Ms).toBeCloseTo(0.1, 3);
    expect(merged?.maxMs).toBeCloseTo(50, 0);
  });

  it("are nothing when nothing was recorded", () => {
    expect(mergedPercentiles([new LatencyCounts().encode()])).toBeUndefined();
  });
});

describe("the timeline", () => {
  it("interpolates the count at any moment", () => {
    const timeline = new Timeline();
    timeline.note(100, 0);
    timeline.note(110, 1000);
    timeline.note(120, 1000);
    expect([90, 100, 105, 110, 115, 130].map((ms) => timeline.countAt(ms))).toEqual([
      0, 0, 500, 1000, 1000, 1000,
    ]);
  });
});

describe("statistics", () => {
  it("take the middle, or between the two middle ones", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });
});

describe("what other programs print", () => {
  it("reads a summary of strace, with and without errors", () => {
    const summary = [
      "% time     seconds  usecs/call     calls    errors syscall",
      "------ ----------- ----------- --------- --------- ----------------",
      " 60.10    0.600000           3    200000         3 recvfrom",
      " 39.90    0.400000           4    100000           sendto",
      "------ ----------- ----------- --------- --------- ----------------",
      "100.00    1.000000           3    300000         3 total",
    ].join("\n");
    expect([...parseSummary(summary)]).toEqual([
      ["recvfrom", 200_000],
      ["sendto", 100_000],
    ]);
  });

  it("reads lists of cores", () => {
    expect(parseCoreList("0-2,5")).toEqual([0, 1, 2, 5]);
    expect(parseCoreList("")).toEqual([]);
  });
});

describe("tables", () => {
  it("align numbers to the right and names to the left", () => {
    const rows = [
      { name: "a", value: 1 },
      { name: "long", value: 12_345.6 },
    ];
    const text = table(rows, [
      { head: "name", cell: (row) => row.name, align: "left" },
      { head: "n", cell: (row) => figure(row.value) },
    ]);
    expect(text.split("\n")).toEqual(["name       n", "────  ──────", "a          1", "long  12,346"]);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
  });

  it("come with texts as wide as they are", () => {
    const text = wrapped(`name: ${"word ".repeat(50).trim()}`);
    const lines = text.split("\n");
    expect(lines.length).toBeGreaterThan(2);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(TABLE_COLUMNS_MAX);
    expect(lines.map((line) => line.startsWith("  "))).toEqual([false, ...lines.slice(1).map(() => true)]);
    expect(text.replaceAll(/\s+/g, " ")).toBe(`name: ${"word ".repeat(50).trim()}`);
  });

  it("print as many digits as say something", () => {
    expect([0, 0.374, 2.5, 31.26, 1234.5, null].map(figure)).toEqual([
      "0",
      "0.37",
      "2.50",
      "31.3",
      "1,235",
      "–",
    ]);
  });
});

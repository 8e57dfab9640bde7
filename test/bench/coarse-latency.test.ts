import { describe, expect, it } from "vitest";
import { CoarseLatency } from "../../bench/generator/coarse-latency.js";
import { LatencyCounts } from "../../bench/generator/latency.js";

/** Counts of these microseconds. */
function countsOf(values: readonly number[]): LatencyCounts {
  const counts = new LatencyCounts();
  for (const value of values) counts.record(value);
  return counts;
}

describe("latencies that are watched while they are recorded", () => {
  it.each([5, 700, 1_999, 20_000, 333_333, 5_000_000])("tell %i µs within one per cent or 8 µs", (us) => {
    const value = new CoarseLatency([countsOf([us]).coarse()]).percentileMs(99)! * 1000;
    expect(Math.abs(value - us)).toBeLessThanOrEqual(Math.max(8, us / 100));
  });

  it("add up over processes: a percentile of all, not of their percentiles", () => {
    const quick = countsOf(new Array(990).fill(1_000));
    const slow = countsOf(new Array(10).fill(100_000));
    const both = new CoarseLatency([quick.coarse(), slow.coarse()]);
    expect(both.percentileMs(98)).toBeCloseTo(1, 1);
    expect(both.percentileMs(99.5)).toBeCloseTo(100, -1);
  });

  it("subtract over time", () => {
    const counts = countsOf(new Array(1_000).fill(50_000));
    const before = new CoarseLatency([counts.coarse()]);
    expect(before.percentileMs(99, before)).toBeNull();
    for (let i = 0; i < 10; i++) counts.record(1_000);
    const after = new CoarseLatency([counts.coarse()]);
    expect(after.percentileMs(99, before)).toBeCloseTo(1, 1);
    expect(after.percentileMs(50)).toBeCloseTo(50, -1);
  });

  it("are nothing before anything was", () => {
    expect(new CoarseLatency([new LatencyCounts().coarse()]).percentileMs(99)).toBeNull();
  });
});

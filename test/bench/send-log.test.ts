import { describe, expect, it } from "vitest";
import { LatencyCounts, mergedPercentiles } from "../../bench/generator/latency.js";
import { SendLog } from "../../bench/generator/send-log.js";

const DISK = 2;

function logWith(sends: number, perDeviceMax = 100) {
  const latencies = new LatencyCounts();
  const log = new SendLog({ devices: 2, senders: 2, perDeviceMax }, latencies);
  for (let i = 1; i <= sends; i++) log.sent(1, 0, i, 1000 * i);
  return { log, latencies };
}

describe("the log of sends without an answer", () => {
  it("counts a cumulative receipt for every send it covers, once", () => {
    const { log } = logWith(5);
    expect(log.receipted(1, 3, DISK, 9000, true)).toBe(3);
    expect(log.receipted(1, 3, DISK, 9000, true)).toBe(0);
    expect(log.receipted(1, 2, DISK, 9000, true)).toBe(0);
    expect(log.outstanding).toBe(2);
    expect(log.receipted(1, 5, DISK, 9000, true)).toBe(2);
    expect(log.outstanding).toBe(0);
    expect([...log.byDurability]).toEqual([[DISK, 2]]);
  });

  it("times each send from its own stamp", () => {
    const { log, latencies } = logWith(2);
    log.receipted(1, 2, DISK, 3000, true);
    expect(mergedPercentiles([latencies.encode()])).toMatchObject({ count: 2, p50Ms: 1, maxMs: 2 });
  });

  it("takes times across the wrap of the 32-bit stamp", () => {
    const latencies = new LatencyCounts();
    const log = new SendLog({ devices: 1, senders: 1, perDeviceMax: 10 }, latencies);
    log.sent(0, 0, 1, 0xffff_ff00);
    log.receipted(0, 1, DISK, 0x0000_0100, true);
    expect(mergedPercentiles([latencies.encode()])?.maxMs).toBeCloseTo(0.512);
  });

  it("does not let a later receipt answer for a refused send", () => {
    const { log } = logWith(4);
    expect(log.refused(1, 2)).toEqual({ target: 0, counter: 2, stamp: 2000 });
    expect(log.outstanding).toBe(3);
    expect(log.receipted(1, 4, DISK, 9000, false)).toBe(3);
    expect(log).toMatchObject({ outstanding: 0, refusedCount: 1 });
  });

  it("refuses answers to what was never sent, or was answered already", () => {
    const { log } = logWith(2);
    expect(() => log.receipted(1, 3, DISK, 0, false)).toThrow(/was sent/);
    log.receipted(1, 1, DISK, 0, false);
    expect(() => log.refused(1, 1)).toThrow(/no answer/);
  });

  it("has no room beyond its bound until an answer comes", () => {
    const { log } = logWith(7, 7);
    expect(log.hasRoom(1)).toBe(false);
    log.receipted(1, 1, DISK, 0, false);
    expect(log.hasRoom(1)).toBe(true);
  });

  it("measures the longest time without any receipt, up to the window's end", () => {
    const { log } = logWith(3);
    log.begin(10_000);
    log.receipted(1, 1, DISK, 14_000, true);
    log.receipted(1, 2, DISK, 15_000, true);
    log.noteGap(18_000);
    expect(log.longestGapUs).toBe(4000);
  });

  it("forgets what a lost connection had sent", () => {
    const { log } = logWith(4);
    log.refused(1, 3);
    log.reset(1);
    expect(log.outstanding).toBe(0);
  });
});

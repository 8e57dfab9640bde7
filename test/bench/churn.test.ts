import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Churn } from "../../bench/generator/churn.js";
import { mergedPercentiles } from "../../bench/generator/latency.js";

const [FROM, TO] = [100, 220];

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Devices that need 20 ms to come back, in which each gets three entries. */
function setUp() {
  const away = new Set<number>();
  const departures: { device: number; saysSo: boolean }[] = [];
  const churn = new Churn(
    { from: FROM, to: TO, thereMs: 1000, awayMs: 3000, seed: 7 },
    {
      leave(device, saysSo) {
        if (away.has(device)) throw new Error("who is away does not leave");
        away.add(device);
        departures.push({ device, saysSo });
      },
      comeBack(device) {
        if (!away.has(device)) throw new Error("who is there does not come back");
        setTimeout(() => {
          for (let i = 0; i < 3; i++) churn.delivered(device);
          away.delete(device);
          churn.ready(device);
          churn.delivered(device);
        }, 20);
      },
    },
  );
  return { churn, away, departures };
}

describe("churn", () => {
  it("has three quarters away from the first moment on, when three quarters of the time is spent away", () => {
    const { churn, away } = setUp();
    churn.start();
    for (let i = 0; i < 10; i++) {
      expect(away.size / (TO - FROM)).toBeGreaterThan(0.6);
      expect(away.size / (TO - FROM)).toBeLessThan(0.9);
      vi.advanceTimersByTime(1000);
    }
  });

  it("lets a device leave with an ack and without, in turn", () => {
    const { churn, departures } = setUp();
    churn.start();
    vi.advanceTimersByTime(15_000);
    const [first] = departures;
    const ofFirst = departures.filter(({ device }) => device === first?.device).map(({ saysSo }) => saysSo);
    expect(ofFirst.slice(0, 3)).toEqual([true, false, true]);
  });

  it("counts returns that were due in the window, from then to the empty queue, and what they drained", () => {
    const { churn } = setUp();
    churn.start();
    vi.advanceTimersByTime(1000);
    churn.measure();
    vi.advanceTimersByTime(4000);
    churn.closeWindow();
    vi.advanceTimersByTime(19);
    const open = churn.read().returns;
    vi.advanceTimersByTime(4000);
    const { returns, drained, drainLatency } = churn.read();
    expect(returns).toBeGreaterThanOrEqual(open);
    // A hundred and twenty devices with a cycle of four seconds.
    expect(returns).toBeGreaterThan(80);
    expect(returns).toBeLessThan(160);
    expect(drained).toBe(3 * returns);
    const latency = mergedPercentiles([drainLatency]);
    expect(latency?.count).toBe(returns);
    expect(latency?.p50Ms).toBeGreaterThanOrEqual(19.9);
    expect(latency?.maxMs).toBeLessThan(22);
  });

  it("brings everybody back at the end, and nobody leaves any more", () => {
    const { churn, away, departures } = setUp();
    churn.start();
    vi.advanceTimersByTime(2000);
    churn.end();
    expect(churn.areAllThere).toBe(false);
    const left = departures.length;
    vi.advanceTimersByTime(1000);
    expect(churn.areAllThere).toBe(true);
    expect(away.size).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(departures.length).toBe(left);
    expect(churn.read().returns).toBe(0);
  });
});

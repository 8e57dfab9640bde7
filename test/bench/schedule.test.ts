import { describe, expect, it } from "vitest";
import { Random } from "../../bench/generator/random.js";
import { Schedule, scheduleHash } from "../../bench/generator/schedule.js";

const ARRIVALS = 50_000;

function arrivals(seed: number, devices: number) {
  const schedule = new Schedule(seed, devices);
  return Array.from({ length: ARRIVALS }, () => {
    schedule.next();
    const { gap, sender, target } = schedule;
    return { gap, sender, target };
  });
}

describe("a schedule", () => {
  it("is the same for the same seed, and its hash tells schedules apart", () => {
    expect(arrivals(7, 10)).toEqual(arrivals(7, 10));
    expect(scheduleHash(7, 10)).toBe(scheduleHash(7, 10));
    const hashes = [scheduleHash(7, 10), scheduleHash(8, 10), scheduleHash(7, 11)];
    expect(new Set(hashes).size).toBe(3);
  });

  it("has exponential gaps with a mean of one", () => {
    const gaps = arrivals(1, 10).map(({ gap }) => gap);
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / ARRIVALS;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / ARRIVALS;
    expect(mean).toBeCloseTo(1, 1);
    expect(variance).toBeCloseTo(1, 1);
    expect(gaps.filter((gap) => gap > 1).length / ARRIVALS).toBeCloseTo(Math.exp(-1), 1);
  });

  it("has every device send to every other alike, and never to itself", () => {
    const pairs = new Map<string, number>();
    for (const { sender, target } of arrivals(3, 5)) {
      expect(sender).not.toBe(target);
      pairs.set(`${sender}-${target}`, (pairs.get(`${sender}-${target}`) ?? 0) + 1);
    }
    expect(pairs.size).toBe(20);
    for (const count of pairs.values()) expect(count / (ARRIVALS / 20)).toBeCloseTo(1, 0);
  });
});

describe("seeded random numbers", () => {
  it("cover their range evenly", () => {
    const random = new Random(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]! += 1;
    for (const count of counts) expect(count / 10_000).toBeCloseTo(1, 1);
  });
});

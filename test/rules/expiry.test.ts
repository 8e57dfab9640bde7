/** By what time entries expire, as the wall clock jumps beside one that does not. */
import { describe, expect, it } from "vitest";
import { type Judged, judgeClock } from "../../src/rules/expiry.js";
import { limits } from "../../src/rules/limits.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = 1_800_000_000_000;

/** Looks every minute at a wall clock that is ahead of real time by what `aheadMs` says. */
function looks(forMs: number, aheadMs: (realMs: number) => number): Judged[] {
  const found: Judged[] = [];
  for (let realMs = 0; realMs <= forMs; realMs += 60_000) {
    const now = { wallMs: START + realMs + aheadMs(realMs), monotonicMs: realMs };
    found.push(judgeClock(found.at(-1), now, limits));
  }
  return found;
}

/** How far the time of expiry was ahead of real time at the most. */
const aheadOf = (found: readonly Judged[]): number =>
  Math.max(...found.map(({ expiryMs, monotonicMs }) => expiryMs - START - monotonicMs));

describe("the time by which entries expire", () => {
  it("is the wall clock's while that goes right", () => {
    const found = looks(2 * DAY, () => 0);
    for (const { expiryMs, monotonicMs, doubtedMs } of found) {
      expect(expiryMs).toBe(START + monotonicMs);
      expect(doubtedMs).toBeUndefined();
    }
  });

  it("goes on as it went when the clock is set ahead and back within a day", () => {
    const found = looks(3 * DAY, (realMs) => (realMs >= HOUR && realMs < 24 * HOUR ? 400 * DAY : 0));
    expect(aheadOf(found)).toBe(0);
    expect(found.filter(({ doubtedMs }) => doubtedMs !== undefined)).toHaveLength(23 * 60);
    expect(found.at(-1)).toEqual({ expiryMs: START + 3 * DAY, monotonicMs: 3 * DAY, doubtedMs: undefined });
  });

  it("follows a clock that stays ahead after a day, and not before", () => {
    const found = looks(3 * DAY, (realMs) => (realMs >= HOUR ? 400 * DAY : 0));
    const beliefs = found.filter(({ monotonicMs }) => monotonicMs >= HOUR + limits.clockDoubtMs);
    expect(aheadOf(found.slice(0, -beliefs.length))).toBe(0);
    for (const { expiryMs, monotonicMs } of beliefs) expect(expiryMs).toBe(START + monotonicMs + 400 * DAY);
  });

  it("follows corrections, and a clock that is set back, at once", () => {
    expect(aheadOf(looks(DAY, () => limits.clockStepMs))).toBe(limits.clockStepMs);
    const found = looks(DAY, (realMs) => (realMs >= HOUR ? -400 * DAY : 0));
    expect(found.at(-1)?.expiryMs).toBe(START + DAY - 400 * DAY);
    expect(found.some(({ doubtedMs }) => doubtedMs !== undefined)).toBe(false);
  });

  it("is never ahead of the wall clock", () => {
    for (const ahead of [-400 * DAY, -HOUR, 0, HOUR, 400 * DAY])
      for (const { expiryMs, monotonicMs } of looks(2 * DAY, (realMs) => (realMs % (5 * HOUR) ? ahead : 0)))
        expect(expiryMs).toBeLessThanOrEqual(START + monotonicMs + Math.max(0, ahead));
  });
});

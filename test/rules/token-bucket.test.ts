import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { spend } from "../../src/rules/token-bucket.js";

const NOW = 1_700_000_000_000;

describe("a token bucket", () => {
  const size = { tokens: 3, refillMs: 1_000 };

  it("gives its tokens at once, then one per refill", () => {
    let fullAtMs = 0;
    for (const [atMs, isAllowed, retryAfterMs] of [
      [0, true, 0],
      [0, true, 0],
      [0, true, 0],
      [0, false, 1_000],
      [999, false, 1],
      [1_000, true, 0],
      [1_000, false, 1_000],
      [60_000, true, 0],
    ] as const) {
      const spent = spend(fullAtMs, size, NOW + atMs);
      expect([atMs, spent.isAllowed, spent.retryAfterMs]).toEqual([atMs, isAllowed, retryAfterMs]);
      fullAtMs = spent.fullAtMs;
    }
  });

  it("is full again when its number has passed, and empty at most, however the clock jumped back", () => {
    expect(spend(NOW - 1, size, NOW)).toEqual(spend(0, size, NOW));
    const jumped = spend(NOW + 6_000, size, NOW);
    expect(jumped).toEqual({ isAllowed: false, fullAtMs: NOW + 3_000, retryAfterMs: 1_000 });
  });

  it("is full when its number was made by a clock that was further ahead than the bucket is long", () => {
    expect(spend(NOW + 6_001, size, NOW)).toEqual(spend(0, size, NOW));
    expect(spend(NOW + 10 ** 12, size, NOW)).toEqual(spend(0, size, NOW));
  });

  it("never gives more in any span of time than its size and what the span refills", () => {
    const steps = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3_000 }),
        (waits, tokens, refillMs) => {
          let [fullAtMs, nowMs] = [0, NOW];
          const given: number[] = [];
          for (const wait of waits) {
            nowMs += wait;
            const spent = spend(fullAtMs, { tokens, refillMs }, nowMs);
            fullAtMs = spent.fullAtMs;
            if (spent.isAllowed) given.push(nowMs);
          }
          for (const [i, from] of given.entries()) {
            for (const [j, to] of given.entries()) {
              if (j >= i) expect(j - i + 1).toBeLessThanOrEqual(tokens + (to - from) / refillMs);
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("gives all its tokens at one moment, and says whole milliseconds, whatever fractions time and refill have", () => {
    const moments = fc.double({ min: 0, max: 1e11, noNaN: true });
    const perSecond = fc.double({ min: 0.1, max: 1_000, noNaN: true });
    fc.assert(
      fc.property(moments, perSecond, fc.integer({ min: 1, max: 300 }), (nowMs, rate, tokens) => {
        let fullAtMs = 0;
        const size = { tokens, refillMs: 1_000 / rate };
        for (let i = 0; i < tokens; i++) {
          const spent = spend(fullAtMs, size, nowMs);
          expect(spent.isAllowed).toBe(true);
          fullAtMs = spent.fullAtMs;
        }
        const { isAllowed, retryAfterMs } = spend(fullAtMs, size, nowMs);
        expect([isAllowed, Number.isInteger(retryAfterMs)]).toEqual([false, true]);
        expect(Math.abs(retryAfterMs - 1_000 / rate)).toBeLessThanOrEqual(1.1);
        expect(spend(fullAtMs, size, nowMs + retryAfterMs).isAllowed).toBe(true);
      }),
      { numRuns: 200, examples: [[1e11, 9.345016690474875, 188]] },
    );
  });
});

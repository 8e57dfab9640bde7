/** The search for the highest sustainable rate, on systems whose limits are known. */
import { expect, test } from "vitest";
import { findSustainable } from "../../bench/measure/sustainable-rate.js";

const search = {
  ...{ searchFromPerSec: 5_000, searchToPerSec: 1_000_000, bisections: 5 },
  ...{ searchWindowMs: 1_500, confirmations: 3, windowMs: 4_000 },
};

/** Holds up to `limitOf` a window's length; the trials that were made, in order. */
function system(limitOf: (windowMs: number) => number) {
  const trials: { ratePerSec: number; windowMs: number }[] = [];
  const trial = async (ratePerSec: number, windowMs: number): Promise<boolean> => {
    trials.push({ ratePerSec, windowMs });
    return ratePerSec <= limitOf(windowMs);
  };
  return { trial, trials };
}

test("a steady limit is found from below, to a thirty-second of the last doubling", async () => {
  const { trial, trials } = system(() => 70_000);
  const found = await findSustainable(search, trial);
  expect(found).toBeLessThanOrEqual(70_000);
  expect(found).toBeGreaterThan(70_000 - 40_000 / 32);
  expect(trials.slice(-2)).toEqual(Array(2).fill({ ratePerSec: found, windowMs: 4_000 }));
});

test("what only short windows hold is not sustained: the search goes down until long ones hold", async () => {
  const { trial, trials } = system((windowMs) => (windowMs < 4_000 ? 80_000 : 61_000));
  const found = await findSustainable(search, trial);
  expect(found).toBeLessThanOrEqual(61_000);
  expect(found).toBeGreaterThan(61_000 * 0.95);
  // Two long windows that fail are enough to go on, and two that hold to end.
  const long = trials.filter(({ windowMs }) => windowMs === 4_000);
  expect(long.length % 2).toBe(0);
  expect(long.at(-1)).toEqual(long.at(-2));
});

test("one bad window of three at each rate, or of two in the search, is the machine's", async () => {
  let calls = 0;
  const { trial } = system(() => (calls++ % 3 === 0 ? 0 : 70_000));
  expect(await findSustainable(search, trial)).toBeGreaterThan(68_000);
});

test("the search ends where it may, and says 0 when nothing is sustained for long", async () => {
  expect(await findSustainable(search, system(() => Infinity).trial)).toBe(1_000_000);
  expect(await findSustainable(search, system(() => 4_999).trial)).toBe(0);
  expect(await findSustainable(search, system((windowMs) => (windowMs < 4_000 ? 9_000 : 0)).trial)).toBe(0);
});

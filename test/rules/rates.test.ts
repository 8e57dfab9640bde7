import { expect, test } from "vitest";
import { fullBucket, takeUse } from "../../src/rules/rates.js";

const rate = { perSecond: 10, burst: 3 };

test("a full bucket gives its burst at once, then one at the rate", () => {
  const bucket = fullBucket(rate, 0);
  expect([1, 2, 3, 4].map(() => takeUse(bucket, rate, 0))).toEqual([0, 0, 0, 100]);
  expect(takeUse(bucket, rate, 99)).toBe(1);
  expect(takeUse(bucket, rate, 100)).toBe(0);
  expect(takeUse(bucket, rate, 100)).toBe(100);
});

test("quiet time fills it up to the burst and no further", () => {
  const bucket = fullBucket(rate, 0);
  for (let i = 0; i < 3; i++) takeUse(bucket, rate, 0);
  expect([1, 2, 3, 4].map(() => takeUse(bucket, rate, 1_000_000))).toEqual([0, 0, 0, 100]);
});

test("refusals cost nothing, and time that goes back gives nothing", () => {
  const bucket = fullBucket(rate, 1_000);
  for (let i = 0; i < 3; i++) takeUse(bucket, rate, 1_000);
  for (let i = 0; i < 100; i++) expect(takeUse(bucket, rate, 1_050)).toBeGreaterThan(0);
  expect(takeUse(bucket, rate, 0)).toBeGreaterThan(0);
  expect(takeUse(bucket, rate, 100)).toBe(0);
});

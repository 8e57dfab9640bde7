/** What the generator of an open loop says of its own lateness. */
import { setImmediate as loopTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Arrivals } from "../../bench/generator/arrivals.js";
import { LatencyCounts } from "../../bench/generator/latency.js";
import type { Traffic } from "../../bench/generator/traffic.js";
import { type ArrivalRound, generatorWasLimit } from "../../bench/measure/arrival-round.js";
import { sharedMs } from "../../bench/process/clock.js";

test("a read lags from the first read after the poll on, and the next poll begins anew", async () => {
  const traffic = {
    ...{ deliveryLatency: new LatencyCounts(), receiptLatency: new LatencyCounts() },
    ...{ sendMeantFor() {}, flush() {}, holdAck() {} },
  };
  // Nothing is due: the schedule begins in an hour.
  const options = { ratePerSec: 1, devices: 2, seed: 1, startMs: sharedMs() + 3_600_000 };
  const arrivals = new Arrivals(traffic as unknown as Traffic, options, () => 0);
  arrivals.open();
  arrivals.start();
  const nowMs = sharedMs();
  arrivals.afterRead(0, nowMs);
  arrivals.afterRead(1, nowMs + 4);
  // The generator's own turn comes between two polls.
  await loopTurn();
  await loopTurn();
  arrivals.afterRead(0, nowMs + 20);
  const { readLagP99Ms } = arrivals.read();
  arrivals.stop();
  expect(readLagP99Ms).toBeGreaterThan(3.9);
  expect(readLagP99Ms).toBeLessThan(4.1);
});

test("a generator that sends or reads late, or is busier than what it measures, was the limit", () => {
  const wasLimit = (lagP99Ms: number, readLagP99Ms: number, busy = 0.5) =>
    generatorWasLimit({
      window: { lagP99Ms, readLagP99Ms, busy },
      round: { serverBusy: 0.5 },
    } as ArrivalRound);
  expect(wasLimit(0.9, 0.9)).toBe(false);
  expect(wasLimit(1.1, 0.9)).toBe(true);
  expect(wasLimit(0.9, 1.1)).toBe(true);
  expect(wasLimit(0.9, 0.9, 0.96)).toBe(true);
});

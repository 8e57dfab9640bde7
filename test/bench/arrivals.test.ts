/** What the generator of an open loop says of its own lateness. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Arrivals } from "../../bench/generator/arrivals.js";
import { LatencyCounts } from "../../bench/generator/latency.js";
import type { Traffic } from "../../bench/generator/traffic.js";
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
  await delay(1);
  const readOnce = (lagsMs: readonly number[]): void => {
    const nowMs = sharedMs();
    for (const lagMs of lagsMs) arrivals.afterRead(0, nowMs + lagMs);
  };
  readOnce([0, 4]);
  await delay(20);
  readOnce([0]);
  const { readLagP99Ms } = arrivals.read();
  arrivals.stop();
  expect(readLagP99Ms).toBeGreaterThan(3.9);
  expect(readLagP99Ms).toBeLessThan(4.1);
});

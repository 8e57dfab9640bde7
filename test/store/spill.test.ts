/** A spill is whole wherever its slices end: also on a machine so slow that each slice is over at the first look. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { numberedRun, testDevice } from "../support/journal-record.js";
import { range, readAll, StoreFixture, sequencesOf } from "../support/store-fixture.js";

let fixture: StoreFixture;

beforeEach(() => {
  fixture = new StoreFixture();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await fixture.cleanUp();
});

/** Every look at the clock finds an hour gone. */
function slowDown(): void {
  let nowMs = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => {
    nowMs += 3_600_000;
    return nowMs;
  });
}

// Runs are grouped 256 at a time: the counts that end with a look at the clock, and their neighbours.
test.each([1, 255, 256, 257, 512])(
  "%i runs reach their queues though no slice does more than one step",
  async (runs) => {
    const store = await fixture.open();
    const devices = range(1, 8).map((account) => testDevice(account));
    slowDown();
    await store.spill(
      range(0, runs - 1).map((i) => numberedRun(devices[i % 8]!, 1 + Math.floor(i / 8), 1, 100)),
      0,
    );
    vi.restoreAllMocks();
    const queued = devices.map((device) => sequencesOf(readAll(store, device)));
    expect(queued).toEqual(devices.map((_, i) => range(1, Math.ceil((runs - i) / 8))));
  },
);

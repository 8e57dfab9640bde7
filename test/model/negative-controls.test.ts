import { describe, expect, it } from "vitest";
import { lateCounters, mutants, withKernel } from "./mutants.js";
import { runWorlds } from "./run-worlds.js";

/** The same worlds for each kernel, so that what is caught does not depend on luck. */
const worlds = { seed: 1, operations: 120_000, operationsPerWorld: 6000 };

describe("the comparison with the model", () => {
  it("finds nothing wrong with the kernel as it is", async () => {
    const run = await withKernel([], (build) => runWorlds({ ...worlds, build, operations: 12_000 }));
    expect(run.operations).toBeGreaterThan(0);
  });

  it("finds nothing wrong when counters that never go back begin anew at 2^32", async () => {
    const run = await withKernel(lateCounters, (build) =>
      runWorlds({ ...worlds, build, operations: 24_000 }),
    );
    expect(run.happened.has("ring turned over")).toBe(true);
  });

  it.each(mutants)("catches a kernel that %s", async (_name, changes) => {
    await withKernel(changes, (build) => {
      expect(() => runWorlds({ ...worlds, build })).toThrow();
    });
  });
});

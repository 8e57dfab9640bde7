import { expect, it } from "vitest";
import { happenings, runAloud, wantedOperations } from "./run-worlds.js";

const operations = wantedOperations(300_000);

it(
  "the debug kernel does what its model does, in random worlds, and stays in its regions",
  () => {
    const run = runAloud("debug", operations);
    expect(run.operations).toBeGreaterThanOrEqual(operations);
    if (operations >= 300_000) {
      expect(happenings.filter((what) => !run.happened.has(what))).toEqual([]);
    }
  },
  Math.max(240_000, operations),
);

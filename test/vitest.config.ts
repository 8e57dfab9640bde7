/**
 * The suites. `fast` runs as many files at a time as there are cores, two at least: much of what they do is waiting for
 * processes, disks and deadlines. Files that load both cores by themselves are in `fast-alone`, and those that kill, starve
 * and time nodes in `faults`: one file at a time, after the others. `fast-once` runs beside `fast`, and need not run again
 * on another version of Node. A file named on the command line is found in whatever suite it is.
 */
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

const maxWorkers = Math.max(2, availableParallelism() - 1);

/** A server and one or more generators each, as busy as they can be. */
const fastAlone = ["test/bench/smoke.test.ts", "test/bench/load.test.ts", "test/bench/peers.test.ts"];

/**
 * The texts of the repository, and the kernels' differential operations with their mutants, whose compilation and random
 * worlds are the same on every Node. The kernels' own tests, with hostile bytes and vectors, are in `fast`. The harness of
 * the benchmark, whose parts are plain arithmetic; random histories of windows and queues, whose single steps are in `fast`;
 * and the demonstration's ciphers, which only tests have.
 */
const fastOnce = [
  "test/tidy.test.ts",
  "test/docs/**/*.test.ts",
  "test/bench/**/*.test.ts",
  "test/model/negative-controls.test.ts",
  "test/model/worlds-*.test.ts",
  "test/path/window-property.test.ts",
  "test/store/queue-model.test.ts",
  "test/ciphers/**/*.test.ts",
];

const fast = { testTimeout: 60_000 };
const faults = { testTimeout: 600_000 };
const alone = { fileParallelism: false };

export default defineConfig({
  test: {
    pool: "forks",
    root: ".",
    projects: [
      {
        extends: true,
        test: {
          ...{ name: "fast", ...fast, maxWorkers },
          include: ["test/**/*.test.ts"],
          exclude: ["test/faults/**", ...fastAlone, ...fastOnce],
        },
      },
      {
        extends: true,
        test: { name: "fast-once", ...fast, maxWorkers, include: fastOnce, exclude: fastAlone },
      },
      { extends: true, test: { name: "fast-alone", ...fast, ...alone, include: fastAlone } },
      { extends: true, test: { name: "faults", ...faults, ...alone, include: ["test/faults/**/*.test.ts"] } },
    ],
  },
});

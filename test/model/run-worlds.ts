/**
 * Runs random worlds one after another until so many operations were compared. Prints the seed first, so that a run
 * that hangs or is killed can be repeated. A difference says which world it came from: with that world's seed as
 * INTERLINE_SEED and INTERLINE_OPERATIONS=1 it comes again.
 */
import { type Build, Difference } from "./lockstep.js";
import { chosenSeed, Random } from "./random.js";
import { World } from "./world.js";

const OPERATIONS_PER_WORLD = 10_000;

export interface Run {
  readonly operations: number;
  /** What happened, and how often. */
  readonly happened: ReadonlyMap<string, number>;
}

/** Operations to compare: INTERLINE_OPERATIONS for a long run, else what the test says. */
export function wantedOperations(otherwise: number): number {
  return Number(process.env.INTERLINE_OPERATIONS || otherwise);
}

/** World i of a run has the seed `seed + i`. */
export function runWorlds(options: {
  readonly build: Build;
  readonly seed: number;
  readonly operations: number;
  readonly operationsPerWorld?: number;
}): Run {
  const { build, seed, operationsPerWorld = OPERATIONS_PER_WORLD } = options;
  const happened = new Map<string, number>();
  let operations = 0;
  for (let i = 0; operations < options.operations; i++) {
    const world = runWorld(build, (seed + i) >>> 0, operationsPerWorld);
    operations += world.pair.operations;
    for (const [what, times] of world.pair.happened) happened.set(what, (happened.get(what) ?? 0) + times);
  }
  return { operations, happened };
}

function runWorld(build: Build, seed: number, operations: number): World {
  const world = new World(new Random(seed), build);
  let turns = 0;
  try {
    for (; world.pair.operations < operations; turns++) world.step();
    world.finish();
  } catch (cause) {
    throw new Difference(`seed ${seed}, turn ${turns}: ${cause}`, { cause });
  }
  return world;
}

/** The same with the seed of this run, said aloud before and with the number of operations and the speed after. */
export function runAloud(build: "release" | "debug", operations: number): Run {
  const seed = chosenSeed();
  process.stdout.write(`kernel and model, ${build}: INTERLINE_SEED=${seed}\n`);
  const startMs = performance.now();
  const run = runWorlds({ build, seed, operations });
  const seconds = (performance.now() - startMs) / 1000;
  const perSecond = Math.round(run.operations / seconds);
  process.stdout.write(
    `kernel and model, ${build}: ${run.operations} operations compared in ${seconds.toFixed(1)} s, ${perSecond} a second\n`,
  );
  return run;
}

/** What a run of some hundred thousand operations has always met: else it proves less than it seems to. */
export const happenings: readonly string[] = [
  ...[0, 101, 103, 104, 301, 302, 303, 310, 311, 312, 401, 402, 403, 602, 640].map((code) => `code ${code}`),
  ...["unknown", "tooLarge", "stranger", "of 0", "of 1", "of 2"].map((found) => `audience ${found}`),
  "frames composed for a send",
  "frames composed for a span",
  "references spilled",
  "tables full",
  "column full",
  "inbox full",
  "ring turned over",
  "several records in a commit",
  "run acked before its spill",
  "resume refused",
  "receipt rode along",
  "receipt sent alone",
  "account given up",
  "connection late",
  "connection blocked",
  "connection replaced",
  "connection gone",
  "device removed",
  "connected device removed",
];

/**
 * How much a fault test does, and from which seed.
 *
 *   INTERLINE_FAULTS=full   the numbers of a full run instead of the short ones of every commit
 *   INTERLINE_SEED=<n>      repeats the choices of a run that printed this seed
 */
import { randomInt } from "node:crypto";
import { SeededRandom } from "../demo/seeded-random.js";

export const isFullRun = process.env.INTERLINE_FAULTS === "full";

/** The short number, or the full one. */
export function amount(numbers: { readonly short: number; readonly full: number }): number {
  return isFullRun ? numbers.full : numbers.short;
}

/** A generator whose seed is printed, from the environment if it gives one. */
export function seededRandom(name: string): SeededRandom {
  const given = process.env.INTERLINE_SEED;
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given);
  tell(`${name}: INTERLINE_SEED=${seed}`);
  return new SeededRandom(seed);
}

/** One line of what a test saw, for whoever reads its output. */
export function tell(line: string): void {
  process.stdout.write(`  ${line}\n`);
}

/**
 * Dedup: the kernel against JavaScript, on the same keys, in batches as the path hands them over. Before anything is
 * timed, all contestants answer the keys that fill their windows and must agree.
 *
 * Timing begins with the older generation full and the newest half full, which is how a window is on average, and
 * goes on from there.
 */
import { assert } from "../../src/base/assert.js";
import type { KernelsWorkload } from "../workloads/workloads.js";
import { type DedupContestant, type DedupOptions, type KeyPool, randomKeys } from "./dedup-contestant.js";
import { KernelDedup } from "./dedup-kernel.js";
import { SetOfBigints, SetOfStrings } from "./dedup-sets.js";
import { OpenAddressing } from "./dedup-table.js";
import { weighed } from "./memory.js";
import { alternate, type KernelResult, resultsOf } from "./result.js";

/** Batches per timed call: reading the clock is then no part of the figure. */
const BATCHES = 16;
/** Going round a pool of three windows gives new keys again: no key is remembered for more than two. */
const POOL_WINDOWS = 3;
const FILLED_WINDOWS = 1.5;
const NEVER_MS = 1e15;

export type MakeDedup = (options: DedupOptions) => DedupContestant;

const tables: readonly MakeDedup[] = [
  (options) => new KernelDedup(options),
  (options) => new OpenAddressing(options, false),
  (options) => new OpenAddressing(options, true),
];
/** A Set takes 2^24 entries and no more; and filling it at that size takes the better part of a minute. */
const sets: readonly MakeDedup[] = [
  (options) => new SetOfStrings(options),
  (options) => new SetOfBigints(options),
];

/** Whose entries are objects are left out of windows beyond `objectsMax`. */
export function dedupMakers(windowKeys: number, objectsMax: number): readonly MakeDedup[] {
  return windowKeys <= objectsMax ? [...tables, ...sets] : tables;
}

export function measureDedup(
  workload: KernelsWorkload,
  windowKeys: number,
  makers = dedupMakers(windowKeys, workload.objectsMax),
): KernelResult[] {
  const { batchKeys } = workload;
  const step = batchKeys * BATCHES;
  const keys = randomKeys(Math.ceil((windowKeys * POOL_WINDOWS) / step) * step, 1);
  const filling = { keys, batchKeys, count: Math.ceil((windowKeys * FILLED_WINDOWS) / step) * step };
  const filled = makers.map((make) => fill(make, windowKeys, filling));
  checkAgreement(filled);
  const answers = new Uint8Array(batchKeys);
  const timed = filled.map(({ contestant }) => {
    let at = filling.count;
    const run = () => {
      for (let i = 0; i < BATCHES; i++) contestant.take(keys, at + i * batchKeys, batchKeys, answers, 1);
      at = (at + step) % keys.count;
    };
    return { run, units: step };
  });
  return resultsOf(
    { kernel: "dedup", unit: "id", windowKeys, batchKeys },
    filled.map(({ contestant }) => contestant),
    alternate(timed, workload),
    filled.map(({ bytesPerEntry }) => bytesPerEntry),
  );
}

interface Filling {
  readonly keys: KeyPool;
  readonly batchKeys: number;
  /** Keys that are taken in before anything is timed. */
  readonly count: number;
}

interface Filled extends Answered {
  readonly bytesPerEntry: number;
}

export interface Answered {
  readonly contestant: DedupContestant;
  /** One for each key. */
  readonly answers: Uint8Array;
}

/** A contestant that has taken in the filling; its memory is what it takes beyond one with a window of a single key. */
function fill(make: MakeDedup, generationKeys: number, filling: Filling): Filled {
  const answers = new Uint8Array(filling.count);
  const small = weighed(() => {
    const contestant = make({ generationKeys: 1, generationMs: NEVER_MS });
    takeIn(contestant, { ...filling, count: filling.batchKeys }, answers);
    return contestant;
  });
  const { made: contestant, bytes } = weighed(() => {
    const made = make({ generationKeys, generationMs: NEVER_MS });
    takeIn(made, filling, answers);
    return made;
  });
  return { contestant, answers, bytesPerEntry: (bytes - small.bytes) / contestant.roomKeys };
}

export function takeIn(
  contestant: DedupContestant,
  { keys, batchKeys, count }: Filling,
  answers: Uint8Array,
): void {
  for (let at = 0; at < count; at += batchKeys) {
    contestant.take(keys, at, batchKeys, answers.subarray(at, at + batchKeys), 1);
  }
}

/** Throws unless all gave the same answer to every key. */
export function checkAgreement(filled: readonly Answered[]): void {
  const [first, ...others] = filled;
  assert(first !== undefined, "there is a contestant");
  for (const { contestant, answers } of others) {
    const agrees = Buffer.compare(first.answers, answers) === 0;
    assert(agrees, `${contestant.name} and ${first.contestant.name} differ in their answers`);
  }
}

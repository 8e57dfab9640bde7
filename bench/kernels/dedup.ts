/**
 * Dedup, measured with tinybench: the kernel against JavaScript, on the same
 * keys, with full windows, in batches as the path hands them over. Before
 * anything is timed, all contestants answer the whole pool twice and must agree.
 */
import { Bench } from "tinybench";
import { assert } from "../../src/base/assert.js";
import { median, spread } from "../measure/statistics.js";
import type { DedupWorkload } from "../workloads/workloads.js";
import { type DedupContestant, type DedupOptions, type KeyPool, randomKeys } from "./dedup-contestant.js";
import { KERNEL_NAME, KernelDedup } from "./dedup-kernel.js";
import { SetOfBigints, SetOfStrings } from "./dedup-sets.js";
import { OpenAddressing } from "./dedup-table.js";

export interface DedupResult {
  readonly kernel: "dedup";
  readonly contestant: string;
  readonly windowKeys: number;
  readonly batchKeys: number;
  /** Median, least and most of the rounds. */
  readonly nsPerKey: number;
  readonly nsPerKeyMin: number;
  readonly nsPerKeyMax: number;
  /** How many times as long as the kernel takes, median of the rounds' ratios; null without the kernel. */
  readonly timesKernel: number | null;
}

/** Batches per timed call: reading the clock is then no part of the figure. */
const BATCHES = 64;
const POOL_WINDOWS = 3;
const ROUNDS = 5;
const NEVER_MS = 1e12;

/** Measures in alternating rounds; the first contestant is the one the others are compared with. */
export async function measureDedup(
  workload: DedupWorkload,
  contestants: readonly DedupContestant[],
  onProgress: (text: string) => void,
): Promise<DedupResult[]> {
  const { windowKeys, batchKeys } = workload;
  const step = batchKeys * BATCHES;
  const pool = randomKeys(Math.ceil((windowKeys * POOL_WINDOWS) / step) * step, 1);
  onProgress("dedup: filling the windows");
  checkAgreement(contestants, pool, batchKeys);
  const runs = contestants.map((contestant) => ({ contestant, at: 0, ns: [] as number[] }));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const run of runs) {
      onProgress(`dedup: round ${round} of ${ROUNDS}, ${run.contestant.name}`);
      run.ns.push(await nsPerKey(run, pool, workload));
    }
  }
  const kernel = runs.find(({ contestant }) => contestant.name === KERNEL_NAME);
  return runs.map(({ contestant, ns }) => {
    const { median: nsPerKey, min, max } = spread(ns);
    return {
      kernel: "dedup",
      contestant: contestant.name,
      windowKeys,
      batchKeys,
      nsPerKey,
      nsPerKeyMin: min,
      nsPerKeyMax: max,
      timesKernel: kernel ? median(ns.map((value, round) => value / kernel.ns[round]!)) : null,
    };
  });
}

/** One timed run, which goes on in the pool where the last one stopped. */
async function nsPerKey(
  run: { readonly contestant: DedupContestant; at: number },
  pool: KeyPool,
  { batchKeys, measureMs }: DedupWorkload,
): Promise<number> {
  const bench = new Bench({ time: measureMs, warmupTime: measureMs / 4 });
  const answers = new Uint8Array(batchKeys);
  const { contestant } = run;
  bench.add(contestant.name, () => {
    for (let i = 0; i < BATCHES; i++) contestant.take(pool, run.at + i * batchKeys, batchKeys, answers, 1);
    run.at = (run.at + batchKeys * BATCHES) % pool.count;
  });
  const [task] = await bench.run();
  const result = task?.result;
  assert(result !== undefined && result.error === undefined, `${contestant.name} could be timed`);
  return (result.latency.mean * 1e6) / (batchKeys * BATCHES);
}

/** Every contestant, with its own window. */
export function dedupContestants({ windowKeys }: DedupWorkload): DedupContestant[] {
  const options: DedupOptions = { generationKeys: windowKeys, generationMs: NEVER_MS };
  return [
    new KernelDedup(options),
    new OpenAddressing(options, false),
    new OpenAddressing(options, true),
    new SetOfStrings(options),
    new SetOfBigints(options),
  ];
}

/** Throws unless all contestants give the same answer to every key, twice round the pool. */
export function checkAgreement(
  contestants: readonly DedupContestant[],
  pool: KeyPool,
  batchKeys: number,
): void {
  const expected = new Uint8Array(batchKeys);
  const answers = new Uint8Array(batchKeys);
  const [first, ...others] = contestants;
  assert(first !== undefined, "there is a contestant");
  for (let at = 0; at < 2 * pool.count; at += batchKeys) {
    first.take(pool, at % pool.count, batchKeys, expected, 1);
    for (const other of others) {
      other.take(pool, at % pool.count, batchKeys, answers, 1);
      const agrees = Buffer.compare(expected, answers) === 0;
      assert(agrees, `${other.name} and ${first.name} differ within the keys from ${at} on`);
    }
  }
}

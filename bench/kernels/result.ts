/** What a kernel's measurement gives, and how it is taken: contestants in alternating rounds, timed by tinybench. */
import { Bench } from "tinybench";
import { assert } from "../../src/base/assert.js";
import { median, spread } from "../measure/statistics.js";

export type KernelName = "dedup" | "parse" | "route" | "gather" | "turn" | "crc";

/** One contestant at one size. */
export interface KernelResult {
  readonly kernel: KernelName;
  /** What thresholds and `diff` call the contestant; `interline` is what the node runs. */
  readonly system: string;
  /** What reports call it. */
  readonly contestant: string;
  /** What is counted: an id, a send, an account, an entry, a KiB. */
  readonly unit: string;
  /** Ids that one of the two generations holds, accounts in the table, or bytes a call; what the kernel is measured at. */
  readonly windowKeys: number;
  /** Units in one call. */
  readonly batchKeys: number;
  /** Per unit: median, least and most of the rounds. */
  readonly nsPerKey: number;
  readonly nsPerKeyMin: number;
  readonly nsPerKeyMax: number;
  /** How many times as long as the kernel takes, median of the rounds' ratios; null without the kernel. */
  readonly timesKernel: number | null;
  /** Memory for each id or account held; null where nothing is held. */
  readonly bytesPerEntry: number | null;
  /** Per unit, one figure a round. */
  readonly roundsNs: readonly number[];
}

export interface Contestant {
  readonly system: string;
  readonly name: string;
}

/** What the node runs; the others are compared with it. */
export const INTERLINE = "interline";

export interface Timed {
  readonly run: () => void;
  /** Not timed, before each run. */
  readonly before?: () => void;
  /** Units of one run. */
  readonly units: number;
}

export interface Pace {
  readonly rounds: number;
  readonly measureMs: number;
}

/** Nanoseconds per unit: for each of `timed` one figure a round; rounds alternate. */
export function alternate(timed: readonly Timed[], { rounds, measureMs }: Pace): number[][] {
  const figures: number[][] = timed.map(() => []);
  for (let round = 0; round < rounds; round++) {
    timed.forEach((one, at) => {
      figures[at]?.push(nsPerUnit(one, measureMs));
    });
  }
  return figures;
}

function nsPerUnit({ run, before, units }: Timed, measureMs: number): number {
  const bench = new Bench({
    time: measureMs,
    iterations: 4,
    warmupTime: measureMs / 4,
    warmupIterations: 2,
    throws: true,
  });
  bench.add("run", run, before === undefined ? {} : { beforeEach: before });
  const [task] = bench.runSync();
  assert(task?.result !== undefined && "latency" in task.result, "it could be timed");
  return (task.result.latency.mean * 1e6) / units;
}

export interface Measured {
  readonly kernel: KernelName;
  readonly unit: string;
  readonly windowKeys: number;
  readonly batchKeys: number;
}

/** Rows of one kernel at one size; `ns` and `bytesPerEntry` are in the order of the contestants. */
export function resultsOf(
  measured: Measured,
  contestants: readonly Contestant[],
  ns: readonly (readonly number[])[],
  bytesPerEntry: readonly number[] | null,
): KernelResult[] {
  const reference = ns[contestants.findIndex(({ system }) => system === INTERLINE)];
  return contestants.map(({ system, name }, at) => {
    const roundsNs = ns[at]!;
    const { median: nsPerKey, min, max } = spread(roundsNs);
    return {
      ...measured,
      system,
      contestant: name,
      nsPerKey,
      nsPerKeyMin: min,
      nsPerKeyMax: max,
      timesKernel: reference ? median(roundsNs.map((value, round) => value / reference[round]!)) : null,
      bytesPerEntry: bytesPerEntry?.[at] ?? null,
      roundsNs,
    };
  });
}

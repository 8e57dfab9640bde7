/**
 * Latencies of one kind in one window, as an HdrHistogram. Recording into the
 * library's histogram costs 50 to 150 ns; a generator that shares the machine
 * records twice per message, so it counts into the same buckets itself (a few
 * nanoseconds) and pours the counts into the library's histogram at the end.
 * Values are whole microseconds with three significant digits, up to a minute.
 *
 *   index = value                                     below 2,048
 *         = 1,024 × power + (value >> power)          otherwise, power = bits above eleven
 */
import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from "hdr-histogram-js";

const MAX_US = 60_000_000;
const POWERS = 32 - 11;
/** A group is 8 µs wide below 2 ms, and at most 1 % of its value above. */
const BUCKETS_PER_GROUP = 8;

export class LatencyCounts {
  readonly #counts = new Uint32Array(1024 * (POWERS + 2));

  record(us: number): void {
    const value = Math.min(us, MAX_US);
    const power = value < 2048 ? 0 : 21 - Math.clz32(value);
    this.#counts[1024 * power + (value >>> power)]! += 1;
  }

  clear(): void {
    this.#counts.fill(0);
  }

  /** What was recorded, to be sent to the harness and merged there. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram());
  }

  /** Groups of buckets that are not empty, each followed by its count; for coarse-latency.ts, at next to no cost. */
  coarse(): number[] {
    const listed: number[] = [];
    for (let from = 0; from < this.#counts.length; from += BUCKETS_PER_GROUP) {
      let sum = 0;
      for (let at = from; at < from + BUCKETS_PER_GROUP; at++) sum += this.#counts[at]!;
      if (sum > 0) listed.push(from / BUCKETS_PER_GROUP, sum);
    }
    return listed;
  }

  /** Undefined when nothing was recorded. */
  percentiles(): Percentiles | undefined {
    return percentilesOf(this.#histogram());
  }

  #histogram(): Histogram {
    const histogram = newHistogram();
    this.#counts.forEach((count, index) => {
      if (count > 0) histogram.recordValueWithCount(valueAt(index), count);
    });
    return histogram;
  }
}

/** The highest value of a group of buckets. */
export function groupEndUs(group: number): number {
  return valueAt((group + 1) * BUCKETS_PER_GROUP) - 1;
}

/** The lowest value of a bucket. */
function valueAt(index: number): number {
  if (index < 2048) return index;
  const power = Math.floor(index / 1024) - 1;
  return (index - 1024 * power) * 2 ** power;
}

function newHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_US,
    numberOfSignificantValueDigits: 3,
  });
}

export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** Histograms are merged, percentiles never averaged. Undefined when nothing was recorded. */
export function mergedPercentiles(encoded: readonly string[]): Percentiles | undefined {
  return percentilesOf(merged(encoded));
}

function percentilesOf(histogram: Histogram): Percentiles | undefined {
  if (histogram.totalCount === 0) return undefined;
  const ms = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1000;
  return {
    count: histogram.totalCount,
    p50Ms: ms(50),
    p99Ms: ms(99),
    p999Ms: ms(99.9),
    maxMs: ms(100),
  };
}

/** The latency in milliseconds at each of the percentiles; undefined when nothing was recorded. */
export function latencyCurve(
  encoded: readonly string[],
  percentiles: readonly number[],
): number[] | undefined {
  const histogram = merged(encoded);
  if (histogram.totalCount === 0) return undefined;
  return percentiles.map((percentile) => histogram.getValueAtPercentile(percentile) / 1000);
}

/** Several histograms as one, encoded like them. */
export function mergedLatency(encoded: readonly string[]): string {
  return encodeIntoCompressedBase64(merged(encoded));
}

function merged(encoded: readonly string[]): Histogram {
  const histogram = newHistogram();
  for (const one of encoded) histogram.add(decodeFromCompressedBase64(one) as never);
  return histogram;
}

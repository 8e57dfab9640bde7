/**
 * Latencies while they are being recorded. What a generator tells of them every
 * second must cost it next to nothing, and must add up over processes and
 * subtract over time; so it lists groups of buckets and their counts, in turn
 * (LatencyCounts.coarse). Results come from the histograms themselves.
 */
import { groupEndUs } from "./latency.js";

export class CoarseLatency {
  readonly #counts = new Map<number, number>();

  /** The sum of what several processes listed. */
  constructor(lists: readonly (readonly number[])[]) {
    for (const list of lists) {
      for (let at = 0; at < list.length; at += 2) {
        const group = list[at]!;
        this.#counts.set(group, (this.#counts.get(group) ?? 0) + list[at + 1]!);
      }
    }
  }

  /** Of what was recorded since `before`, or since the window opened; null when that is nothing. */
  percentileMs(percentile: number, before?: CoarseLatency): number | null {
    const earlier = before === undefined ? new Map<number, number>() : before.#counts;
    const since = [...this.#counts]
      .map(([group, count]) => [group, count - (earlier.get(group) ?? 0)] as const)
      .filter(([, count]) => count > 0)
      .sort(([a], [b]) => a - b);
    const total = since.reduce((sum, [, count]) => sum + count, 0);
    let left = (total * percentile) / 100;
    for (const [group, count] of since) {
      left -= count;
      if (left <= 0) return groupEndUs(group) / 1000;
    }
    return null;
  }
}

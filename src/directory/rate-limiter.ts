/**
 * Rates of many, each counted by a key. Bounded: when it is full, the one that was counted first is forgotten, and
 * begins anew; it takes that many others to be forgotten.
 */
import { type BucketSize, spend } from "../rules/token-bucket.js";

export class RateLimiter {
  /** When each will be full again. */
  readonly #buckets = new Map<string, number>();
  readonly #size: BucketSize;
  readonly #countMax: number;

  constructor(size: BucketSize, countMax: number) {
    this.#size = size;
    this.#countMax = countMax;
  }

  /** 0: taken; else after how long there are so many again. */
  take(key: string, nowMs: number, count = 1): number {
    const { fullAtMs, retryAfterMs } = spend(this.#buckets.get(key) ?? 0, this.#size, nowMs, count);
    this.#buckets.set(key, fullAtMs);
    if (this.#buckets.size > this.#countMax) {
      for (const first of this.#buckets.keys()) {
        this.#buckets.delete(first);
        break;
      }
    }
    return retryAfterMs;
  }
}

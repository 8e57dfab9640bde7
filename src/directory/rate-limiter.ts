/**
 * Rates of many, each counted by a key. Bounded: when it is full, the one that was counted first is forgotten, and
 * begins anew; it takes that many others to be forgotten.
 */
import { type Bucket, fullBucket, type Rate, takeUse } from "../rules/rates.js";

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #rate: Rate;
  readonly #countMax: number;

  constructor(rate: Rate, countMax: number) {
    this.#rate = rate;
    this.#countMax = countMax;
  }

  /** 0: taken; else after how long there is one again. */
  take(key: string, nowMs: number): number {
    const bucket = this.#buckets.get(key) ?? fullBucket(this.#rate, nowMs);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#countMax) {
      for (const first of this.#buckets.keys()) {
        this.#buckets.delete(first);
        break;
      }
    }
    return takeUse(bucket, this.#rate, nowMs);
  }
}

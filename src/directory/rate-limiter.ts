/**
 * Rates of many addresses, counted one by one. Bounded: when it is full, the one that was counted first is forgotten, and
 * begins anew; it takes that many others to be forgotten.
 */
import { toHex } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import { type BucketSize, spend } from "../rules/token-bucket.js";
import { CodedError } from "../wire/coded-error.js";

export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
  /** Addresses that are counted at a time. */
  readonly countedMax: number;
  readonly clock: Clock;
}

export class RateLimiter {
  /** When each will be full again. */
  readonly #buckets = new Map<string, number>();
  readonly #size: BucketSize;
  readonly #countedMax: number;
  readonly #clock: Clock;

  constructor({ burst, perSecond, countedMax, clock }: Rate) {
    this.#size = { tokens: burst, refillMs: 1_000 / perSecond };
    this.#countedMax = countedMax;
    this.#clock = clock;
  }

  /** Throws CodedError rateLimited, with the time after which there are so many again. */
  take(address: Uint8Array, count = 1): void {
    const key = toHex(address);
    const nowMs = this.#clock.monotonicMs();
    const { fullAtMs, retryAfterMs } = spend(this.#buckets.get(key) ?? 0, this.#size, nowMs, count);
    this.#buckets.set(key, fullAtMs);
    if (this.#buckets.size > this.#countedMax) {
      for (const first of this.#buckets.keys()) {
        this.#buckets.delete(first);
        break;
      }
    }
    if (retryAfterMs > 0) throw new CodedError("rateLimited", { retryAfterMs });
  }
}

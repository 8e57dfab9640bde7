/** Looks at both clocks once a sweep and says by what time entries expire (rules/expiry.ts); tells when that is not the wall clock's. */
import type { Clock } from "../base/clock.js";
import { type ClockBounds, type Judged, judgeClock } from "../rules/expiry.js";

export class ExpiryClock {
  readonly #clock: Clock;
  readonly #bounds: ClockBounds;
  readonly #onDoubt: (isDoubted: boolean, aheadMs: number) => void;
  #judged: Judged | undefined;
  #aheadMs = 0;

  constructor(clock: Clock, bounds: ClockBounds, onDoubt: (isDoubted: boolean, aheadMs: number) => void) {
    this.#clock = clock;
    this.#bounds = bounds;
    this.#onDoubt = onDoubt;
    this.look();
  }

  /** How far the wall clock was ahead of it at the last look. */
  get aheadMs(): number {
    return this.#aheadMs;
  }

  look(): number {
    const wallMs = this.#clock.wallMs();
    const wasDoubted = this.#judged?.doubtedMs !== undefined;
    this.#judged = judgeClock(this.#judged, { wallMs, monotonicMs: this.#clock.monotonicMs() }, this.#bounds);
    this.#aheadMs = wallMs - this.#judged.expiryMs;
    const isDoubted = this.#judged.doubtedMs !== undefined;
    if (isDoubted !== wasDoubted) this.#onDoubt(isDoubted, this.#aheadMs);
    return this.#judged.expiryMs;
  }
}

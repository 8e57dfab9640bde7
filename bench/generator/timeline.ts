/**
 * How many messages had been delivered at which time, noted about once a
 * millisecond, and in a long run at longer and longer intervals. The server says at which moments its CPU time was read; the count
 * at exactly those moments is interpolated, so that neither side has to wait for
 * the other while it is busy.
 */
const SAMPLES_MAX = 1 << 17;
const SPACING_MS_MIN = 1;

export class Timeline {
  readonly #times = new Float64Array(SAMPLES_MAX);
  readonly #counts = new Float64Array(SAMPLES_MAX);
  #length = 0;
  #nextMs = 0;
  #spacingMs = SPACING_MS_MIN;

  clear(): void {
    this.#length = 0;
    this.#nextMs = 0;
    this.#spacingMs = SPACING_MS_MIN;
  }

  note(nowMs: number, count: number): void {
    if (nowMs < this.#nextMs) return;
    if (this.#length === SAMPLES_MAX) this.#thin();
    this.#times[this.#length] = nowMs;
    this.#counts[this.#length] = count;
    this.#length += 1;
    this.#nextMs = nowMs + this.#spacingMs;
  }

  /** The count at a moment; before the first or after the last note, theirs. */
  countAt(ms: number): number {
    const times = this.#times.subarray(0, this.#length);
    let after = times.findIndex((time) => time > ms);
    if (after < 0) after = this.#length;
    if (after === 0) return this.#counts[0]!;
    if (after === this.#length) return this.#counts[after - 1]!;
    const share = (ms - times[after - 1]!) / (times[after]! - times[after - 1]!);
    return this.#counts[after - 1]! + share * (this.#counts[after]! - this.#counts[after - 1]!);
  }

  /** Every second note goes, and those to come are twice as far apart. */
  #thin(): void {
    this.#length /= 2;
    this.#spacingMs *= 2;
    for (let at = 0; at < this.#length; at++) {
      this.#times[at] = this.#times[2 * at]!;
      this.#counts[at] = this.#counts[2 * at]!;
    }
  }
}

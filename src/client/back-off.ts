/** The pauses between attempts: random up to a bound that doubles, so that clients that lost one node together do not come back together. */

const BASE_MS = 500;
const CAP_MS = 30_000;

export class BackOff {
  readonly #baseMs: number;
  readonly #capMs: number;
  /** Attempts since the last connection that became live. */
  #failures = 0;

  constructor({ baseMs = BASE_MS, capMs = CAP_MS }: { baseMs?: number; capMs?: number } = {}) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
  }

  nextMs(): number {
    const boundMs = Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.random() * boundMs;
  }

  reset(): void {
    this.#failures = 0;
  }
}

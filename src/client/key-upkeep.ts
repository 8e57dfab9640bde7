/**
 * Keeps this device's keys at the node as its cipher wants them: at the start, when the node says that one-time keys
 * are few, and by age.
 *
 *   start, lowKeys, the timer ─▶ keys.stock ─▶ cipher.refill ─▶ keys.upload ─▶ cipher.uploaded
 *
 * Invariants. One such round at a time, so that two notices of one shortage make one upload. The cipher has a key before the
 * node has it, and hears that the node has it only from the node. A round that failed in the background is made again, not
 * before the node's own delay.
 */
import type { SuiteName } from "../wire/keys.js";
import type { Cipher } from "./cipher.js";
import type { Keys } from "./keys.js";
import { OneAtATime } from "./one-at-a-time.js";

/** Keys are looked at this often within their age, and at least this often. */
const LOOKS_PER_AGE = 4;
const LOOK_MS_MAX = 6 * 3600_000;
const AFTER_FAILURE_MS = 60_000;

export interface KeyUpkeepOptions<Suite extends SuiteName> {
  readonly keys: Pick<Keys, "stock" | "upload">;
  readonly cipher: Cipher<Suite>;
  /** Where everything happens that the cipher does. */
  readonly turns: OneAtATime;
  readonly ageMs: number;
  readonly keptMs: number;
}

export class KeyUpkeep<Suite extends SuiteName> {
  readonly #options: KeyUpkeepOptions<Suite>;
  readonly #rounds = new OneAtATime();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;

  constructor(options: KeyUpkeepOptions<Suite>) {
    this.#options = options;
  }

  /** One round; from then on they come by themselves. Keys of `ageMs` and older are made anew. Rejects as the requests do. */
  async publish(ageMs = this.#options.ageMs): Promise<void> {
    try {
      await this.#rounds.run(() => this.#round(ageMs));
    } finally {
      this.#next(this.#lookMs);
    }
  }

  /** A round that nobody waits for. */
  look(): void {
    this.publish().catch((error: { readonly retryAfterMs?: number }) => {
      this.#next(Math.min(Math.max(error.retryAfterMs ?? 0, AFTER_FAILURE_MS), this.#lookMs));
    });
  }

  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }

  get #lookMs(): number {
    return Math.min(this.#options.ageMs / LOOKS_PER_AGE, LOOK_MS_MAX);
  }

  #next(afterMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isEnded) this.#timer = setTimeout(() => this.look(), afterMs);
  }

  async #round(ageMs: number): Promise<void> {
    const { keys, cipher, turns, keptMs } = this.#options;
    const stocks = await keys.stock();
    const upload = await turns.run(() => cipher.refill(stocks, { nowMs: Date.now(), ageMs, keptMs }));
    if (upload === undefined) return;
    await keys.upload(upload);
    await turns.run(async () => cipher.uploaded?.(upload, Date.now()));
  }
}

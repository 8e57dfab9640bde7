/** Dedup as most people would write it: a Set of keys per generation. */
import { type DedupContestant, type DedupOptions, KEY_BYTES, type KeyPool } from "./dedup-contestant.js";

export class SetOfStrings implements DedupContestant {
  readonly system = "set-of-strings";
  readonly name = "Set of strings";
  readonly memory = "heap";
  readonly #options: DedupOptions;
  #older = new Set<string>();
  #newest = new Set<string>();
  #newestSinceMs = 0;

  constructor(options: DedupOptions) {
    this.#options = options;
  }

  get roomKeys(): number {
    return this.#older.size + this.#newest.size;
  }

  take(keys: KeyPool, first: number, count: number, answers: Uint8Array, nowMs: number): void {
    const { generationKeys, generationMs } = this.#options;
    for (let i = 0; i < count; i++) {
      const at = (first + i) * KEY_BYTES;
      const key = keys.bytes.toString("latin1", at, at + KEY_BYTES);
      const isDuplicate = this.#newest.has(key) || this.#older.has(key);
      answers[i] = isDuplicate ? 1 : 0;
      if (isDuplicate) continue;
      if (this.#newest.size >= generationKeys || nowMs - this.#newestSinceMs >= generationMs) {
        this.#older = this.#newest;
        this.#newest = new Set();
        this.#newestSinceMs = nowMs;
      }
      this.#newest.add(key);
    }
  }
}

export class SetOfBigints implements DedupContestant {
  readonly system = "set-of-bigints";
  readonly name = "Set of bigints";
  readonly memory = "heap";
  readonly #options: DedupOptions;
  #older = new Set<bigint>();
  #newest = new Set<bigint>();
  #newestSinceMs = 0;

  constructor(options: DedupOptions) {
    this.#options = options;
  }

  get roomKeys(): number {
    return this.#older.size + this.#newest.size;
  }

  take(keys: KeyPool, first: number, count: number, answers: Uint8Array, nowMs: number): void {
    const { generationKeys, generationMs } = this.#options;
    const { view } = keys;
    for (let i = 0; i < count; i++) {
      const at = (first + i) * KEY_BYTES;
      const id = (view.getBigUint64(at + 4, true) << 64n) | view.getBigUint64(at + 12, true);
      const key = (id << 32n) | BigInt(view.getUint32(at, true));
      const isDuplicate = this.#newest.has(key) || this.#older.has(key);
      answers[i] = isDuplicate ? 1 : 0;
      if (isDuplicate) continue;
      if (this.#newest.size >= generationKeys || nowMs - this.#newestSinceMs >= generationMs) {
        this.#older = this.#newest;
        this.#newest = new Set();
        this.#newestSinceMs = nowMs;
      }
      this.#newest.add(key);
    }
  }
}

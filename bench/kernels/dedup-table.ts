/**
 * Dedup in JavaScript, tuned: the opponent that counts. Per generation an index
 * with linear probing, at most half full, and the keys in the order they came:
 *
 *   index: u32 per place   | tag: high bits of the hash | 1 + number of the key |   0 is empty
 *   keys:  5 words each, appended: a new key costs no scattered write
 *
 * A lookup reads one cache line of the index and, in one case of some thousands,
 * a key in vain. The hash is seeded like the kernel's, because ids are chosen by
 * senders.
 *
 * Looking ahead, a batch first computes all its hashes and touches their places,
 * so that the cache misses overlap, as in the kernel. It halves the time, and
 * nobody would think of it who has not profiled: both are measured.
 */
import { type DedupContestant, type DedupOptions, KEY_WORDS, type KeyPool } from "./dedup-contestant.js";

const BATCH_MAX = 1024;

export class OpenAddressing implements DedupContestant {
  readonly system: string;
  readonly name: string;
  readonly memory = "buffers";
  readonly roomKeys: number;
  readonly #options: DedupOptions;
  readonly #looksAhead: boolean;
  /** Low bits of a hash: its place; low bits of an entry: the key's number. */
  readonly #mask: number;
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  readonly #hashes = new Int32Array(BATCH_MAX);
  #newestIndex: Uint32Array;
  #newestKeys: Uint32Array;
  #newestCount = 0;
  #newestSinceMs = 0;
  #olderIndex: Uint32Array;
  #olderKeys: Uint32Array;
  /** So that touching is not optimised away. */
  #touched = 0;

  constructor(options: DedupOptions, looksAhead: boolean) {
    const { generationKeys } = options;
    const places = 2 ** (Math.ceil(Math.log2(generationKeys)) + 1);
    this.system = looksAhead ? "js-table-ahead" : "js-table";
    this.name = looksAhead ? "JavaScript table, looking ahead" : "JavaScript table";
    this.roomKeys = 2 * generationKeys;
    this.#options = options;
    this.#looksAhead = looksAhead;
    this.#mask = places - 1;
    this.#newestIndex = new Uint32Array(places);
    this.#newestKeys = new Uint32Array(generationKeys * KEY_WORDS);
    this.#olderIndex = new Uint32Array(places);
    this.#olderKeys = new Uint32Array(generationKeys * KEY_WORDS);
  }

  take(pool: KeyPool, first: number, count: number, answers: Uint8Array, nowMs: number): void {
    const { words } = pool;
    const hashes = this.#hashes;
    if (nowMs - this.#newestSinceMs >= this.#options.generationMs) this.#rotate(nowMs);
    for (let i = 0; i < count; i++) hashes[i] = hashOf(words, (first + i) * KEY_WORDS, this.#seed);
    if (this.#looksAhead) this.#touch(count);
    for (let i = 0; i < count; i++) {
      const at = (first + i) * KEY_WORDS;
      const hash = hashes[i]!;
      const isDuplicate =
        this.#isIn(this.#newestIndex, this.#newestKeys, hash, words, at) ||
        this.#isIn(this.#olderIndex, this.#olderKeys, hash, words, at);
      answers[i] = isDuplicate ? 1 : 0;
      if (isDuplicate) continue;
      if (this.#newestCount === this.#options.generationKeys) this.#rotate(nowMs);
      this.#put(hash, words, at);
    }
  }

  /** One key at `at` of `words`; its hash is kept for the `remember` that may follow. */
  isDuplicate(words: Uint32Array, at: number): boolean {
    const hash = hashOf(words, at, this.#seed);
    this.#hashes[0] = hash;
    return (
      this.#isIn(this.#newestIndex, this.#newestKeys, hash, words, at) ||
      this.#isIn(this.#olderIndex, this.#olderKeys, hash, words, at)
    );
  }

  /** Takes in the key of the last `isDuplicate`, which answered no. */
  remember(words: Uint32Array, at: number, nowMs: number): void {
    this.rotateIfDue(nowMs);
    this.#put(this.#hashes[0]!, words, at);
  }

  /** Ages the window: before a key is put, and in the kernel at the beginning of a turn. */
  rotateIfDue(nowMs: number): void {
    const isOver = nowMs - this.#newestSinceMs >= this.#options.generationMs;
    if (isOver || this.#newestCount === this.#options.generationKeys) this.#rotate(nowMs);
  }

  #touch(count: number): void {
    const newest = this.#newestIndex;
    const older = this.#olderIndex;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const place = this.#hashes[i]! & this.#mask;
      touched ^= newest[place]! ^ older[place]!;
    }
    this.#touched ^= touched;
  }

  #isIn(index: Uint32Array, keys: Uint32Array, hash: number, words: Uint32Array, at: number): boolean {
    const mask = this.#mask;
    let place = hash & mask;
    let entry = index[place]!;
    while (entry !== 0) {
      if (((entry ^ hash) & ~mask) === 0) {
        const key = ((entry & mask) - 1) * KEY_WORDS;
        if (
          keys[key + 1] === words[at + 1] &&
          keys[key + 2] === words[at + 2] &&
          keys[key + 3] === words[at + 3] &&
          keys[key + 4] === words[at + 4] &&
          keys[key] === words[at]
        ) {
          return true;
        }
      }
      place = (place + 1) & mask;
      entry = index[place]!;
    }
    return false;
  }

  #put(hash: number, words: Uint32Array, at: number): void {
    const mask = this.#mask;
    const index = this.#newestIndex;
    const keys = this.#newestKeys;
    let place = hash & mask;
    while (index[place] !== 0) place = (place + 1) & mask;
    const key = this.#newestCount * KEY_WORDS;
    keys[key] = words[at]!;
    keys[key + 1] = words[at + 1]!;
    keys[key + 2] = words[at + 2]!;
    keys[key + 3] = words[at + 3]!;
    keys[key + 4] = words[at + 4]!;
    this.#newestCount += 1;
    index[place] = (hash & ~mask) | this.#newestCount;
  }

  #rotate(nowMs: number): void {
    [this.#newestIndex, this.#olderIndex] = [this.#olderIndex, this.#newestIndex];
    [this.#newestKeys, this.#olderKeys] = [this.#olderKeys, this.#newestKeys];
    this.#newestIndex.fill(0);
    this.#newestCount = 0;
    this.#newestSinceMs = nowMs;
  }
}

function hashOf(words: Uint32Array, at: number, seed: number): number {
  let h = seed ^ words[at]!;
  h = Math.imul(h ^ words[at + 1]!, 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h + words[at + 2]!, 0xc2b2ae35);
  h ^= h >>> 13;
  h = Math.imul(h ^ words[at + 3]!, 0x9e3779b1);
  h ^= h >>> 16;
  h = Math.imul(h + words[at + 4]!, 0x27d4eb2f);
  return h ^ (h >>> 15);
}

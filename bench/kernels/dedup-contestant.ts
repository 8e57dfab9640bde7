/**
 * One way to answer "has this device sent this id before?". All have the same
 * semantics: exact; two generations of a whole window each; a new key goes into the
 * newest; when that is full, or has had its time, the older one is forgotten: a key
 * is remembered for at least one window. A key is 20 bytes, little endian:
 *
 *   | ordinal u32 | envelope id 16 |
 */
import type { MemoryKind } from "./memory.js";
import type { Contestant } from "./result.js";

export const KEY_BYTES = 20;
export const KEY_WORDS = 5;

export interface DedupOptions {
  /** Keys that one of the two generations holds. */
  readonly generationKeys: number;
  readonly generationMs: number;
}

export interface DedupContestant extends Contestant {
  readonly memory: MemoryKind;
  /** Keys of both generations that its memory is enough for, as it is now. */
  readonly roomKeys: number;
  /** Takes in `count` keys from key number `first` of `keys` on; writes 1 for each duplicate, 0 for each new key. */
  take(keys: KeyPool, first: number, count: number, answers: Uint8Array, nowMs: number): void;
}

/** Keys one after the other, with the views that the contestants read them through. */
export class KeyPool {
  readonly count: number;
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly view: DataView;

  constructor(count: number) {
    const memory = new ArrayBuffer(count * KEY_BYTES);
    this.count = count;
    this.bytes = Buffer.from(memory);
    this.words = new Uint32Array(memory);
    this.view = new DataView(memory);
  }
}

/**
 * Random keys of a thousand devices. One in a hundred repeats a key a little
 * before it; because the pool is longer than the window, going round it again
 * gives new keys again.
 */
export function randomKeys(count: number, seed: number): KeyPool {
  const pool = new KeyPool(count);
  const { words } = pool;
  let state = seed >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let key = 0; key < count; key++) {
    const at = key * KEY_WORDS;
    if (key > 1000 && random() % 100 === 0) {
      const repeated = (key - 1 - (random() % 1000)) * KEY_WORDS;
      words.copyWithin(at, repeated, repeated + KEY_WORDS);
    } else {
      words[at] = 1 + (random() % 1000);
      for (let word = 1; word < KEY_WORDS; word++) words[at + word] = random();
    }
  }
  return pool;
}

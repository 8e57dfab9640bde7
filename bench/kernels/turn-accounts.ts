/**
 * Accounts in JavaScript, tuned: open addressing over addresses of 18 bytes.
 *
 *   index     u32 per place   | tag: high bits of the hash | 1 + number of the account |   0 is empty; at most half full
 *   records   8 words each    | address 18 + 2 of zero | version | first device | devices |
 *   devices   number u16 and slot u32, those of one account side by side
 *
 * A lookup reads one cache line of the index and one of the records. The hash is seeded like the kernel's.
 */
import { assert } from "../../src/base/assert.js";
import type { ResidentAccount } from "../../src/kernel/kernel.js";
import { limits } from "../../src/rules/limits.js";

const RECORD_WORDS = 8;
const VERSION = 5;
const FIRST_DEVICE = 6;
const DEVICE_COUNT = 7;

export class AccountTable {
  readonly #mask: number;
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  readonly #index: Uint32Array;
  readonly #records: Uint32Array;
  readonly #numbers: Uint16Array;
  readonly #ahead = new Uint32Array(limits.accountsPerSendMax);
  /** So that touching is not optimised away. */
  #touched = 0;
  #count = 0;
  #deviceCount = 0;

  /** Devices get their slots in the order in which they are added. */
  constructor(accountsMax: number, devicesMax: number) {
    const places = 2 ** (Math.ceil(Math.log2(accountsMax)) + 1);
    this.#mask = places - 1;
    this.#index = new Uint32Array(places);
    this.#records = new Uint32Array(accountsMax * RECORD_WORDS);
    this.#numbers = new Uint16Array(devicesMax);
  }

  add({ address, version, devices }: ResidentAccount): void {
    const view = new DataView(address.buffer, address.byteOffset, address.length);
    const account = this.#count++;
    const record = account * RECORD_WORDS;
    const records = this.#records;
    assert(record < records.length, "the table has room");
    for (let word = 0; word < 4; word++) records[record + word] = view.getUint32(4 * word, true);
    records[record + 4] = view.getUint16(16, true);
    records[record + VERSION] = version;
    records[record + FIRST_DEVICE] = this.#deviceCount;
    records[record + DEVICE_COUNT] = devices.length;
    for (const { number } of devices) this.#numbers[this.#deviceCount++] = number;
    const hash = this.#hash(view, 0);
    let place = hash & this.#mask;
    while (this.#index[place] !== 0) place = (place + 1) & this.#mask;
    this.#index[place] = (hash & ~this.#mask) | (account + 1);
  }

  #hash(view: DataView, at: number): number {
    let h = this.#seed ^ view.getUint32(at, true);
    h = Math.imul(h ^ view.getUint32(at + 4, true), 0x85ebca6b);
    h ^= h >>> 15;
    h = Math.imul(h + view.getUint32(at + 8, true), 0xc2b2ae35);
    h ^= h >>> 13;
    h = Math.imul(h ^ view.getUint32(at + 12, true), 0x9e3779b1);
    h ^= h >>> 16;
    h = Math.imul(h + view.getUint16(at + 16, true), 0x27d4eb2f);
    return h ^ (h >>> 15);
  }

  /** The account whose address is at `at` of the view, or -1. */
  find(view: DataView, at: number): number {
    const mask = this.#mask;
    const records = this.#records;
    const hash = this.#hash(view, at);
    let place = hash & mask;
    let entry = this.#index[place]!;
    while (entry !== 0) {
      if (((entry ^ hash) & ~mask) === 0) {
        const record = ((entry & mask) - 1) * RECORD_WORDS;
        if (
          records[record] === view.getUint32(at, true) &&
          records[record + 1] === view.getUint32(at + 4, true) &&
          records[record + 2] === view.getUint32(at + 8, true) &&
          records[record + 3] === view.getUint32(at + 12, true) &&
          records[record + 4] === view.getUint16(at + 16, true)
        ) {
          return record / RECORD_WORDS;
        }
      }
      place = (place + 1) & mask;
      entry = this.#index[place]!;
    }
    return -1;
  }

  /**
   * Reads a word of the index and of the record for each of `count` addresses, whose offsets stand `stride` apart in
   * `offsets`: their cache misses overlap, and the `find` of each that follows has none.
   */
  lookAhead(view: DataView, offsets: Float64Array, stride: number, count: number): void {
    const entries = this.#ahead;
    for (let i = 0; i < count; i++) {
      entries[i] = this.#index[this.#hash(view, offsets[i * stride]!) & this.#mask]!;
    }
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const account = (entries[i]! & this.#mask) - 1;
      if (account >= 0) touched ^= this.#records[account * RECORD_WORDS]!;
    }
    this.#touched ^= touched;
  }

  version(account: number): number {
    return this.#records[account * RECORD_WORDS + VERSION]!;
  }

  deviceCount(account: number): number {
    return this.#records[account * RECORD_WORDS + DEVICE_COUNT]!;
  }

  firstDevice(account: number): number {
    return this.#records[account * RECORD_WORDS + FIRST_DEVICE]!;
  }

  /** The position of a device number among the account's, or -1. */
  devicePosition(account: number, number: number): number {
    const first = this.firstDevice(account);
    const count = this.deviceCount(account);
    for (let i = 0; i < count; i++) if (this.#numbers[first + i] === number) return i;
    return -1;
  }
}

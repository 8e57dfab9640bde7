/**
 * Writes the part of msgpack that msgpack.ts reads, each value in its shortest
 * form. `uint64` and `bin32` are for frames whose shape on the wire is fixed.
 */
import { assert } from "../base/assert.js";
import type { MsgpackValue } from "./msgpack-value.js";

const UINT32_RANGE = 0x1_0000_0000;

const utf8Encoder = new TextEncoder();

/** Appends values to a buffer that grows; reuse it: `take` leaves it empty. */
export class MsgpackWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written; the writer is empty afterwards. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  uint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "an unsigned integer up to 2^53 - 1");
    if (value < 0x80) this.#big(value, 1);
    else if (value < 0x100) this.#headed(0xcc, value, 1);
    else if (value < 0x1_0000) this.#headed(0xcd, value, 2);
    else if (value < UINT32_RANGE) this.#headed(0xce, value, 4);
    else this.#headed(0xcf, value, 8);
  }

  /** An unsigned integer in its widest form, for frames of fixed shape. */
  uint64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "an unsigned integer up to 2^53 - 1");
    this.#headed(0xcf, value, 8);
  }

  /** An unsigned integer in 32 bits, for frames of fixed shape. */
  uint32(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value < UINT32_RANGE, "an unsigned integer of 32 bits");
    this.#headed(0xce, value, 4);
  }

  array(count: number): void {
    if (count < 16) this.#big(0x90 | count, 1);
    else this.#headed(0xdc, this.#count16(count), 2);
  }

  map(count: number): void {
    if (count < 16) this.#big(0x80 | count, 1);
    else this.#headed(0xde, this.#count16(count), 2);
  }

  bin(value: Uint8Array): void {
    if (value.length < 0x100) this.#headed(0xc4, value.length, 1);
    else if (value.length < 0x1_0000) this.#headed(0xc5, value.length, 2);
    else this.#headed(0xc6, value.length, 4);
    this.raw(value);
  }

  /** A byte string with a header of 16 bits, for frames of fixed shape. */
  bin16(value: Uint8Array): void {
    this.#headed(0xc5, this.#count16(value.length), 2);
    this.raw(value);
  }

  /** A byte string with its widest header, for frames of fixed shape. */
  bin32(value: Uint8Array): void {
    this.#headed(0xc6, value.length, 4);
    this.raw(value);
  }

  str(text: string): void {
    const value = utf8Encoder.encode(text);
    if (value.length < 32) this.#big(0xa0 | value.length, 1);
    else if (value.length < 0x100) this.#headed(0xd9, value.length, 1);
    else if (value.length < 0x1_0000) this.#headed(0xda, value.length, 2);
    else this.#headed(0xdb, value.length, 4);
    this.raw(value);
  }

  nil(): void {
    this.#big(0xc0, 1);
  }

  bool(value: boolean): void {
    this.#big(value ? 0xc3 : 0xc2, 1);
  }

  /** Anything that MsgpackReader.value gives, of numbers only unsigned integers. Fields that are undefined are left out. */
  value(value: MsgpackValue | undefined): void {
    if (value === null || value === undefined) this.nil();
    else if (typeof value === "boolean") this.bool(value);
    else if (typeof value === "number") this.uint(value);
    else if (typeof value === "string") this.str(value);
    else if (value instanceof Uint8Array) this.bin(value);
    else if (Array.isArray(value)) {
      this.array(value.length);
      for (const item of value) this.value(item);
    } else {
      const entries = Object.entries(value).filter(([, item]) => item !== undefined);
      this.map(entries.length);
      for (const [key, item] of entries) {
        this.str(key);
        this.value(item as MsgpackValue);
      }
    }
  }

  /** Bytes that are msgpack already. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #count16(count: number): number {
    assert(count < 0x1_0000, "a count of 16 bits");
    return count;
  }

  #headed(head: number, value: number, width: number): void {
    this.#big(head, 1);
    this.#big(value, width);
  }

  #big(value: number, width: number): void {
    this.#reserve(width);
    let rest = value;
    for (let i = this.#length + width - 1; i >= this.#length; i--) {
      this.#bytes[i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#length += width;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * A small bounded msgpack reader for both ends: the edge reads `hello` with it
 * before anybody is authenticated, and the client, which has no dependency,
 * reads everything with it. msgpack-writer.ts writes.
 *
 * What it knows, a strict part of msgpack:
 *
 *   uint    positive fixint, cc cd ce cf: any width, up to 2^53 - 1
 *   array   fixarray, dc        map   fixmap, de, keys are strings and differ
 *   bin     c4 c5 c6            str   fixstr, d9 da db, valid UTF-8
 *   nil, true, false; and only inside bodies (`value`): signed integers and floats
 *
 * Extensions, array32 and map32 are refused: no frame of protocol v1 needs them.
 *
 * Invariants. Bad bytes make the reader throw one thing only, CodedError
 * `badFrame`. It never reads outside its bytes. It allocates nothing for a
 * length or a count that it has only been promised: a header that claims more
 * than is left is refused first, and a body is bounded in depth and in items.
 *
 * Byte strings are returned as views of the input, never copied.
 */
import { assert } from "../base/assert.js";
import { CodedError } from "./coded-error.js";
import type { MsgpackMap, MsgpackValue } from "./msgpack-value.js";

/** A body (welcome, a refusal's detail) nests at most this deep … */
export const BODY_DEPTH_MAX = 8;
/** … and holds at most this many values … */
export const BODY_ITEMS_MAX = 2048;
/** … a refusal's detail this many: 257 rosters with every device missing and as many surplus need about 10,500. */
export const DETAIL_ITEMS_MAX = 16_384;

const UINT32_RANGE = 0x1_0000_0000;

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The one error of this folder's readers. */
export function badFrame(detail: string): CodedError {
  return new CodedError("badFrame", { detail });
}

export class MsgpackReader {
  readonly bytes: Uint8Array;
  /** Where the next value begins. */
  offset: number;
  #itemsLeft = 0;

  constructor(bytes: Uint8Array, offset = 0) {
    assert(offset >= 0 && offset <= bytes.length, "a reader begins inside its bytes");
    this.bytes = bytes;
    this.offset = offset;
  }

  get atEnd(): boolean {
    return this.offset >= this.bytes.length;
  }

  /** An unsigned integer in any width, at most `max`. */
  uint(max: number = Number.MAX_SAFE_INTEGER): number {
    const head = this.#byte();
    let value: number;
    if (head < 0x80) value = head;
    else if (head >= 0xcc && head <= 0xcf) value = this.#uintOf(1 << (head - 0xcc));
    else throw badFrame("an unsigned integer is expected");
    if (value > max) throw badFrame("an integer is out of range");
    return value;
  }

  /** The element count of an array. */
  array(): number {
    const head = this.#byte();
    let count: number;
    if ((head & 0xf0) === 0x90) count = head & 0x0f;
    else if (head === 0xdc) count = this.#uintOf(2);
    else throw badFrame("an array is expected");
    return this.#promised(count, 1);
  }

  /** Reads the header of an array that must have exactly `count` elements. */
  arrayOf(count: number): void {
    if (this.array() !== count) throw badFrame("an array has the wrong number of elements");
  }

  /** A byte string: a view of the input. */
  bin(bytesMax: number = Number.MAX_SAFE_INTEGER): Uint8Array {
    const head = this.#byte();
    if (head < 0xc4 || head > 0xc6) throw badFrame("a byte string is expected");
    return this.#take(this.#uintOf(1 << (head - 0xc4)), bytesMax);
  }

  /** A byte string of exactly this length: a view of the input. */
  binOf(length: number): Uint8Array {
    const value = this.bin();
    if (value.length !== length) throw badFrame(`a byte string of ${length} bytes is expected`);
    return value;
  }

  str(bytesMax: number = Number.MAX_SAFE_INTEGER): string {
    const head = this.#byte();
    let length: number;
    if ((head & 0xe0) === 0xa0) length = head & 0x1f;
    else if (head >= 0xd9 && head <= 0xdb) length = this.#uintOf(1 << (head - 0xd9));
    else throw badFrame("a string is expected");
    const bytes = this.#take(length, bytesMax);
    try {
      return utf8Decoder.decode(bytes);
    } catch {
      throw badFrame("a string is not valid UTF-8");
    }
  }

  /** Any value of the known part of msgpack, bounded by BODY_DEPTH_MAX and `itemsMax`. */
  value(itemsMax = BODY_ITEMS_MAX): MsgpackValue {
    this.#itemsLeft = itemsMax;
    return this.#value(0);
  }

  /** A map, bounded like `value`. */
  body(itemsMax = BODY_ITEMS_MAX): MsgpackMap {
    const value = this.value(itemsMax);
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
      throw badFrame("a map is expected");
    }
    return value as MsgpackMap;
  }

  /**
   * Steps over one value and allocates nothing. At most BODY_DEPTH_MAX deep;
   * the number of items is bounded only by the bytes.
   */
  skip(): void {
    this.#skip(0);
  }

  #value(depth: number): MsgpackValue {
    if (depth > BODY_DEPTH_MAX) throw badFrame("a body is nested too deeply");
    if (--this.#itemsLeft < 0) throw badFrame("a body holds too many values");
    const head = this.#peek();
    if (head < 0x80 || (head >= 0xcc && head <= 0xcf)) return this.uint();
    if ((head & 0xf0) === 0x80 || head === 0xde) return this.#map(depth);
    if ((head & 0xf0) === 0x90 || head === 0xdc) {
      const count = this.array();
      const values: MsgpackValue[] = [];
      for (let i = 0; i < count; i++) values.push(this.#value(depth + 1));
      return values;
    }
    if ((head & 0xe0) === 0xa0 || (head >= 0xd9 && head <= 0xdb)) return this.str();
    if (head >= 0xc4 && head <= 0xc6) return this.bin();
    return this.#scalar();
  }

  #map(depth: number): MsgpackValue {
    const count = this.#mapHeader();
    const map: Record<string, MsgpackValue> = Object.create(null);
    for (let i = 0; i < count; i++) {
      if (--this.#itemsLeft < 0) throw badFrame("a body holds too many values");
      const key = this.str();
      if (key in map) throw badFrame("a map has a key twice");
      map[key] = this.#value(depth + 1);
    }
    return map;
  }

  #mapHeader(): number {
    const head = this.#byte();
    return this.#promised(head === 0xde ? this.#uintOf(2) : head & 0x0f, 2);
  }

  /** nil, booleans, floats and signed integers. */
  #scalar(): MsgpackValue {
    const head = this.#byte();
    if (head >= 0xe0) return head - 0x100;
    if (head === 0xc0) return null;
    if (head === 0xc2) return false;
    if (head === 0xc3) return true;
    const width = scalarBytes(head);
    if (width === 0) throw badFrame("a value of an unknown type");
    const taken = this.#take(width, width);
    const view = new DataView(taken.buffer, taken.byteOffset, width);
    if (head === 0xca) return view.getFloat32(0);
    if (head === 0xcb) return view.getFloat64(0);
    if (width === 1) return view.getInt8(0);
    if (width === 2) return view.getInt16(0);
    if (width === 4) return view.getInt32(0);
    const value = view.getInt32(0) * UINT32_RANGE + view.getUint32(4);
    if (!Number.isSafeInteger(value)) throw badFrame("an integer is out of range");
    return value;
  }

  #skip(depth: number): void {
    if (depth > BODY_DEPTH_MAX) throw badFrame("a value is nested too deeply");
    const head = this.#peek();
    let children = 0;
    if ((head & 0xf0) === 0x80 || head === 0xde) children = 2 * this.#mapHeader();
    else if ((head & 0xf0) === 0x90 || head === 0xdc) children = this.array();
    else if ((head & 0xe0) === 0xa0) this.#take(1 + (head & 0x1f));
    else if (head >= 0xd9 && head <= 0xdb) this.#skipCounted(1 << (head - 0xd9));
    else if (head >= 0xc4 && head <= 0xc6) this.#skipCounted(1 << (head - 0xc4));
    else if (head >= 0xcc && head <= 0xcf) this.#take(1 + (1 << (head - 0xcc)));
    else if (head < 0x80 || head >= 0xe0 || head === 0xc0 || head === 0xc2 || head === 0xc3) this.offset += 1;
    else if (scalarBytes(head) > 0) this.#take(1 + scalarBytes(head));
    else throw badFrame("a value of an unknown type");
    for (let i = 0; i < children; i++) this.#skip(depth + 1);
  }

  #skipCounted(width: number): void {
    this.offset += 1;
    this.#take(this.#uintOf(width));
  }

  #peek(): number {
    const head = this.bytes[this.offset];
    if (head === undefined) throw badFrame("the bytes end inside a frame");
    return head;
  }

  #byte(): number {
    const head = this.#peek();
    this.offset += 1;
    return head;
  }

  /** A big-endian unsigned integer of 1, 2, 4 or 8 bytes; inexact above 2^53, which `uint` refuses. */
  #uintOf(width: number): number {
    const { bytes, offset } = this;
    if (offset + width > bytes.length) throw badFrame("the bytes end inside a frame");
    this.offset = offset + width;
    let value = 0;
    for (let i = offset; i < offset + width; i++) value = value * 256 + (bytes[i] as number);
    return value;
  }

  #take(length: number, bytesMax: number = Number.MAX_SAFE_INTEGER): Uint8Array {
    if (length > this.bytes.length - this.offset) throw badFrame("the bytes end inside a frame");
    if (length > bytesMax) throw badFrame("a string is longer than allowed");
    const from = this.offset;
    this.offset = from + length;
    return this.bytes.subarray(from, this.offset);
  }

  /** Refuses a count that what is left cannot hold. */
  #promised(count: number, bytesEach: number): number {
    if (count * bytesEach > this.bytes.length - this.offset) throw badFrame("a count exceeds the bytes");
    return count;
  }
}

/** The bytes after the head of a float or a signed integer; 0 when `head` is neither. */
function scalarBytes(head: number): number {
  if (head === 0xca) return 4;
  if (head === 0xcb) return 8;
  return head >= 0xd0 && head <= 0xd3 ? 1 << (head - 0xd0) : 0;
}

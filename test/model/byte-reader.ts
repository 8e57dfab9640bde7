/**
 * The model's reader of msgpack: slow, obvious, and on its own (it shares nothing with assembly/msgpack.ts or
 * src/wire). Everything that cannot be read throws Unreadable.
 */
export class Unreadable extends Error {}

/** How deep a value may nest inside a frame. */
const DEPTH_MAX = 8;

/** Bytes after the head: nil, false, true, floats, unsigned and signed integers. */
const FIXED = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
]);

/** Bytes of the length that follows the head: byte strings, then texts. */
const COUNTED = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
]);

export class ByteReader {
  at: number;

  constructor(
    private readonly bytes: Uint8Array,
    from = 0,
  ) {
    this.at = from;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  private byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new Unreadable();
    this.at++;
    return byte;
  }

  /** An integer of `width` bytes; above 2^53 it is rounded, which no rule can tell from the exact number. */
  private big(width: number): number {
    let value = 0n;
    for (let i = 0; i < width; i++) value = value * 256n + BigInt(this.byte());
    return Number(value);
  }

  private take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new Unreadable();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  uint(): number {
    const head = this.byte();
    if (head < 0x80) return head;
    if (head === 0xcc) return this.big(1);
    if (head === 0xcd) return this.big(2);
    if (head === 0xce) return this.big(4);
    if (head === 0xcf) return this.big(8);
    throw new Unreadable();
  }

  array(): number {
    const head = this.byte();
    if (head >= 0x90 && head <= 0x9f) return head - 0x90;
    if (head === 0xdc) return this.big(2);
    throw new Unreadable();
  }

  bin(): Uint8Array {
    const head = this.byte();
    if (head === 0xc4) return this.take(this.big(1));
    if (head === 0xc5) return this.take(this.big(2));
    if (head === 0xc6) return this.take(this.big(4));
    throw new Unreadable();
  }

  /** Steps over one value of any type that is no extension and no array or map of 2^16 or more. */
  skip(depth = 0): void {
    if (depth > DEPTH_MAX) throw new Unreadable();
    const head = this.byte();
    if (head <= 0x7f || head >= 0xe0) return;
    const fixed = head >= 0xa0 && head <= 0xbf ? head - 0xa0 : FIXED.get(head);
    const counted = COUNTED.get(head);
    if (head <= 0x8f) this.skipValues(2 * (head - 0x80), depth);
    else if (head <= 0x9f) this.skipValues(head - 0x90, depth);
    else if (head === 0xdc) this.skipValues(this.big(2), depth);
    else if (head === 0xde) this.skipValues(2 * this.big(2), depth);
    else if (fixed !== undefined) this.take(fixed);
    else if (counted !== undefined) this.take(this.big(counted));
    else throw new Unreadable();
  }

  private skipValues(count: number, depth: number): void {
    for (let i = 0; i < count; i++) this.skip(depth + 1);
  }
}

/**
 * Builds client frames for the random tests. Every number and length may be written wider than it needs to be, as
 * msgpack allows; the same draws give the same bytes.
 */
import type { Random } from "./random.js";

export interface SendParty {
  readonly account: Uint8Array;
  readonly version: number;
  readonly devices: readonly { readonly number: number; readonly payload: Uint8Array }[];
}

/** How often a number is written wider than it needs to be. */
const WIDER = 0.05;

export class FrameBuilder {
  private parts: Uint8Array[] = [];

  constructor(private readonly random: Random) {}

  take(): Uint8Array {
    const bytes = Buffer.concat(this.parts);
    this.parts = [];
    return bytes;
  }

  private put(head: number, value: number, width: number): this {
    const bytes = new Uint8Array(1 + width);
    bytes[0] = head;
    let rest = BigInt(value);
    for (let i = width; i > 0; i--) {
      bytes[i] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    this.parts.push(bytes);
    return this;
  }

  /** The exponent of the width to write: the least that takes the value, or a wider one. */
  private width(least: number, most: number): number {
    return this.random.chance(WIDER) ? this.random.between(least, most) : least;
  }

  uint(value: number): this {
    const least = value < 0x80 ? -1 : value < 0x100 ? 0 : value < 0x1_0000 ? 1 : value < 2 ** 32 ? 2 : 3;
    const width = this.width(least, 3);
    return width < 0 ? this.put(value, 0, 0) : this.put(0xcc + width, value, 1 << width);
  }

  array(count: number): this {
    const isWide = count > 15 || this.random.chance(WIDER);
    return isWide ? this.put(0xdc, count, 2) : this.put(0x90 + count, 0, 0);
  }

  bin(bytes: Uint8Array): this {
    const least = bytes.length < 0x100 ? 0 : bytes.length < 0x1_0000 ? 1 : 2;
    const width = this.width(least, 2);
    this.put(0xc4 + width, bytes.length, 1 << width);
    this.parts.push(bytes);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    return this;
  }

  send(id: Uint8Array, parties: readonly SendParty[]): this {
    this.array(3).uint(2).bin(id).array(parties.length);
    for (const { account, version, devices } of parties) {
      this.array(3).bin(account).uint(version).array(devices.length);
      for (const { number, payload } of devices) this.array(2).uint(number).bin(payload);
    }
    return this;
  }

  sharedSend(id: Uint8Array, shared: Uint8Array, parties: readonly SendParty[]): this {
    this.array(4).uint(8).bin(id).bin(shared).array(parties.length);
    for (const { account, version, devices } of parties) {
      this.array(3).bin(account).uint(version).array(devices.length);
      for (const { number, payload } of devices) this.array(2).uint(number).bin(payload);
    }
    return this;
  }

  groupSend(
    id: Uint8Array,
    group: { readonly address: Uint8Array; readonly version: number },
    shared: Uint8Array,
    blocks: readonly { readonly account: Uint8Array; readonly number: number; readonly block: Uint8Array }[],
  ): this {
    this.array(6).uint(9).bin(id).bin(group.address).uint(group.version).bin(shared).array(blocks.length);
    for (const { account, number, block } of blocks) this.array(3).bin(account).uint(number).bin(block);
    return this;
  }

  ownSend(id: Uint8Array, number: number, payload: Uint8Array): this {
    return this.array(4).uint(10).bin(id).uint(number).bin(payload);
  }

  ack(sequence: number): this {
    return this.array(2).uint(3).uint(sequence);
  }

  ping(nonce: number): this {
    return this.array(2).uint(5).uint(nonce);
  }

  /** A control frame with any value in it, well-formed or not. */
  control(depth = 0): this {
    this.array(this.random.pick([2, 3]));
    this.uint(this.random.between(4, 7));
    return this.value(depth).value(depth);
  }

  /** Any msgpack value; now and then a head that nothing follows, a wrong count, or a type that is refused. */
  value(depth: number): this {
    const { random } = this;
    const head = random.weighted([
      [6, random.below(0x80)],
      [2, random.between(0xe0, 0xff)],
      [2, random.pick([0xc0, 0xc2, 0xc3])],
      [4, 0xcc + random.below(8)],
      [2, random.pick([0xca, 0xcb])],
      [4, random.pick([0xa0 + random.below(32), 0xd9, 0xda, 0xdb])],
      [4, random.pick([0xc4, 0xc5, 0xc6])],
      [8, random.pick([0x80 + random.below(5), 0x90 + random.below(6), 0xdc, 0xde])],
      [1, random.pick([0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xdd, 0xdf])],
    ]);
    if (head >= 0xcc && head <= 0xd3) return this.filled(head, 1 << ((head - 0xcc) & 3));
    if (head === 0xca || head === 0xcb) return this.filled(head, head === 0xca ? 4 : 8);
    if (head >= 0xa0 && head <= 0xbf) return this.filled(head, head - 0xa0);
    if (head >= 0xc4 && head <= 0xc6) return this.counted(head, 1 << (head - 0xc4));
    if (head >= 0xd9 && head <= 0xdb) return this.counted(head, 1 << (head - 0xd9));
    if (head >= 0x80 && head <= 0x8f) return this.put(head, 0, 0).values(2 * (head - 0x80), depth);
    if (head >= 0x90 && head <= 0x9f) return this.put(head, 0, 0).values(head - 0x90, depth);
    if (head === 0xdc || head === 0xde) {
      const count = random.below(4);
      return this.put(head, count, 2).values(head === 0xde ? 2 * count : count, depth);
    }
    return this.put(head, 0, 0);
  }

  private filled(head: number, length: number): this {
    this.put(head, 0, 0);
    return this.raw(this.random.bytes(length));
  }

  private counted(head: number, width: number): this {
    const length = this.random.below(40);
    return this.put(head, length, width).raw(this.random.bytes(length));
  }

  private values(count: number, depth: number): this {
    // Deep enough to reach the bound on nesting and the level beyond it, rarely.
    for (let i = 0; i < count; i++) {
      if (depth > 9 || (i > 0 && depth > 2)) this.put(0, 0, 0);
      else this.value(depth + 1);
    }
    return this;
  }
}

/** Breaks a message: flips bits, cuts it short, repeats a stretch, or puts another length somewhere. */
export function damage(random: Random, bytes: Uint8Array): Uint8Array {
  const broken = Buffer.from(bytes);
  if (broken.length === 0) return broken;
  const at = random.below(broken.length);
  switch (random.below(5)) {
    case 0:
      broken[at] = (broken[at] as number) ^ (1 << random.below(8));
      return broken;
    case 1:
      return broken.subarray(0, at);
    case 2:
      return Buffer.concat([broken.subarray(0, at), broken.subarray(random.below(broken.length))]);
    case 3:
      broken[at] = random.pick([0xc4, 0xc5, 0xc6, 0xcf, 0xdc, 0xdd, 0xde, 0xdf, 0x9f, 0x8f, 0xff, 0x00]);
      return broken;
    default:
      broken.set(random.bytes(Math.min(8, broken.length - at)), at);
      return broken;
  }
}

/**
 * A second judge of the random worlds, which knows nothing of how the kernel works: whatever is sent to a connection
 * must be, after the entries its device had acked, every entry of that device, once, in order and byte for byte; and
 * no receipt may name a position that is not committed.
 */
import { textOf } from "./dedup-window.js";
import { Difference } from "./lockstep.js";

export interface Entry {
  readonly sequence: number;
  readonly frame: Uint8Array;
}

export class Deliveries {
  /** All entries ever laid out, by device. */
  private readonly entries = new Map<string, Entry[]>();

  add(device: Uint8Array, entry: Entry): void {
    const name = textOf(device);
    const entries = this.entries.get(name);
    if (entries === undefined) this.entries.set(name, [entry]);
    else entries.push(entry);
  }

  of(device: Uint8Array): readonly Entry[] {
    return this.entries.get(textOf(device)) ?? [];
  }

  /** The device was removed: one of the same number begins with nothing. */
  forget(device: Uint8Array): void {
    this.entries.delete(textOf(device));
  }

  /** A connection that begins after this floor. */
  begin(device: Uint8Array, floor: number): Stream {
    const entries = this.of(device);
    let next = entries.length;
    while (next > 0 && (entries[next - 1] as Entry).sequence > floor) next--;
    return new Stream(this, device, next);
  }

  /** Every device of which something was laid out. */
  get devices(): Uint8Array[] {
    return [...this.entries.keys()].map((name) => new Uint8Array(Buffer.from(name, "latin1")));
  }
}

export class Stream {
  private told = 0;
  /** The highest position that a commit covers. */
  durable = 0;

  constructor(
    private readonly deliveries: Deliveries,
    readonly device: Uint8Array,
    private next: number,
  ) {}

  get isComplete(): boolean {
    return this.next === this.deliveries.of(this.device).length;
  }

  take(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length)
      at += bytes[at] === 0x93 ? this.takeReceipt(bytes, at) : this.takeEntry(bytes, at);
  }

  private takeReceipt(bytes: Uint8Array, at: number): number {
    const position = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(3);
    if (position <= this.told) throw new Difference(`receipt ${position} after receipt ${this.told}`);
    if (position > this.durable) {
      throw new Difference(`receipt ${position}, but only ${this.durable} sends are committed`);
    }
    this.told = position;
    return 8;
  }

  private takeEntry(bytes: Uint8Array, at: number): number {
    const expected = this.deliveries.of(this.device)[this.next];
    if (expected === undefined)
      throw new Difference("more is sent to a device than was ever laid out for it");
    const { sequence, frame } = expected;
    if (Buffer.compare(bytes.subarray(at, at + frame.length), frame) !== 0) {
      throw new Difference(`entry ${sequence} is not what is sent next to its device`);
    }
    this.next++;
    return frame.length;
  }
}

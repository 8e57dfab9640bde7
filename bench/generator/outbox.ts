/**
 * What one read triggers and one write takes away, for dialects whose parts have
 * no fixed order or length: templates and short texts are copied one behind the
 * other, and what differs is filled in.
 *
 * A buffer that the kernel has not taken whole is left alone for good.
 */
import { assert } from "../../src/base/assert.js";
import type { Wire } from "./dialect.js";
import { COUNTER_OFFSET, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";

const OUTBOX_BYTES = 256 * 1024;

export class Outbox {
  bytes = new Uint8Array(OUTBOX_BYTES);
  view = new DataView(this.bytes.buffer);
  #end = 0;

  /** Whether `length` more bytes fit; if not, what is there has to be written first. */
  hasRoom(length: number): boolean {
    return this.#end + length <= OUTBOX_BYTES;
  }

  /** Copies a part behind what is there; returns where it begins. */
  add(part: Uint8Array): number {
    const at = this.#end;
    assert(at + part.length <= OUTBOX_BYTES, "a part fits the outbox");
    this.bytes.set(part, at);
    this.#end = at + part.length;
    return at;
  }

  /** The same for [from, to) of `bytes`: a few bytes, without an object. */
  addRange(bytes: Uint8Array, from: number, to: number): number {
    const at = this.#end;
    assert(at + to - from <= OUTBOX_BYTES, "a part fits the outbox");
    const own = this.bytes;
    for (let i = from; i < to; i++) own[at + i - from] = bytes[i]!;
    this.#end = at + to - from;
    return at;
  }

  /** Writes what a payload at `at` says about itself (payload.ts). */
  stampPayload(at: number, sender: number, target: number, counter: number, stamp: number): void {
    const view = this.view;
    view.setUint32(at + TARGET_OFFSET, target, true);
    view.setUint32(at + SENDER_OFFSET, sender, true);
    view.setUint32(at + COUNTER_OFFSET, counter, true);
    view.setUint32(at + STAMP_OFFSET, stamp, true);
  }

  /** Writes everything in one write; nothing when nothing is there. */
  writeTo(wire: Wire, connection: number): void {
    if (this.#end === 0) return;
    const taken = wire.write(connection, this.bytes.subarray(0, this.#end));
    this.#end = 0;
    if (taken) return;
    this.bytes = new Uint8Array(OUTBOX_BYTES);
    this.view = new DataView(this.bytes.buffer);
  }
}

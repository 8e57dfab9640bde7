/**
 * What each device has sent and has no answer for yet: how long receipts take,
 * and what to send again after a refusal. Receipts are cumulative, so per device
 * two counters and rings are enough:
 *
 *   stamps, targets, counters [device][position & mask]   of the send with that position
 *
 * A refused send is answered too: a later receipt that passes its position says
 * nothing about it. The ring bounds how many sends of a device may be unanswered.
 */
import { assert } from "../../src/base/assert.js";
import type { LatencyCounts } from "./latency.js";

/** A send that was refused. */
export interface RefusedSend {
  readonly target: number;
  readonly counter: number;
  readonly stamp: number;
}

export class SendLog {
  /** Sends without receipt or refusal, over all devices. */
  outstanding = 0;
  refusedCount = 0;
  /** Receipts by the durability they name. */
  readonly byDurability = new Map<number, number>();
  longestGapUs = 0;
  readonly #latencies: LatencyCounts;
  readonly #ring: number;
  readonly #stamps: Uint32Array;
  readonly #targets: Uint32Array;
  readonly #counters: Uint32Array;
  readonly #sent: Uint32Array;
  readonly #receipted: Uint32Array;
  /** Per device, refused positions that no receipt has passed. */
  readonly #refused = new Map<number, Set<number>>();
  #lastStamp = 0;

  /** Devices 0 to `senders` − 1 send, each at most `perDeviceMax` without an answer. */
  constructor(
    size: { readonly devices: number; readonly senders: number; readonly perDeviceMax: number },
    latencies: LatencyCounts,
  ) {
    const { devices, senders, perDeviceMax } = size;
    this.#ring = 2 ** Math.ceil(Math.log2(perDeviceMax + 1));
    this.#latencies = latencies;
    this.#stamps = new Uint32Array(senders * this.#ring);
    this.#targets = new Uint32Array(senders * this.#ring);
    this.#counters = new Uint32Array(senders * this.#ring);
    this.#sent = new Uint32Array(devices);
    this.#receipted = new Uint32Array(devices);
  }

  /** Positions count per connection: a new one begins at zero. */
  reset(device: number): void {
    const refused = this.#refused.get(device)?.size ?? 0;
    this.outstanding -= this.#sent[device]! - this.#receipted[device]! - refused;
    this.#refused.delete(device);
    this.#sent[device] = 0;
    this.#receipted[device] = 0;
  }

  /** Whether the device may send before it has an answer to something. */
  hasRoom(device: number): boolean {
    return this.#sent[device]! + 1 - this.#receipted[device]! < this.#ring;
  }

  /** Returns the send's position. */
  sent(device: number, target: number, counter: number, stamp: number): number {
    const position = this.#sent[device]! + 1;
    this.#sent[device] = position;
    const at = this.#at(device, position);
    this.#stamps[at] = stamp;
    this.#targets[at] = target;
    this.#counters[at] = counter;
    this.outstanding += 1;
    return position;
  }

  /** Returns how many sends this receipt covers that none before covered. */
  receipted(device: number, position: number, durability: number, stamp: number, measuring: boolean): number {
    assert(position <= this.#sent[device]!, "a receipt is for something that was sent");
    const before = this.#receipted[device]!;
    if (position <= before) return 0;
    const refused = this.#refused.size === 0 ? undefined : this.#refused.get(device);
    let covered = 0;
    for (let at = before + 1; at <= position; at++) {
      if (refused?.delete(at)) continue;
      covered += 1;
      if (measuring) this.#latencies.record((stamp - this.#stamps[this.#at(device, at)]!) >>> 0);
    }
    if (refused?.size === 0) this.#refused.delete(device);
    if (measuring) this.noteGap(stamp);
    this.#receipted[device] = position;
    this.outstanding -= covered;
    this.byDurability.set(durability, (this.byDurability.get(durability) ?? 0) + 1);
    return covered;
  }

  /** The send with this position was refused. */
  refused(device: number, position: number): RefusedSend {
    const isOpen = position > this.#receipted[device]! && position <= this.#sent[device]!;
    assert(isOpen, "a refusal is for a send that has no answer yet");
    const refused = this.#refused.get(device) ?? new Set();
    this.#refused.set(device, refused.add(position));
    this.outstanding -= 1;
    this.refusedCount += 1;
    const at = this.#at(device, position);
    return { target: this.#targets[at]!, counter: this.#counters[at]!, stamp: this.#stamps[at]! };
  }

  /** The window opens: the time since the last receipt counts from here. */
  begin(stamp: number): void {
    this.#lastStamp = stamp;
    this.longestGapUs = 0;
    this.byDurability.clear();
  }

  /** A receipt at `stamp`, or the end of the window. */
  noteGap(stamp: number): void {
    const gap = (stamp - this.#lastStamp) >>> 0;
    if (gap > this.longestGapUs) this.longestGapUs = gap;
    this.#lastStamp = stamp;
  }

  #at(device: number, position: number): number {
    return device * this.#ring + (position & (this.#ring - 1));
  }
}

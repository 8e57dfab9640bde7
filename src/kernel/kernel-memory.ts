/**
 * The kernel's memory as its host sees it: the calls, the words at their addresses, and what stands in a device's slot.
 * Views stay valid for ever because the memory never grows after its regions were reserved.
 */
import * as L from "../../assembly/layout.js";
import { DEVICE_ADDRESS_BYTES } from "../base/address.js";
import { assert } from "../base/assert.js";
import { type Call, instantiate } from "./wasm.js";

const TWO_32 = 2 ** 32;

export class KernelMemory {
  /** The whole memory: for views that are handed to sockets and to the store. */
  readonly bytes: Uint8Array;
  protected readonly words: Uint32Array;
  protected readonly floats: Float64Array;
  /** Where a region begins. */
  protected readonly region: (name: string) => number;
  protected readonly at: Readonly<
    Record<"control" | "sends" | "outcomes" | "attention" | "spans" | "spills" | "slots" | "needed", number>
  >;
  private readonly calls: Record<string, Call>;
  private readonly slotsMax: number;

  /** `reserve` makes the one call that lays the regions out and grows the memory. */
  constructor(build: "release" | "debug" | URL, reserve: (call: (name: string) => Call) => void) {
    const { calls, memory, region } = instantiate(build);
    this.calls = calls;
    reserve((name) => this.call(name));
    this.region = region;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.floats = new Float64Array(memory.buffer);
    this.slotsMax = region("slotsMax");
    this.at = {
      control: region("control"),
      sends: region("sends"),
      outcomes: region("outcomes"),
      attention: region("attention"),
      spans: region("spans"),
      spills: region("spills"),
      slots: region("slots"),
      needed: region("needed"),
    };
  }

  protected call(name: string): Call {
    return this.calls[name] as Call;
  }

  protected control(field: number): number {
    return this.words[(this.at.control + field) >> 2] as number;
  }

  protected word(address: number): number {
    return this.words[address >> 2] as number;
  }

  protected wide(address: number): number {
    return this.word(address) + this.word(address + 4) * TWO_32;
  }

  // What stands in a device's slot.

  protected slotAt(slot: number): number {
    assert(slot >= 0 && slot < this.slotsMax, "a slot of this kernel");
    return this.at.slots + slot * L.SLOT_BYTES;
  }

  protected flags(slot: number): number {
    return this.word(this.slotAt(slot));
  }

  /** A copy of the device's address. */
  address(slot: number): Uint8Array {
    const at = this.slotAt(slot) + L.SLOT_ADDRESS;
    return this.bytes.slice(at, at + DEVICE_ADDRESS_BYTES);
  }

  isConnected(slot: number): boolean {
    return (this.flags(slot) & L.FLAG_CONNECTED) !== 0;
  }

  isLive(slot: number): boolean {
    return (this.flags(slot) & L.FLAG_LIVE) !== 0;
  }

  isQueued(slot: number): boolean {
    return (this.flags(slot) & L.FLAG_QUEUED) !== 0;
  }

  floor(slot: number): number {
    return this.wide(this.slotAt(slot) + L.SLOT_FLOOR);
  }

  cursor(slot: number): number {
    return this.wide(this.slotAt(slot) + L.SLOT_CURSOR);
  }

  last(slot: number): number {
    return this.wide(this.slotAt(slot) + L.SLOT_LAST);
  }

  /** Entries that the kernel sent itself, since the cursor was set, and that are not acked. */
  inFlight(slot: number): number {
    const base = this.wide(this.slotAt(slot) + L.SLOT_LIVE_BASE);
    return this.cursor(slot) - Math.max(base, this.floor(slot));
  }

  /** Their bytes; an estimate once acks come in parts. */
  inFlightBytes(slot: number): number {
    return this.word(this.slotAt(slot) + L.SLOT_IN_FLIGHT_BYTES);
  }

  connection(slot: number): number {
    return this.word(this.slotAt(slot) + L.SLOT_CONNECTION);
  }
}

/**
 * Whom the kernel knows, and what its host sets of them: brands and what crosses between them, accounts, groups, devices and
 * their connections. Its inbox, columns and journal are in kernel.ts.
 */
import * as L from "../../assembly/layout.js";
import { DEVICE_ADDRESS_BYTES } from "../base/address.js";
import { assert } from "../base/assert.js";
import { KernelMemory } from "./kernel-memory.js";
import { writeAccount, writeGroup, writeMembers } from "./loads.js";
import type { Audience, KernelSizes, ResidentAccount, ResidentGroup } from "./shapes.js";

const NONE = 0xffffffff;

export class KernelTables extends KernelMemory {
  private readonly brandIndexAt: number;
  private readonly crossingAt: number;
  private readonly brandCount: number;

  constructor(sizes: KernelSizes, build: "release" | "debug" | URL) {
    super(build, (call) => {
      const ok = call("reserve")(
        sizes.inboxBytes,
        sizes.tailBytes,
        sizes.accounts,
        sizes.devices,
        sizes.dedupKeys,
        sizes.groups,
        sizes.groupMembers,
      );
      assert(ok === 1, "not enough memory for the kernel's regions; lower the limits in the configuration");
    });
    this.brandIndexAt = this.region("brandIndex");
    this.crossingAt = this.region("crossing");
    this.brandCount = sizes.brands.length;
    this.nameBrands(sizes.brands);
  }

  private nameBrands(brands: readonly number[]): void {
    assert(brands.length < L.BRANDS_MAX, "more brands than the kernel's table takes");
    brands.forEach((number, i) => {
      this.bytes[this.brandIndexAt + number] = i + 1;
    });
  }

  // Rules that the host sets.

  /** Sets what happens between two brands, given by their positions in `sizes.brands`. */
  setCrossing(from: number, to: number, state: "closed" | "open" | "full"): void {
    assert(from < this.brandCount && to < this.brandCount, "a brand's position, not its number");
    const value = { closed: L.CROSSING_CLOSED, open: L.CROSSING_OPEN, full: L.CROSSING_FULL }[state];
    this.bytes[this.crossingAt + (from + 1) * L.BRANDS_MAX + to + 1] = value;
  }

  /** What happens between one account's brand and the other's; addresses begin with the brand. */
  crossing(from: Uint8Array, to: Uint8Array): "closed" | "open" | "full" {
    const row = this.brandIndex(from) * L.BRANDS_MAX;
    const state = this.bytes[this.crossingAt + row + this.brandIndex(to)];
    return state === L.CROSSING_OPEN ? "open" : state === L.CROSSING_FULL ? "full" : "closed";
  }

  /** Whether envelopes cross from one account's brand to the other's. */
  mayCross(from: Uint8Array, to: Uint8Array): boolean {
    return this.crossing(from, to) !== "closed";
  }

  private brandIndex(address: Uint8Array): number {
    return this.bytes[this.brandIndexAt + (((address[0] as number) << 8) | (address[1] as number))] as number;
  }

  setDiskLow(low: boolean): void {
    this.words[(this.at.control + L.CONTROL_DISK_LOW) >> 2] = low ? 1 : 0;
  }

  // Accounts, groups and devices.

  /** Makes an account resident or brings it up to date; false when the tables are full of busy ones. */
  loadAccount(account: ResidentAccount): boolean {
    writeAccount(this.bytes, this.words, this.at.control + L.CONTROL_SCRATCH, account);
    return this.call("loadAccount")() >>> 0 !== NONE;
  }

  /** All sequences that a removed device can have had lie at or below this, those of a new one above it. */
  sequenceCeiling(): number {
    return this.call("sequenceCeiling")();
  }

  /** Makes a group's roster resident; one that is as new as the given one stays. */
  loadGroup(group: ResidentGroup): void {
    writeGroup(this.bytes, this.words, this.at.control + L.CONTROL_SCRATCH, group);
    const at = this.call("loadGroup")(group.members.length) >>> 0;
    if (at !== 0) writeMembers(this.bytes, at, group.members);
  }

  /** Lets everybody send to a group that was loaded as held. */
  openGroup(address: Uint8Array): void {
    this.bytes.set(address, this.at.control + L.CONTROL_SCRATCH);
    this.call("openGroup")();
  }

  /**
   * Whom the device in this slot may signal to in a group of at most so many members: connected devices by the resident
   * roster, all but itself. `unknown`: load the group and ask again.
   */
  audience(address: Uint8Array, slot: number, membersMax: number): Audience {
    this.bytes.set(address, this.at.control + L.CONTROL_SCRATCH);
    const count = this.call("audience")(slot, membersMax) >>> 0;
    if (count === L.AUDIENCE_UNKNOWN) return "unknown";
    if (count === L.AUDIENCE_TOO_LARGE) return "tooLarge";
    if (count === L.AUDIENCE_STRANGER) return "stranger";
    const from = this.at.needed >> 2;
    return { members: this.control(L.CONTROL_AUDIENCE_MEMBERS), slots: this.words.slice(from, from + count) };
  }

  /** The version by which sends to the group are judged, 0 for a group that does not exist; undefined when it is not resident. */
  groupVersion(address: Uint8Array): number | undefined {
    this.bytes.set(address, this.at.control + L.CONTROL_SCRATCH);
    const version = this.call("groupVersion")() >>> 0;
    return version === NONE ? undefined : version;
  }

  /** The slot of a resident device, or undefined. */
  findDevice(address: Uint8Array): number | undefined {
    assert(address.length === DEVICE_ADDRESS_BYTES, "a device address has 20 bytes");
    this.bytes.set(address, this.at.control + L.CONTROL_SCRATCH);
    const slot = this.call("findDevice")() >>> 0;
    return slot === NONE ? undefined : slot;
  }

  attach(
    slot: number,
    connection: number,
    wanted: { floor: number; windowEntries: number; windowBytes: number },
  ): boolean {
    return (
      this.call("attach")(slot, connection, wanted.floor, wanted.windowEntries, wanted.windowBytes) !== 0
    );
  }

  detach(slot: number, connection: number): void {
    this.call("detach")(slot, connection);
  }

  /** The host has sent up to this sequence. What it sent, it counts; the kernel has nothing in flight. */
  setCursor(slot: number, sequence: number): void {
    this.call("setCursor")(slot, sequence);
  }

  /** What the kernel may have in flight: less than the connection's window while the host has some of that. */
  setWindow(slot: number, entries: number, bytes: number): void {
    this.call("setWindow")(slot, entries, bytes);
  }

  goLive(slot: number): boolean {
    return this.call("goLive")(slot) !== 0;
  }

  goLagging(slot: number): void {
    this.call("goLagging")(slot);
  }

  setQueued(slot: number, queued: boolean): void {
    this.call("setQueued")(slot, queued ? 1 : 0);
  }
}

/**
 * The hot path's front: what the rest of the node may ask of it. It is given bytes, connections and the time, and
 * gives back sends on those connections; it touches no socket, file, timer or clock of its own. tick.ts shows the
 * order of a turn.
 */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import type { SignalFate } from "../rules/signals.js";
import type { AccountRecord } from "../store/store.js";
import type { CodeName } from "../wire/codes.js";
import { type Attached, attach, type Wanted } from "./arrival.js";
import { failed } from "./commit.js";
import { detach, receive, rosterChanged, writable } from "./connections.js";
import type { Connection, Moment, PathOptions } from "./shapes.js";
import { tell } from "./signals.js";
import { PathState } from "./state.js";
import { endAll, turn } from "./tick.js";
import { attachUnidentified, detachUnidentified, receiveUnidentified } from "./unidentified.js";
import { UNIDENTIFIED_FIRST } from "./unidentified-table.js";

export type { Connection, Moment, PathEvents, PathLimits, PathOptions } from "./shapes.js";
export type { Attached, Wanted };

export class Path {
  private readonly state: PathState;

  constructor(options: PathOptions) {
    this.state = new PathState(options);
  }

  /**
   * Takes over a device whose roster entry is durable; an older connection of it is ended as replaced. Sends welcome,
   * then what is queued, then live.
   */
  attach(device: DeviceAddress, account: AccountRecord, connection: Connection, wanted: Wanted): Attached {
    return attach(this.state, device, account, connection, wanted);
  }

  /** Takes over a connection that speaks for nobody but a brand: it may send sealed envelopes, and is sent welcome and live. */
  attachUnidentified(brand: number, connection: Connection, nowMs: number): Attached {
    return attachUnidentified(this.state, brand, connection, nowMs);
  }

  /** A roster's change is durable: from here on it holds. Removed devices lose connection and queue at once. */
  rosterChanged(account: AccountRecord, removed: readonly number[]): void {
    rosterChanged(this.state, account, removed);
  }

  /** A transaction that holds notices is on disk: they go out with the next turns. */
  noticesStored(): void {
    this.state.notices.stored();
    this.state.wake();
  }

  /** One message of an attached connection; the bytes are copied. */
  receive(slot: number, message: ArrayBuffer | Uint8Array): void {
    const bytes = message instanceof Uint8Array ? message : new Uint8Array(message);
    if (slot < UNIDENTIFIED_FIRST) receive(this.state, slot, bytes);
    else receiveUnidentified(this.state, slot, bytes);
  }

  /** The connection has taken what waited. */
  writable(slot: number): void {
    if (slot < UNIDENTIFIED_FIRST) writable(this.state, slot);
  }

  /** The connection is closed; ignored when the slot has another one by now. */
  detach(slot: number, connection: Connection): void {
    if (slot < UNIDENTIFIED_FIRST) detach(this.state, slot, connection);
    else detachUnidentified(this.state, slot, connection);
  }

  /** One turn; the loop calls it when woken, and while `isWaiting`. */
  turn(moment: Moment): void {
    turn(this.state, moment);
  }

  /** Whether something waits for time to pass: a receipt for a ride, a commit for its spacing, the tail for its age. */
  get isWaiting(): boolean {
    return this.state.isWaiting;
  }

  /** Storage has failed: from here on nothing is receipted, committed or spilled. */
  fail(): void {
    failed(this.state);
  }

  /** Ends every connection with this code. */
  endAll(code: CodeName, retryAfterMs: (i: number) => number): void {
    endAll(this.state, code, retryAfterMs);
  }

  /** Resolves when everything accepted so far is committed and receipted, or never will be; turns go on meanwhile. */
  settled(): Promise<void> {
    return this.state.whenSettled();
  }

  setDiskLow(low: boolean): void {
    this.state.kernel.setDiskLow(low);
  }

  /**
   * Gives a device frames that are never stored, if it is there and keeps up; false when it is there and does not, and then
   * they were not even made.
   */
  tell(device: DeviceAddress, frameOf: () => Uint8Array): boolean {
    return tell(this.state, device, frameOf);
  }

  /** What became of signals since the start. */
  get signals(): Readonly<Record<SignalFate, number>> {
    return this.state.signals;
  }

  /** Connected devices. */
  get connectionCount(): number {
    return this.state.connectionCount;
  }

  /** Connections that speak for nobody. */
  get unidentifiedCount(): number {
    return this.state.unidentified.connections.size;
  }

  isConnected(device: DeviceAddress): boolean {
    const slot = this.state.kernel.findDevice(device);
    return slot !== undefined && this.state.connections[slot] !== undefined;
  }

  rosterVersion(account: AccountAddress): number {
    return this.state.account(account).version;
  }
}

/**
 * The hot path's front: what the rest of the node may ask of it. It is given bytes, connections and the time, and
 * gives back sends on those connections; it touches no socket, file, timer or clock of its own. tick.ts shows the
 * order of a turn.
 */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import type { Kernel } from "../kernel/kernel.js";
import type { AccountRecord, Store } from "../store/store.js";
import type { CodeName } from "../wire/codes.js";
import { type Attached, attach, detach, receive, type Wanted, writable } from "./connections.js";
import { PathState } from "./state.js";
import { endAll, turn } from "./tick.js";

/** One device's way out: a socket, or a device in this process. */
export interface Connection {
  /**
   * Takes one or more whole frames, copied before it returns. 1: gone; 0: waiting in this connection (say so with
   * `writable` when it has drained); 2: nothing was taken.
   */
  send(bytes: Uint8Array): 0 | 1 | 2;
  /** Says why with an error frame as far as possible, then closes. Must not call back into the path meanwhile. */
  end(code: CodeName, retryAfterMs: number): void;
}

/** What happens on the path that others may want to know; called between batches, never per envelope. */
export interface PathEvents {
  readonly connected?: (device: DeviceAddress) => void;
  readonly disconnected?: (device: DeviceAddress) => void;
  /** Entries were moved to the queue of a device that is not connected. */
  readonly queued?: (device: DeviceAddress, entries: number) => void;
  readonly refused?: (code: CodeName) => void;
}

export interface PathOptions {
  readonly kernel: Kernel;
  readonly store: Store;
  /** Asks the loop for a turn soon. */
  readonly wake: () => void;
  /** Asks the loop for a turn right now, because the inbox is full. */
  readonly turnNow: () => void;
  readonly limits: PathLimits;
  readonly events?: PathEvents;
}

/** Bounds from rules/limits.ts, as configured. */
export interface PathLimits {
  readonly windowEntriesDefault: number;
  readonly windowEntriesMax: number;
  readonly windowBytesDefault: number;
  readonly windowBytesMax: number;
  readonly payloadBytesMax: number;
  readonly messageBytesMax: number;
  readonly accountsPerSendMax: number;
  readonly devicesPerAccountMax: number;
  readonly dedupWindowMs: number;
  readonly dedupWindowCount: number;
  readonly silenceMs: number;
  readonly receiptHoldMs: number;
  readonly commitSpacingMs: number;
  readonly spillAgeMs: number;
  readonly journalTailBytes: number;
}

/** The moment of a turn. */
export interface Moment {
  readonly wallMs: number;
  /** Whole milliseconds that never go back. */
  readonly monotonicMs: number;
  /** From 0 to 1: how busy the loop is, and so how much waiting for company pays. */
  readonly patience: number;
}

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

  /** Brings a resident account's roster up to date after a change; an account that is not resident needs nothing. */
  rosterChanged(account: AccountRecord): void {
    this.state.kernel.loadAccount(account);
  }

  /** One message of an attached connection; the bytes are copied. */
  receive(slot: number, message: ArrayBuffer | Uint8Array): void {
    receive(this.state, slot, message instanceof Uint8Array ? message : new Uint8Array(message));
  }

  /** The connection has taken what waited. */
  writable(slot: number): void {
    writable(this.state, slot);
  }

  /** The connection is closed; ignored when the slot has another one by now. */
  detach(slot: number, connection: Connection): void {
    detach(this.state, slot, connection);
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
    this.state.hasFailed = true;
  }

  /** Ends every connection with this code. */
  endAll(code: CodeName, retryAfterMs: (i: number) => number): void {
    endAll(this.state, code, retryAfterMs);
  }

  /** Resolves when everything accepted so far is committed; turns go on meanwhile. */
  settled(): Promise<void> {
    return this.state.whenSettled();
  }

  setDiskLow(low: boolean): void {
    this.state.kernel.setDiskLow(low);
  }

  /** Connected devices. */
  get connectionCount(): number {
    return this.state.connectionCount;
  }

  isConnected(device: DeviceAddress): boolean {
    const slot = this.state.kernel.findDevice(device);
    return slot !== undefined && this.state.connections[slot] !== undefined;
  }

  rosterVersion(account: AccountAddress): number {
    return this.state.account(account).version;
  }
}

/**
 * How devices speak with one kind of server: the seam between the workload,
 * which knows devices and payloads, and a system, which has its own bytes. One
 * generator process speaks one dialect, so its hot calls stay monomorphic.
 */
import type { MessageReader } from "./scanner.js";

/** What a dialect tells the workload. `at` is an offset in the scanner's memory. */
export interface DeviceEvents {
  /** The device may send. */
  ready(device: number): void;
  /** A payload for the device begins at `at` and is whole. */
  delivered(device: number, at: number): void;
  /** The device's sends up to number `position` are safe, as `durability` says. */
  receipted(device: number, position: number, durability: number): void;
  /** The device's send number `position` did not take effect; it may be sent again later. */
  refused(device: number, position: number, retryAfterMs: number): void;
  /** Something that no run may contain: a refusal for good, a gap, an error. */
  broken(device: number, reason: string): void;
}

/** What a dialect may do with sockets. */
export interface Wire {
  /** Whether the bytes may be changed again (see connections.ts). */
  write(device: number, bytes: Uint8Array): boolean;
}

export interface Dialect extends MessageReader {
  readonly subprotocol: string | undefined;
  readonly givesReceipts: boolean;
  path(device: number): string;
  /** The upgrade is done. */
  opened(device: number): void;
  /** Adds one envelope to what `flush` writes. */
  send(sender: number, target: number, counter: number, stamp: number): void;
  /** Where envelopes have ids: adds the envelope whose send had this position once more, under its id. */
  repeat?(sender: number, target: number, counter: number, stamp: number, position: number): void;
  /** Writes what was added since the last flush, and acks what was delivered, in one write. */
  flush(device: number): void;
  /** Where there are acks: what was delivered waits for the device's next flush, to be acked in its write. */
  holdAck?(device: number): void;
  /** Keeps idle connections alive. */
  ping(device: number): void;
}

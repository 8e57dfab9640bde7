/**
 * How devices speak with one kind of server: the seam between the workload,
 * which knows devices and payloads, and a system, which has its own bytes. One
 * generator process speaks one dialect, so its hot calls stay monomorphic.
 *
 * What lies between the two on the socket is the dialect's `framing`:
 *
 *   websocket   the connection is upgraded before `opened`; the dialect is handed
 *               binary messages and control frames (scanner.ts: MessageReader), and
 *               writes masked frames itself (masked.ts)
 *   raw         plain TCP: `opened` comes when the connection stands; the dialect is
 *               handed the bytes as they come (raw-scanner.ts: StreamReader), finds
 *               its own frames in them, and writes bytes that leave as they are
 */
import type { StreamReader } from "./raw-scanner.js";
import type { MessageReader } from "./scanner.js";

/** The durability of receipts that promise nothing; others are numbered in src/wire/protocol.ts. */
export const durabilityNone = 0;

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
  write(connection: number, bytes: Uint8Array): boolean;
}

export type Dialect = WebSocketDialect | RawDialect;

export interface WebSocketDialect extends Speaker, MessageReader {
  readonly framing: "websocket";
  readonly subprotocol: string | undefined;
  path(device: number): string;
}

export interface RawDialect extends Speaker, StreamReader {
  readonly framing: "raw";
}

/** What every dialect does, whatever its framing. */
interface Speaker {
  readonly givesReceipts: boolean;
  /**
   * Default 1. Where a device needs more, connection number k of a device is
   * device + k × devices, and `opened` and `read` are told which one it is.
   */
  readonly connectionsPerDevice?: number;
  /** The connection stands and may be written to: time to sign in. */
  opened(device: number): void;
  /** Adds one envelope to what `flush` writes. */
  send(sender: number, target: number, counter: number, stamp: number): void;
  /** Writes what was added since the last flush, and acks what was delivered, in one write. */
  flush(device: number): void;
  /** Keeps idle connections alive. */
  ping(device: number): void;
}

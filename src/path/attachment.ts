/**
 * A device's connection while it is attached: how far the host has brought it, and what it has cost. Fields are changed only by
 * the stage that is named beside them, or by what sends to the connection.
 */
import type { RequestMeter } from "../rules/requests.js";
import { Flight } from "./flight.js";
import type { Connection } from "./shapes.js";

/** A connection and how far the host has brought it; the kernel's slot record holds the rest. */
export interface Attachment {
  readonly slot: number;
  /** Names this connection to the kernel; never reused. */
  readonly number: number;
  readonly connection: Connection;
  /** A device of the node's own (own-device.ts). */
  readonly isOwn: boolean;
  readonly windowEntries: number;
  readonly windowBytes: number;
  /** The socket holds bytes back: nothing more is sent until it is writable. */
  isBlocked: boolean;
  /** The live marker has gone out. */
  isAnnounced: boolean;
  /** What it was sent before it went live last; the kernel counts what it sends since. */
  readonly flight: Flight;
  /** What it cost in the turn of this number. */
  costTurn: number;
  readonly costs: { answers: number; loads: number; memberLoads: number };
  /** requests.ts */
  readonly requests: RequestMeter;
  /** signals.ts: what it may send, and what the turn of this number has brought it. */
  readonly signals: { fullAtMs: number; turn: number; bytes: number };
}

/**
 * A connection of which nothing is known yet but what it is. Every field is named: behind a spread, V8 of Node 20 gives
 * each object a shape of its own, and everything that is sent looks its connection up in one.
 */
export function newAttachment(
  is: Pick<Attachment, "slot" | "number" | "connection" | "isOwn" | "windowEntries" | "windowBytes">,
): Attachment {
  return {
    slot: is.slot,
    number: is.number,
    connection: is.connection,
    isOwn: is.isOwn,
    windowEntries: is.windowEntries,
    windowBytes: is.windowBytes,
    isBlocked: false,
    // A device of the node's own waits for no live marker.
    isAnnounced: is.isOwn,
    flight: new Flight(),
    costTurn: 0,
    costs: { answers: 0, loads: 0, memberLoads: 0 },
    requests: { underWay: 0, fullAtMs: 0 },
    signals: { fullAtMs: 0, turn: 0, bytes: 0 },
  };
}

/**
 * Counts what a connection makes the host do in this turn, each of which costs a thousand times what asking for it does:
 * false when it has had as much of it as one connection gets.
 */
export function mayCost(
  { turnCount }: { readonly turnCount: number },
  attachment: Attachment,
  what: "answers" | "loads" | "memberLoads",
  max: number,
): boolean {
  const { costs } = attachment;
  if (attachment.costTurn !== turnCount) {
    attachment.costTurn = turnCount;
    costs.answers = 0;
    costs.loads = 0;
    costs.memberLoads = 0;
  }
  return ++costs[what] <= max;
}

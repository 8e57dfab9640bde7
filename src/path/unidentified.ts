/**
 * Connections that speak for nobody in particular. They have no device, no queue and no slot in the kernel; what is known of
 * them (unidentified-table.ts) lies in memory until they go.
 *
 *   message ─▶ unread ─▶ read (sealed.ts) ─▶ open ─▶ answered, in the order of the sends
 *
 * Invariants. A connection's sends are read and answered in its order, so that a receipt never passes a refusal before
 * it, and a late refusal holds back what follows it; answers to requests come when they come. What is unread is bounded:
 * beyond, the connection is ended. What is open is bounded too: beyond, what comes stays unread. Nothing of a connection
 * leaves this folder but frames to itself.
 */
import { concatBytes } from "../base/bytes.js";
import type { CodeName } from "../wire/codes.js";
import { encodeRefusal } from "../wire/control.js";
import { durabilities } from "../wire/protocol.js";
import { SEALED_DEVICE } from "../wire/sealed.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import { type Attached, encodeWelcomeOf } from "./arrival.js";
import type { Connection } from "./shapes.js";
import type { PathState } from "./state.js";
import { type Held, type OpenSend, Unidentified } from "./unidentified-table.js";

const OVERLOADED_RETRY_MS = 1_000;
/** What a message takes in memory beside its bytes. */
const MESSAGE_COST_BYTES = 256;
/** Read messages that may stand in front of unread ones before the list is made anew. */
const READ_KEPT_MAX = 256;

const costOf = (message: Uint8Array): number => message.length + MESSAGE_COST_BYTES;

export function attachUnidentified(
  state: PathState,
  brand: number,
  connection: Connection,
  nowMs: number,
): Attached {
  const { unidentified, limits } = state;
  if (unidentified.connections.size >= limits.unidentifiedConnectionsMax)
    return { refused: "tooManyConnections" };
  const number = ++unidentified.lastNumber;
  const one = new Unidentified(number, brand, connection, limits.sealedPairsMax);
  unidentified.connections.set(number, one);
  const welcome = encodeWelcomeOf(state, SEALED_DEVICE, {
    position: 0,
    windowEntries: limits.sealedInFlightMax,
    windowBytes: limits.sealedUnreadBytesMax,
    nowMs,
  });
  say(state, one, concatBytes([welcome, encodeServerFrame({ kind: "live", sequence: 0 })]));
  return { slot: number };
}

export function receiveUnidentified(state: PathState, number: number, message: Uint8Array): void {
  const { unidentified, limits } = state;
  const one = unidentified.connections.get(number);
  if (one === undefined || message.length === 0) return;
  const bytes = costOf(message);
  const isTooMuch =
    one.unreadBytes + bytes > limits.sealedUnreadBytesMax ||
    unidentified.unreadBytes + bytes > limits.sealedUnreadBytesTotal;
  if (isTooMuch) {
    endUnidentified(state, one, "overloaded", OVERLOADED_RETRY_MS);
    return;
  }
  one.unread.push(message.slice());
  one.unreadBytes += bytes;
  unidentified.unreadBytes += bytes;
  unidentified.reading.add(one);
  state.wake();
}

export function firstUnread(one: Unidentified): Uint8Array | undefined {
  return one.unread[one.unreadFrom];
}

/** The first unread message was read to its end. */
export function dropRead({ unidentified }: PathState, one: Unidentified): void {
  const bytes = costOf(firstUnread(one) as Uint8Array);
  one.unreadFrom++;
  one.readTo = 0;
  one.unreadBytes -= bytes;
  unidentified.unreadBytes -= bytes;
  if (one.unreadFrom < one.unread.length && one.unreadFrom < READ_KEPT_MAX) return;
  one.unread = one.unread.slice(one.unreadFrom);
  one.unreadFrom = 0;
}

function dropUnread({ unidentified }: PathState, one: Unidentified): void {
  unidentified.unreadBytes -= one.unreadBytes;
  unidentified.reading.delete(one);
  one.unreadBytes = 0;
  one.unread = [];
  one.unreadFrom = 0;
}

/** The socket is gone by itself: what it sent before is still read. */
export function detachUnidentified(state: PathState, number: number, connection: Connection): void {
  const one = state.unidentified.connections.get(number);
  if (one?.connection === connection) forget(state, one);
}

/** The node ends the connection: nothing that it sent and was not yet read counts. */
export function endUnidentified(state: PathState, one: Unidentified, code: CodeName, retryAfterMs = 0): void {
  if (one.isGone) return;
  forget(state, one);
  dropUnread(state, one);
  one.connection.end(code, retryAfterMs);
}

function forget({ unidentified }: PathState, one: Unidentified): void {
  one.isGone = true;
  one.open.length = 0;
  one.held.length = 0;
  unidentified.waiting.delete(one);
  unidentified.connections.delete(one.number);
}

export function say(state: PathState, one: Unidentified, bytes: Uint8Array): void {
  if (!one.isGone && one.connection.send(bytes) === 2) endUnidentified(state, one, "tooSlow");
}

/** A send was read: it will be answered in its turn. */
export function open({ unidentified }: PathState, one: Unidentified): OpenSend {
  const send: OpenSend = { position: ++one.position, outcome: undefined, dueMs: 0 };
  if (one.isGone) return send;
  one.open.push(send);
  unidentified.waiting.add(one);
  return send;
}

/** Says something later; in the order of the calls. */
export function hold({ unidentified, wake }: PathState, one: Unidentified, held: Held): void {
  if (one.isGone) return;
  one.held.push(held);
  unidentified.waiting.add(one);
  wake();
}

/** Answers what can be answered by now: each connection's sends from the oldest on, up to the first that cannot. */
export function answerUnidentified(state: PathState): void {
  for (const one of state.unidentified.waiting) answerOpen(state, one);
}

/** The same for one connection: before anything else is said to it. */
export function answerOpen(state: PathState, one: Unidentified): void {
  const { monotonicMs } = state.moment;
  const frames = answersOf(one, monotonicMs);
  while (one.held[0] !== undefined && one.held[0].dueMs <= monotonicMs)
    frames.push((one.held.shift() as Held).bytes);
  if (one.open.length === 0 && one.held.length === 0) state.unidentified.waiting.delete(one);
  if (frames.length > 0) say(state, one, concatBytes(frames));
}

function answersOf(one: Unidentified, monotonicMs: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let durable = 0;
  let count = 0;
  const receipt = (): void => {
    if (durable === 0) return;
    frames.push(encodeServerFrame({ kind: "receipt", position: durable, durability: durabilities.disk }));
    durable = 0;
  };
  for (const { position, outcome, dueMs } of one.open) {
    if (outcome === undefined || dueMs > monotonicMs) break;
    count++;
    if (outcome === "durable") durable = position;
    else {
      receipt();
      frames.push(encodeRefusal({ position, ...outcome }));
    }
  }
  receipt();
  one.open.splice(0, count);
  return frames;
}

/**
 * Connections that speak for nobody in particular. They have no device, no queue and no slot in the kernel, and all that
 * is known of them is here, in memory, until they go: the brand that let them in, and what they sent or asked and were not
 * answered.
 *
 *   message ─▶ unread ─▶ read (sealed.ts) ─▶ open ─▶ answered, in the order of the sends
 *
 * Invariants. A connection's sends are read and answered in its order, so that a receipt never passes a refusal before
 * it, and a late refusal holds back what follows it; answers to requests come when they come. What is unread and what is open are bounded; beyond, the connection
 * is ended. Nothing of a connection leaves this folder but frames to itself.
 */

import { concatBytes } from "../base/bytes.js";
import type { RequestMeter } from "../rules/requests.js";
import { type Budget, fullBudget } from "../rules/sealed.js";
import type { RefusalDetail } from "../wire/bodies.js";
import type { CodeName } from "../wire/codes.js";
import { encodeRefusal } from "../wire/control.js";
import { durabilities } from "../wire/protocol.js";
import { SEALED_DEVICE } from "../wire/sealed.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import { type Attached, encodeWelcomeOf } from "./arrival.js";
import { BudgetTable } from "./budgets.js";
import type { Connection } from "./shapes.js";
import type { PathState } from "./state.js";

/** They are told from devices by their number: slots lie below. */
export const UNIDENTIFIED_FIRST = 2 ** 30;

const OVERLOADED_RETRY_MS = 1_000;
/** What a message takes in memory beside its bytes. */
const MESSAGE_COST_BYTES = 256;
/** Read messages that may stand in front of unread ones before the list is made anew. */
const READ_KEPT_MAX = 256;

const costOf = (message: Uint8Array): number => message.length + MESSAGE_COST_BYTES;

export interface Refused {
  readonly code: CodeName;
  readonly retryAfterMs: number;
  readonly detail?: RefusalDetail;
}

/** One send, from the moment it was read until it is answered. */
export interface OpenSend {
  readonly position: number;
  /** Undefined while the kernel has it. */
  outcome: "durable" | Refused | undefined;
  /** Monotonic: not answered before. */
  dueMs: number;
}

/** Frames that are not to be sent before. */
interface Held {
  readonly bytes: Uint8Array;
  /** Monotonic. */
  readonly dueMs: number;
}

export class Unidentified {
  readonly number: number;
  /** The first two bytes of its brand's addresses. */
  readonly brand: Uint8Array;
  readonly connection: Connection;
  /** Messages in the order they came; of the first unread one, up to `readTo` was read. */
  unread: Uint8Array[] = [];
  /** Place in `unread` of the first that was not read to its end. */
  unreadFrom = 0;
  readTo = 0;
  unreadBytes = 0;
  /** Sends so far. */
  position = 0;
  readonly open: OpenSend[] = [];
  /** Answers to requests, in the order in which they are due. */
  readonly held: Held[] = [];
  readonly requests: RequestMeter = { underWay: 0, fullAtMs: 0 };
  budget: Budget = fullBudget;
  /** What it has left of the accounts it sends to. */
  readonly pairs: BudgetTable;
  isGone = false;

  constructor(number: number, brand: number, connection: Connection, pairsMax: number) {
    this.number = number;
    this.brand = Uint8Array.of(brand >> 8, brand & 0xff);
    this.connection = connection;
    this.pairs = new BudgetTable(pairsMax);
  }
}

/** All of them. */
export class UnidentifiedTable {
  readonly connections = new Map<number, Unidentified>();
  /** Those that have something unread, whose turn it is first. */
  readonly reading = new Set<Unidentified>();
  /** Those that wait for an answer. */
  readonly waiting = new Set<Unidentified>();
  unreadBytes = 0;
  lastNumber = UNIDENTIFIED_FIRST - 1;

  get isWaiting(): boolean {
    return this.reading.size > 0 || this.waiting.size > 0;
  }
}

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

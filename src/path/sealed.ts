/**
 * Sealed sends: from a connection that speaks for nobody to accounts that have shared their delivery tokens.
 *
 *   unread ─▶ frame ─▶ rules/sealed.ts ─▶ inbox, as a send of the node's own sealed device ─▶ kernel ─▶ receipt, refusal
 *                            └─▶ refused
 *
 * Here the connection is taken off: what goes into the inbox is a send like any other, from the one device that all sealed
 * envelopes come from, under an id that is made of the sender's. So everything from there on (order, journal, queues, shared
 * parts, gaps, quotas, dedup, spill, the answer for a stale roster) is as for any send, and nothing of it can name a
 * connection, because the kernel never hears of one. Receipts and refusals of that device are given back to the
 * connections they are for.
 *
 * A token that opens nothing is answered like an account that does not exist and one that takes no sealed sends: by the same
 * bytes, after the same work (the store reads as much, as many digests are compared), and not before sealedRefusalMs. Of a
 * send to several accounts every token is looked at, whatever those before it have opened.
 *
 * This is JavaScript for each envelope, because a token has to be compared with node:crypto: about 36 µs of CPU more than an
 * ordinary send takes, client and node together (measured in one process, 256 bytes, 32 in flight). The connections'
 * pace bounds how many come (limits.ts).
 */
import type { AccountAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { toHex } from "../base/bytes.js";
import {
  fullBudget,
  judgeSealed,
  opens,
  type PartyBudgets,
  SEALED_ORDINAL,
  sealedId,
  sealedSharedId,
  tokenDigest,
} from "../rules/sealed.js";
import { type ClientFrame, encodeClientFrame } from "../wire/client-frames.js";
import { CodedError } from "../wire/coded-error.js";
import { codeName } from "../wire/codes.js";
import { MsgpackReader } from "../wire/msgpack.js";
import { type AnySealedSendFrame, decodeUnidentifiedFrame, SEALED_ACCOUNT } from "../wire/sealed.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import { decodeServerMessage } from "../wire/server-frames.js";
import { attachOwn } from "./own-device.js";
import { serveUnidentified } from "./requests.js";
import type { PathState } from "./state.js";
import { answerOpen, dropRead, endUnidentified, firstUnread, open, say } from "./unidentified.js";
import type { OpenSend, Unidentified } from "./unidentified-table.js";

/**
 * Reads what connections sent: some of each in turn, and of all a bounded number in a turn of the path. Counted are the
 * accounts that are sent to, for each of them is work; the last send of a turn may exceed the bound by its own.
 */
export function injectSealed(state: PathState): void {
  const { unidentified, limits } = state;
  if (state.hasFailed) return;
  let room = limits.sealedSendsPerTurn;
  for (let hasRead = true; hasRead && room > 0; ) {
    hasRead = false;
    for (const one of [...unidentified.reading]) {
      // Who is not reached in this turn stays in front for the next.
      if (room <= 0) break;
      // Who has had its turn goes behind the others.
      unidentified.reading.delete(one);
      const read = readFrames(state, one, Math.min(room, limits.sealedSendsInRow));
      if (firstUnread(one) !== undefined) unidentified.reading.add(one);
      room -= read;
      hasRead ||= read > 0;
    }
  }
}

/** Frames of one connection for up to so many accounts, and the rest of the last one's; returns for how many it was. */
function readFrames(state: PathState, one: Unidentified, count: number): number {
  let read = 0;
  while (read < count && one.open.length < state.limits.sealedInFlightMax) {
    const message = firstUnread(one);
    const cost = message === undefined ? 0 : readFrame(state, one, message);
    if (message === undefined || cost === 0) break;
    read += cost;
    if (one.readTo >= message.length && firstUnread(one) === message) dropRead(state, one);
  }
  return read;
}

/** Reads the frame at `readTo`: the accounts that it is for, one for any other frame; 0 when there is no room for it now. */
function readFrame(state: PathState, one: Unidentified, message: Uint8Array): number {
  let next: number;
  let cost = 1;
  try {
    const decoded = decodeUnidentifiedFrame(message, one.readTo, state.sealed.bounds);
    next = decoded.next;
    const { frame } = decoded;
    if (frame.kind === "sealedSend" || frame.kind === "sealedSharedSend") {
      const parties = partiesOf(frame);
      cost = parties.length;
      if (!take(state, one, frame, parties)) return 0;
    } else if (frame.kind === "ping") {
      answerOpen(state, one);
      const timeMs = state.moment.wallMs;
      say(state, one, encodeServerFrame({ kind: "pong", nonce: frame.nonce, timeMs }));
    } else if (frame.kind === "request") serveUnidentified(state, one, frame);
    else endUnidentified(state, one, "unidentified");
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const end = error.code === "badFrame" ? undefined : endOfFrame(message, one.readTo);
    if (end === undefined) {
      endUnidentified(state, one, "badFrame");
      return cost;
    }
    next = end;
    refuse(state, open(state, one), { code: error.code, retryAfterMs: 0 });
  }
  one.readTo = next;
  return cost;
}

/** Where a frame ends that is over a bound; undefined when it is none. */
function endOfFrame(message: Uint8Array, from: number): number | undefined {
  const reader = new MsgpackReader(message, from);
  try {
    reader.skip();
    return reader.offset;
  } catch {
    return undefined;
  }
}

/** An account that is sent to. */
interface Party {
  readonly account: AccountAddress;
  readonly deliveryToken: Uint8Array;
  /** What its devices get, all together. */
  readonly bytes: number;
}

const sum = (lengths: readonly number[]): number => lengths.reduce((total, length) => total + length, 0);

function partiesOf(frame: AnySealedSendFrame): readonly Party[] {
  if (frame.kind === "sealedSend") {
    const { account, deliveryToken, devices } = frame;
    return [{ account, deliveryToken, bytes: sum(devices.map(({ payload }) => payload.length)) }];
  }
  return frame.accounts.map(({ account, deliveryToken, devices }) => {
    const bytes = sum(devices.map(({ block }) => frame.shared.length + block.length));
    return { account, deliveryToken, bytes };
  });
}

/** Ciphertext as it was sent. */
function bytesOf(frame: AnySealedSendFrame, parties: readonly Party[]): number {
  if (frame.kind === "sealedSend") return sum(parties.map(({ bytes }) => bytes));
  const blocks = frame.accounts.flatMap(({ devices }) => devices.map(({ block }) => block.length));
  return frame.shared.length + sum(blocks);
}

/** False when the inbox, or the kernel's tables, have no room now: then nothing has happened. */
function take(
  state: PathState,
  one: Unidentified,
  frame: AnySealedSendFrame,
  parties: readonly Party[],
): boolean {
  const { sealed, limits, moment } = state;
  const looked = parties.map((party) => look(state, one, party));
  const { code, retryAfterMs, about, budgets } = judgeSealed(
    { bytes: bytesOf(frame, parties), parties: looked },
    { connection: one.budget, parties: looked.map(({ budgets }) => budgets) },
    limits,
    moment.monotonicMs,
  );
  if (code !== undefined) {
    one.budget = budgets.connection;
    const dueMs = code === "deliveryTokenRefused" ? moment.monotonicMs + limits.sealedRefusalMs : 0;
    const accounts = about.map((place) => (parties[place] as Party).account.slice());
    const detail = frame.kind === "sealedSharedSend" && about.length > 0 ? { accounts } : {};
    refuse(state, open(state, one), { code, retryAfterMs, detail }, dueMs);
    return true;
  }
  if (!inject(state, one, frame, parties)) return false;
  one.budget = budgets.connection;
  for (const [i, { pair, recipient }] of budgets.parties.entries()) {
    const account = toHex((parties[i] as Party).account);
    one.pairs.set(account, pair);
    sealed.recipients.set(account, recipient);
  }
  return true;
}

/** What the rules go by for one account. Whatever there is, this is the work: nothing before the verdict depends on the account in any other way. */
function look(
  { kernel, sealed, store, moment }: PathState,
  one: Unidentified,
  { account, deliveryToken, bytes }: Party,
) {
  const isOpened = opens(tokenDigest(deliveryToken), store.deliveryTokens(account), moment.monotonicMs);
  const name = toHex(account);
  const budgets: PartyBudgets = {
    pair: isOpened ? one.pairs.get(name) : fullBudget,
    recipient: isOpened ? sealed.recipients.get(name) : fullBudget,
  };
  return { bytes, crossing: kernel.crossing(one.brand, account), isOpened, budgets };
}

function inject(
  state: PathState,
  one: Unidentified,
  frame: AnySealedSendFrame,
  parties: readonly Party[],
): boolean {
  const { kernel, sealed } = state;
  sealed.device ??= attachOwn(state, { account: SEALED_ACCOUNT, ordinal: SEALED_ORDINAL }, (bytes) =>
    told(state, bytes),
  );
  if (sealed.device === undefined) return false;
  for (const { account } of parties) kernel.loadAccount(state.account(account));
  const { slot, number } = sealed.device;
  if (!kernel.push(slot, number, encodeClientFrame(sendOf(frame)))) return false;
  sealed.inKernel.set(++sealed.position, open(state, one));
  return true;
}

/** What goes on: nothing in it was the sender's alone. */
function sendOf(frame: AnySealedSendFrame): ClientFrame {
  if (frame.kind === "sealedSharedSend") {
    const { shared, accounts } = frame;
    return { kind: "sharedSend", id: sealedSharedId(frame.id), shared, accounts };
  }
  const { account, version, devices } = frame;
  return { kind: "send", id: sealedId(account, frame.id), accounts: [{ account, version, devices }] };
}

function refuse(
  state: PathState,
  send: OpenSend,
  refused: NonNullable<OpenSend["outcome"]>,
  dueMs = 0,
): void {
  if (refused !== "durable") state.events.refused?.(refused.code);
  send.outcome = refused;
  send.dueMs = dueMs;
}

/** What the kernel says about sends of the sealed device. */
function told({ sealed }: PathState, bytes: Uint8Array): void {
  for (const frame of decodeServerMessage(bytes)) {
    if (frame.kind === "receipt") {
      for (const [position, send] of sealed.inKernel) {
        if (position > frame.position) break;
        sealed.inKernel.delete(position);
        send.outcome = "durable";
      }
    } else if (frame.kind === "refusal") {
      const send = sealed.inKernel.get(frame.position);
      const code = codeName(frame.code);
      assert(send !== undefined && code !== undefined, "a refusal is of something that was sent");
      sealed.inKernel.delete(frame.position);
      send.outcome = { code, retryAfterMs: frame.retryAfterMs, detail: frame.detail };
    }
  }
}

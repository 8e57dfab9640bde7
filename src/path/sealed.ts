/**
 * Sealed sends: from a connection that speaks for nobody to an account that has shared its delivery token.
 *
 *   unread ─▶ frame ─▶ rules/sealed.ts ─▶ inbox, as a send of the node's own sealed device ─▶ kernel ─▶ receipt, refusal
 *                            └─▶ refused
 *
 * Here the connection is taken off: what goes into the inbox is a send like any other, from the one device that all sealed
 * envelopes come from, under an id that is made of the recipient and the sender's id. So everything from there on (order,
 * journal, queues, gaps, quotas, dedup, spill, the answer for a stale roster) is as for any send, and nothing of it can
 * name a connection, because the kernel never hears of one. Receipts and refusals of that device are given back to the
 * connections they are for.
 *
 * A token that opens nothing is answered like an account that does not exist and one that takes no sealed sends: by the same
 * bytes, after the same work (the store reads as much, as many digests are compared), and not before sealedRefusalMs.
 *
 * This is JavaScript for each envelope, because a token has to be compared with node:crypto: about 36 µs of CPU more than an
 * ordinary send takes, client and node together (measured in one process, 256 bytes, 32 in flight). The connections'
 * pace bounds how many come (limits.ts).
 */
import { assert } from "../base/assert.js";
import { toHex } from "../base/bytes.js";
import { fullBudget, judgeSealed, opens, SEALED_ORDINAL, sealedId, tokenDigest } from "../rules/sealed.js";
import { encodeClientFrame } from "../wire/client-frames.js";
import { CodedError } from "../wire/coded-error.js";
import { codeName } from "../wire/codes.js";
import { MsgpackReader } from "../wire/msgpack.js";
import { decodeUnidentifiedFrame, SEALED_ACCOUNT, type SealedSendFrame } from "../wire/sealed.js";
import { decodeServerMessage, encodeServerFrame } from "../wire/server-frames.js";
import { BudgetTable } from "./budgets.js";
import { attachOwn } from "./own-device.js";
import type { Attachment, PathState } from "./state.js";
import {
  answerOpen,
  dropRead,
  endUnidentified,
  firstUnread,
  type OpenSend,
  open,
  say,
  type Unidentified,
} from "./unidentified.js";

export class SealedSends {
  /** The device that sealed envelopes come from; undefined until the first. */
  device: Attachment | undefined;
  /** Sends of the device so far. */
  position = 0;
  /** What the kernel has, by the device's positions, oldest first. */
  readonly inKernel = new Map<number, OpenSend>();
  readonly recipients: BudgetTable;

  constructor(recipientsMax: number) {
    this.recipients = new BudgetTable(recipientsMax);
  }
}

/** Reads what connections sent: some of each in turn, and of all a bounded number in a turn of the path. */
export function injectSealed(state: PathState): void {
  const { unidentified, limits } = state;
  if (state.hasFailed) return;
  let room = limits.sealedSendsPerTurn;
  for (let hasRead = true; hasRead && room > 0; ) {
    hasRead = false;
    for (const one of [...unidentified.reading]) {
      // Who has had its turn goes behind the others.
      unidentified.reading.delete(one);
      const read = readFrames(state, one, Math.min(room, limits.sealedSendsInRow));
      if (firstUnread(one) !== undefined) unidentified.reading.add(one);
      room -= read;
      hasRead ||= read > 0;
    }
  }
}

/** Up to so many frames of one connection; returns how many were read. */
function readFrames(state: PathState, one: Unidentified, count: number): number {
  let read = 0;
  while (read < count && one.open.length < state.limits.sealedInFlightMax) {
    const message = firstUnread(one);
    if (message === undefined || !readFrame(state, one, message)) break;
    read++;
    if (one.readTo >= message.length && firstUnread(one) === message) dropRead(state, one);
  }
  return read;
}

/** Reads the frame at `readTo`; false when there is no room for it now. */
function readFrame(state: PathState, one: Unidentified, message: Uint8Array): boolean {
  let next: number;
  try {
    const decoded = decodeUnidentifiedFrame(message, one.readTo, state.limits);
    next = decoded.next;
    const { frame } = decoded;
    if (frame.kind === "sealedSend") {
      if (!take(state, one, frame)) return false;
    } else if (frame.kind === "ping") {
      answerOpen(state, one);
      const timeMs = state.moment.wallMs;
      say(state, one, encodeServerFrame({ kind: "pong", nonce: frame.nonce, timeMs }));
    } else endUnidentified(state, one, "unidentified");
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const end = error.code === "badFrame" ? undefined : endOfFrame(message, one.readTo);
    if (end === undefined) {
      endUnidentified(state, one, "badFrame");
      return true;
    }
    next = end;
    refuse(state, open(state, one), { code: error.code, retryAfterMs: 0 });
  }
  one.readTo = next;
  return true;
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

/** False when the inbox, or the kernel's tables, have no room now: then nothing has happened. */
function take(state: PathState, one: Unidentified, frame: SealedSendFrame): boolean {
  const { kernel, sealed, limits, moment } = state;
  const account = toHex(frame.account);
  // Whatever there is, this is the work: nothing before the verdict depends on the account in any other way.
  const isOpened = opens(
    tokenDigest(frame.deliveryToken),
    state.store.deliveryTokens(frame.account),
    moment.wallMs,
  );
  const { code, retryAfterMs, budgets } = judgeSealed(
    {
      bytes: frame.devices.reduce((sum, { payload }) => sum + payload.length, 0),
      crossing: kernel.crossing(one.brand, frame.account),
      isOpened,
    },
    {
      connection: one.budget,
      pair: isOpened ? one.pairs.get(account) : fullBudget,
      recipient: isOpened ? sealed.recipients.get(account) : fullBudget,
    },
    limits,
    moment.monotonicMs,
  );
  if (code !== undefined) {
    one.budget = budgets.connection;
    const dueMs = code === "deliveryTokenRefused" ? moment.monotonicMs + limits.sealedRefusalMs : 0;
    refuse(state, open(state, one), { code, retryAfterMs }, dueMs);
    return true;
  }
  if (!inject(state, one, frame)) return false;
  one.budget = budgets.connection;
  one.pairs.set(account, budgets.pair);
  sealed.recipients.set(account, budgets.recipient);
  return true;
}

function inject(state: PathState, one: Unidentified, frame: SealedSendFrame): boolean {
  const { kernel, sealed } = state;
  sealed.device ??= attachOwn(state, { account: SEALED_ACCOUNT, ordinal: SEALED_ORDINAL }, (bytes) =>
    told(state, bytes),
  );
  if (sealed.device === undefined) return false;
  const { account, version, devices } = frame;
  kernel.loadAccount(state.account(account));
  const send = encodeClientFrame({
    kind: "send",
    id: sealedId(account, frame.id),
    accounts: [{ account, version, devices }],
  });
  if (!kernel.push(sealed.device.slot, sealed.device.number, send)) return false;
  sealed.inKernel.set(++sealed.position, open(state, one));
  return true;
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

/**
 * One turn over all that has arrived, up to the gather: parse ▸ admit ▸ dedup ▸ route ▸ sequence.
 *
 * A send is looked at whole before anything of it takes effect, so a refusal leaves no trace and a send whose
 * accounts are not resident can simply be read again after they were loaded (send.ts). Each send ends in one of:
 * accepted (its items are in the columns, its key in the window), duplicate (answered like its original),
 * or refused (a row in the outcomes, which the host answers). Sends of one connection take effect in their order.
 */
import { callAttention, clearFlag, control, count, flag, outcomes, setFlag, slotAt } from "./memory";
import * as L from "./layout";
import { rotateIfDue } from "./dedup";
import { gather, gatherBytes, itemCount } from "./gather";
import { forgetLooks } from "./group-send";
import { addDirtyAck } from "./journal";
import { logSenders, noteSender } from "./receipt-log";
import { at, begin, end, failed, readArray, readUint, skip } from "./msgpack";
import { ACCEPTED, BATCH_FULL, forgetAsks, judgeOwnSend, judgeSend, NEEDS_ACCOUNTS, NEEDS_GROUP } from "./send";
import { sharedCount } from "./shared";

// Kinds of frames (src/wire/protocol.ts).
const KIND_SEND: u32 = 2;
const KIND_ACK: u32 = 3;
const KIND_EPHEMERAL: u32 = 4;
const KIND_PING: u32 = 5;
const KIND_REQUEST: u32 = 7;
const KIND_SHARED_SEND: u32 = 8;
const KIND_GROUP_SEND: u32 = 9;
const KIND_OWN_SEND: u32 = 10;
const KIND_GROUP_EPHEMERAL: u32 = 14;

// Where the turn stands in the inbox; kept while the host loads an account or empties the columns.
let messageAt: usize = 0;
let frameAt: usize = 0;
let timeMs: f64 = 0;
let passedMs: f64 = 0;
let fresh: bool = true;

/** Runs over the inbox from `from` to `to`; see the statuses in layout.ts. */
export function tick(from: usize, to: usize, nowMs: f64, monotonicMs: f64): u32 {
  if (fresh) {
    timeMs = nowMs;
    passedMs = monotonicMs;
    messageAt = from;
    frameAt = 0;
    rotateIfDue(monotonicMs);
    forgetLooks();
    fresh = false;
  }
  while (messageAt < to) {
    const status = readMessage();
    if (status != L.STATUS_DONE) {
      if (status == L.STATUS_AGAIN) finishBatch();
      return status;
    }
    messageAt += L.MESSAGE_HEADER_BYTES + ((load<u32>(messageAt, L.MESSAGE_BYTES) + 7) & ~7);
    frameAt = 0;
  }
  finishBatch();
  fresh = true;
  return L.STATUS_DONE;
}

function finishBatch(): void {
  gather(timeMs);
  logSenders();
}

function readMessage(): u32 {
  const index = load<u32>(messageAt, L.MESSAGE_SLOT);
  const slot = slotAt(index);
  const body = messageAt + L.MESSAGE_HEADER_BYTES;
  begin(frameAt == 0 ? body : frameAt, body + load<u32>(messageAt, L.MESSAGE_BYTES));
  while (at < end) {
    // What a connection sent before it was replaced or closed is as if it had been lost on the way.
    if (load<u32>(slot, L.SLOT_CONNECTION) != load<u32>(messageAt, L.MESSAGE_CONNECTION)) return L.STATUS_DONE;
    if (at != frameAt) forgetAsks();
    frameAt = at;
    if (isBatchFull()) return L.STATUS_AGAIN;
    const status = readFrame(slot, index);
    if (status != L.STATUS_DONE) return status;
  }
  return L.STATUS_DONE;
}

function isBatchFull(): bool {
  return (
    itemCount + L.ACCOUNTS_PER_SHARED_SEND_MAX * L.ACCOUNT_DEVICES_MAX > L.ITEMS_MAX ||
    sharedCount == L.PARTS_PER_BATCH_MAX ||
    gatherBytes >= L.GATHER_BYTES_MAX ||
    load<u32>(control, L.CONTROL_OUTCOMES) >= L.OUTCOMES_MAX
  );
}

/** Reads one frame and does what it says; not done when something must be loaded, or the batch finished, first. */
function readFrame(slot: usize, index: u32): u32 {
  const fields = readArray();
  const kind = readUint();
  if (!failed && isSend(kind, fields)) return readSend(slot, index, <u32>kind);
  if (!failed && kind == KIND_ACK && fields == 2) readAck(slot, index);
  else if (!failed && isControl(kind)) readControl(index);
  else endConnection(slot, index, L.CODE_BAD_FRAME);
  return L.STATUS_DONE;
}

// @ts-ignore: decorator
@inline
function isSend(kind: u64, fields: u32): bool {
  return (
    (kind == KIND_SEND && fields == 3) ||
    (kind == KIND_SHARED_SEND && fields == 4) ||
    (kind == KIND_GROUP_SEND && fields == 6) ||
    (kind == KIND_OWN_SEND && fields == 4)
  );
}

// @ts-ignore: decorator
@inline
function isControl(kind: u64): bool {
  return (kind >= KIND_EPHEMERAL && kind <= KIND_REQUEST) || kind == KIND_GROUP_EPHEMERAL;
}

function outcome(index: u32, code: u32): void {
  const n = load<u32>(control, L.CONTROL_OUTCOMES);
  const row = outcomes + <usize>n * L.OUTCOME_BYTES;
  store<u32>(row, index, L.OUTCOME_SLOT);
  store<u32>(row, code, L.OUTCOME_CODE);
  store<u32>(row, <u32>frameAt, L.OUTCOME_FRAME);
  store<u32>(row, <u32>(at - frameAt), L.OUTCOME_FRAME_BYTES);
  store<u32>(row, load<u32>(slotAt(index), L.SLOT_POSITION), L.OUTCOME_POSITION);
  store<u32>(control, n + 1, L.CONTROL_OUTCOMES);
}

/**
 * What cannot be read ends its connection; nothing after it is looked at. The slot stays the device's until the
 * host has taken the attention, so that the outcome names the right one.
 */
function endConnection(slot: usize, index: u32, code: u32): void {
  at = end;
  outcome(index, code);
  disconnect(slot);
  callAttention(index);
}

export function disconnect(slot: usize): void {
  store<u32>(slot, 0, L.SLOT_CONNECTION);
  clearFlag(slot, L.FLAG_CONNECTED | L.FLAG_LIVE);
}

function readControl(index: u32): void {
  begin(frameAt, end);
  skip();
  if (failed) endConnection(slotAt(index), index, L.CODE_BAD_FRAME);
  else outcome(index, L.OUTCOME_CONTROL);
}

function readAck(slot: usize, index: u32): void {
  const sequence = readUint();
  if (failed) return endConnection(slot, index, L.CODE_BAD_FRAME);
  const floor = load<u64>(slot, L.SLOT_FLOOR);
  const cursor = load<u64>(slot, L.SLOT_CURSOR);
  if (sequence > cursor) return endConnection(slot, index, L.CODE_POSITION_AHEAD);
  if (sequence <= floor) return;
  raiseFloor(slot, sequence);
  const base = load<u64>(slot, L.SLOT_LIVE_BASE);
  const from = floor > base ? floor : base;
  if (sequence > from) {
    const rest = (<u64>load<u32>(slot, L.SLOT_IN_FLIGHT_BYTES) * (cursor - sequence)) / (cursor - from);
    store<u32>(slot, <u32>rest, L.SLOT_IN_FLIGHT_BYTES);
  }
  count(L.CONTROL_COUNT_ACKS, 1);
  if (!flag(slot, L.FLAG_LIVE) || flag(slot, L.FLAG_QUEUED)) callAttention(index);
}

/** The floor goes into the next journal record; see journal.ts. */
export function raiseFloor(slot: usize, sequence: u64): void {
  store<u64>(slot, sequence, L.SLOT_FLOOR);
  markAckDirty(slot);
}

function markAckDirty(slot: usize): void {
  if (flag(slot, L.FLAG_ACK_DIRTY)) return;
  setFlag(slot, L.FLAG_ACK_DIRTY);
  addDirtyAck(<u32>((slot - slotAt(0)) / L.SLOT_BYTES));
}

function readSend(slot: usize, index: u32, kind: u32): u32 {
  const isGroup = kind == KIND_GROUP_SEND;
  const code =
    kind == KIND_OWN_SEND
      ? judgeOwnSend(slot, passedMs)
      : judgeSend(slot, isGroup, kind == KIND_SHARED_SEND || isGroup, passedMs);
  if (code == BATCH_FULL) return L.STATUS_AGAIN;
  if (code == NEEDS_ACCOUNTS || code == NEEDS_GROUP) {
    store<u32>(control, index, L.CONTROL_NEEDED_BY);
    return code == NEEDS_GROUP ? L.STATUS_GROUP : L.STATUS_ACCOUNTS;
  }
  if (code == L.CODE_BAD_FRAME) {
    endConnection(slot, index, L.CODE_BAD_FRAME);
    return L.STATUS_DONE;
  }
  store<u32>(slot, load<u32>(slot, L.SLOT_POSITION) + 1, L.SLOT_POSITION);
  if (code == ACCEPTED) {
    noteSender(slot, index);
  } else {
    begin(frameAt, end);
    skip();
    if (failed) {
      endConnection(slot, index, L.CODE_BAD_FRAME);
      return L.STATUS_DONE;
    }
    count(L.CONTROL_COUNT_REFUSED, 1);
    outcome(index, code);
  }
  return L.STATUS_DONE;
}

/**
 * One turn over all that has arrived, up to the gather: parse ▸ admit ▸ dedup ▸ route ▸ sequence.
 *
 * A send is looked at whole before anything of it takes effect, so a refusal leaves no trace and a send whose
 * account is not resident can simply be read again after the account was loaded. Each send ends in one of:
 * accepted (its items are in the columns, its key in the window), duplicate (answered like its original),
 * or refused (a row in the outcomes, which the host answers). Sends of one connection take effect in their order.
 */
import { accountAt, brandIndex, callAttention, clearFlag, control, count, crossing, flag, setFlag, slotAt } from "./memory";
import { items, outcomes } from "./memory";
import * as L from "./layout";
import { devicePosition, findAccount, NONE, slotOf } from "./accounts";
import { isDuplicate, isLogFull, remember, rotateIfDue } from "./dedup";
import { addItem, gather, gatherBytes, hasRoom, itemCount } from "./gather";
import { addDirtyAck } from "./journal";
import { isReceiptLogFull, logSenders, noteSender } from "./receipt-log";
import { at, begin, binAt, end, failed, readArray, readBin, readUint, skip } from "./msgpack";

/** Results of a send besides the codes of the registry. */
const ACCEPTED: u32 = 0;
const NEEDS_ACCOUNT: u32 = 0xffffffff;
/** The node's own device, which writes notices: it may name some of an account's devices, under any version. */
const NODE_ORDINAL: u32 = 0;
/** Marks an item whose device is in no roster, where the slot would stand. */
const UNKNOWN_DEVICE: u32 = 0x80000000;

// Kinds of frames (src/wire/protocol.ts).
const KIND_SEND: u32 = 2;
const KIND_ACK: u32 = 3;
const KIND_EPHEMERAL: u32 = 4;
const KIND_PING: u32 = 5;
const KIND_REQUEST: u32 = 7;

// Where the turn stands in the inbox; kept while the host loads an account or empties the columns.
let messageAt: usize = 0;
let frameAt: usize = 0;
let timeMs: f64 = 0;
let fresh: bool = true;
/** Accounts that were asked for so that the frame at frameAt could be judged. */
let accountsAsked: u32 = 0;

// The accounts of the send being read: static rows of { address, version, first item, end item, resident account }.
const PARTY_BYTES = 20;
const parties: usize = memory.data(L.ACCOUNTS_PER_SEND_MAX * PARTY_BYTES, 8);
let partyCount: u32 = 0;
let readItems: u32 = 0;

// @ts-ignore: decorator
@inline
function partyAt(i: u32): usize {
  return parties + <usize>i * PARTY_BYTES;
}

/** Runs over the inbox from `from` to `to`; see the statuses in layout.ts. */
export function tick(from: usize, to: usize, nowMs: f64): u32 {
  if (fresh) {
    timeMs = nowMs;
    messageAt = from;
    frameAt = 0;
    rotateIfDue(nowMs);
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
    if (at != frameAt) accountsAsked = 0;
    frameAt = at;
    if (isBatchFull()) return L.STATUS_AGAIN;
    if (!readFrame(slot, index)) {
      store<u32>(control, index, L.CONTROL_NEEDED_BY);
      return L.STATUS_ACCOUNT;
    }
  }
  return L.STATUS_DONE;
}

function isBatchFull(): bool {
  return (
    itemCount + L.ACCOUNTS_PER_SEND_MAX * L.ACCOUNT_DEVICES_MAX > L.ITEMS_MAX ||
    gatherBytes >= L.GATHER_BYTES_MAX ||
    load<u32>(control, L.CONTROL_OUTCOMES) >= L.OUTCOMES_MAX
  );
}

/** Reads one frame and does what it says; false when an account must be loaded first. */
function readFrame(slot: usize, index: u32): bool {
  const fields = readArray();
  const kind = readUint();
  if (!failed && kind == KIND_SEND && fields == 3) return readSend(slot, index);
  if (!failed && kind == KIND_ACK && fields == 2) readAck(slot, index);
  else if (!failed && kind >= KIND_EPHEMERAL && kind <= KIND_REQUEST) readControl(index);
  else endConnection(slot, index, L.CODE_BAD_FRAME);
  return true;
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
  const inFlight = load<u32>(slot, L.SLOT_IN_FLIGHT_BYTES);
  if (sequence == cursor) store<u32>(slot, 0, L.SLOT_IN_FLIGHT_BYTES);
  else if (inFlight != 0 && floor >= load<u64>(slot, L.SLOT_LIVE_BASE)) {
    const rest = (<u64>inFlight * (cursor - sequence)) / (cursor - floor);
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

function readSend(slot: usize, index: u32): bool {
  const code = judgeSend(slot);
  if (code == NEEDS_ACCOUNT) return false;
  if (code == L.CODE_BAD_FRAME) {
    endConnection(slot, index, L.CODE_BAD_FRAME);
    return true;
  }
  store<u32>(slot, load<u32>(slot, L.SLOT_POSITION) + 1, L.SLOT_POSITION);
  if (code == ACCEPTED) {
    noteSender(slot, index);
  } else {
    begin(frameAt, end);
    skip();
    if (failed) {
      endConnection(slot, index, L.CODE_BAD_FRAME);
      return true;
    }
    count(L.CONTROL_COUNT_REFUSED, 1);
    outcome(index, code);
  }
  return true;
}

let idAt: usize = 0;

/** The rules of a send, in order of precedence; nothing takes effect unless all hold. */
function judgeSend(slot: usize): u32 {
  const shape = readParties();
  if (shape != ACCEPTED) return shape;
  if (isReceiptLogFull() && !flag(slot, L.FLAG_SENT_NOW)) return L.CODE_OVERLOADED;
  const ordinal = load<u32>(slot, L.SLOT_ORDINAL);
  if (isDuplicate(ordinal, idAt)) {
    count(L.CONTROL_COUNT_DUPLICATES, 1);
    return ACCEPTED;
  }
  if (load<u32>(control, L.CONTROL_DISK_LOW) != 0) return L.CODE_DISK_LOW;
  if (!hasRoom(sendBytes()) || isLogFull()) return L.CODE_OVERLOADED;
  const brands = judgeBrands(slot);
  if (brands != ACCEPTED) return brands;
  const rosters = judgeRosters(slot);
  if (rosters != ACCEPTED) return rosters;
  accept(slot, ordinal);
  return ACCEPTED;
}

/** Reads `id` and the parties of a send into the static rows and the (not yet counted) items behind the column's end. */
function readParties(): u32 {
  if (readBin() != 16 || failed) return L.CODE_BAD_FRAME;
  idAt = binAt;
  partyCount = readArray();
  readItems = itemCount;
  if (failed || partyCount == 0) return L.CODE_BAD_FRAME;
  if (partyCount > L.ACCOUNTS_PER_SEND_MAX) return L.CODE_TOO_MANY_RECIPIENTS;
  for (let i: u32 = 0; i < partyCount; i++) {
    const code = readParty(partyAt(i));
    if (code != ACCEPTED) return code;
  }
  return ACCEPTED;
}

function readParty(party: usize): u32 {
  if (readArray() != 3 || failed || readBin() != 18 || failed) return L.CODE_BAD_FRAME;
  store<u32>(party, <u32>binAt);
  const version = readUint();
  if (failed || version > 0xffffffff) return L.CODE_BAD_FRAME;
  store<u32>(party, <u32>version, 4);
  const devices = readArray();
  if (failed) return L.CODE_BAD_FRAME;
  if (devices > L.ACCOUNT_DEVICES_MAX) return L.CODE_TOO_MANY_RECIPIENTS;
  store<u32>(party, readItems, 8);
  for (let i: u32 = 0; i < devices; i++) {
    const code = readItem();
    if (code != ACCEPTED) return code;
  }
  store<u32>(party, readItems, 12);
  return ACCEPTED;
}

function readItem(): u32 {
  if (readArray() != 2 || failed) return L.CODE_BAD_FRAME;
  const number = readUint();
  const bytes = readBin();
  if (failed || number == 0 || number > 0xffff) return L.CODE_BAD_FRAME;
  if (bytes > L.PAYLOAD_BYTES_MAX) return L.CODE_PAYLOAD_TOO_LARGE;
  const item = items + <usize>(readItems++) * L.ITEM_BYTES;
  // The device's number stands in for its slot until the rosters were looked at.
  store<u32>(item, <u32>number, L.ITEM_SLOT);
  store<u32>(item, <u32>binAt, L.ITEM_PAYLOAD);
  store<u32>(item, bytes, L.ITEM_PAYLOAD_BYTES);
  return ACCEPTED;
}

/** An upper bound of what the send would add to the tail. */
function sendBytes(): u32 {
  let bytes: u32 = 0;
  for (let i = itemCount; i < readItems; i++) {
    const payload = load<u32>(items + <usize>i * L.ITEM_BYTES, L.ITEM_PAYLOAD_BYTES);
    bytes += L.JOURNAL_RUN_HEADER_BYTES + L.DELIVER_HEADER_BYTES + payload + 8;
  }
  return bytes;
}

// @ts-ignore: decorator
@inline
function brandOf(address: usize): u32 {
  return load<u8>(brandIndex + bswap<u16>(load<u16>(address)));
}

function judgeBrands(slot: usize): u32 {
  const row = crossing + <usize>brandOf(slot + L.SLOT_ADDRESS) * L.BRANDS_MAX;
  let code = ACCEPTED;
  for (let i: u32 = 0; i < partyCount; i++) {
    const state = load<u8>(row + brandOf(load<u32>(partyAt(i))));
    if (state == L.CROSSING_CLOSED) return L.CODE_BRANDS_CLOSED;
    if (state == L.CROSSING_FULL) code = L.CODE_BRAND_QUOTA;
  }
  return code;
}

/** Every listed account is covered exactly, and the sender's own other devices are not left out. */
function judgeRosters(slot: usize): u32 {
  const own = load<u32>(slot, L.SLOT_ACCOUNT);
  let ownListed = load<u32>(accountAt(own), L.ACCOUNT_DEVICE_COUNT) <= 1;
  let code = ACCEPTED;
  for (let i: u32 = 0; i < partyCount; i++) {
    const party = partyAt(i);
    const account = findAccount(load<u32>(party));
    if (account == NONE) {
      // The tables are so full that what is loaded drives out what the same send needs: it cannot be routed now.
      if (accountsAsked == L.ACCOUNTS_PER_SEND_MAX) return L.CODE_OVERLOADED;
      accountsAsked++;
      store<u32>(control, load<u32>(party), L.CONTROL_NEEDED_ACCOUNT);
      return NEEDS_ACCOUNT;
    }
    for (let j: u32 = 0; j < i; j++) if (load<u32>(partyAt(j), 16) == account) return L.CODE_REPEATED_RECIPIENT;
    store<u32>(party, account, 16);
    if (account == own) ownListed = true;
    const coverage = judgeCoverage(party, accountAt(account), slot);
    if (coverage == L.CODE_REPEATED_RECIPIENT) return coverage;
    if (coverage != ACCEPTED) code = coverage;
  }
  return ownListed ? code : L.CODE_ROSTER_STALE;
}

/** Puts the slots of the party's devices into its items. */
function judgeCoverage(party: usize, account: usize, sender: usize): u32 {
  let seen: u32 = 0;
  const isNode = load<u32>(sender, L.SLOT_ORDINAL) == NODE_ORDINAL;
  let code = load<u32>(party, 4) == load<u32>(account, L.ACCOUNT_VERSION) ? ACCEPTED : L.CODE_ROSTER_STALE;
  for (let i = load<u32>(party, 8); i < load<u32>(party, 12); i++) {
    const item = items + <usize>i * L.ITEM_BYTES;
    const number = load<u32>(item, L.ITEM_SLOT);
    const position = devicePosition(account, number);
    if (position < 0) {
      if (isUnknownListed(party, i, number)) return L.CODE_REPEATED_RECIPIENT;
      store<u32>(item, number | UNKNOWN_DEVICE, L.ITEM_SLOT);
      code = L.CODE_ROSTER_STALE;
      continue;
    }
    const slot = slotOf(account, position);
    if (seen & (1 << position) || slotAt(slot) == sender) return L.CODE_REPEATED_RECIPIENT;
    seen |= 1 << position;
    store<u32>(item, slot, L.ITEM_SLOT);
  }
  const flags = load<u32>(account, L.ACCOUNT_FLAGS);
  if (!(flags & L.ACCOUNT_RECENT)) store<u32>(account, flags | L.ACCOUNT_RECENT, L.ACCOUNT_FLAGS);
  let due = load<u32>(account, L.ACCOUNT_DEVICE_COUNT);
  if (account == accountAt(load<u32>(sender, L.SLOT_ACCOUNT))) due--;
  if (isNode) return ACCEPTED;
  return <u32>popcnt(seen) == due ? code : L.CODE_ROSTER_STALE;
}

/** Whether the party's items before `before` name this number, which its roster has not. */
function isUnknownListed(party: usize, before: u32, number: u32): bool {
  for (let i = load<u32>(party, 8); i < before; i++) {
    if (load<u32>(items + <usize>i * L.ITEM_BYTES, L.ITEM_SLOT) == (number | UNKNOWN_DEVICE)) return true;
  }
  return false;
}

function accept(slot: usize, ordinal: u32): void {
  remember(ordinal, idAt, timeMs);
  count(L.CONTROL_COUNT_SENDS_ACCEPTED, 1);
  const last = readItems;
  for (let i = itemCount; i < last; i++) {
    const item = items + <usize>i * L.ITEM_BYTES;
    // Only the node's own sends come this far with a device that no roster lists any more.
    if (load<u32>(item, L.ITEM_SLOT) & UNKNOWN_DEVICE) continue;
    if (i != itemCount) memory.copy(items + <usize>itemCount * L.ITEM_BYTES, item, L.ITEM_BYTES);
    addItem(slot, <u32>idAt);
  }
}

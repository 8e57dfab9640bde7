/**
 * Sends, of all four kinds: what one must satisfy, and what taking it in does.
 *
 *   send                 a ciphertext for each device of the listed accounts
 *   multi-recipient      one shared part, and for each of those devices a block of its own, which may be empty
 *   group                one shared part for the devices of a group's members (group-send.ts), blocks for some of them
 *   own                  a ciphertext for one other device of the sender's account, and nobody else
 *
 * A send is looked at whole before anything of it takes effect. What it refers to and is not resident is asked for, all
 * of it at once, and the send is read again when the host has loaded it; a few times, for the tables may be so full that
 * what is loaded drives out what the same send needs.
 */
import * as L from "./layout";
import { devicePosition, findAccount, NONE, slotOf } from "./accounts";
import { isDuplicate, isLogFull, remember } from "./dedup";
import { addItem, countPart, hasRoom, itemCount } from "./gather";
import { judgeGroup, readGroupSend } from "./group-send";
import { accountAt, brandIndex, control, count, crossing, flag, items, needed, slotAt } from "./memory";
import { binAt, failed, readArray, readBin, readUint } from "./msgpack";
import { isReceiptLogFull } from "./receipt-log";
import { addShared, partBytes } from "./shared";

/** Results of a send besides the codes of the registry. */
export const ACCEPTED: u32 = 0;
export const NEEDS_ACCOUNTS: u32 = 0xffffffff;
export const NEEDS_GROUP: u32 = 0xfffffffe;
/** The send fits a batch, but not this one. */
export const BATCH_FULL: u32 = 0xfffffffd;
/** Of the rules that hold for every kind: nothing is known of it yet. */
const IS_NEW: u32 = 0xfffffffc;
/** The node's own device, which writes notices: it may name some of an account's devices, under any version. */
const NODE_ORDINAL: u32 = 0;
/** Marks an item whose device is in no roster, where the slot would stand. */
const UNKNOWN_DEVICE: u32 = 0x80000000;

// The accounts of the send being read: static rows of { address, version, first item, end item, resident account }.
const PARTY_BYTES = 20;
const parties: usize = memory.data(L.ACCOUNTS_PER_SHARED_SEND_MAX * PARTY_BYTES, 8);
let partyCount: u32 = 0;

/** Of the send being read. */
let idAt: usize = 0;
let sharedAt: usize = 0;
export let sharedBytes: u32 = 0;
/** The 18 bytes of its group; 0 when it lists its recipients itself. */
export let groupAt: usize = 0;
export let groupVersion: u32 = 0;
/** Its items stand behind the column's end, up to here. */
let readItems: u32 = 0;

/** How often something was asked for so that the frame being read could be judged. */
let asks: u32 = 0;
let neededCount: u32 = 0;

// @ts-ignore: decorator
@inline
function partyAt(i: u32): usize {
  return parties + <usize>i * PARTY_BYTES;
}

/** Another frame is read from here on. */
export function forgetAsks(): void {
  asks = 0;
}

/** The rules of a send, in order of precedence; nothing takes effect unless all hold. */
export function judgeSend(slot: usize, isGroup: bool, isShared: bool, monotonicMs: f64): u32 {
  const shape = readSend(isGroup, isShared);
  if (shape != ACCEPTED) return shape;
  const early = judgeAny(slot);
  if (early != IS_NEW) return early;
  const recipients = isGroup ? judgeGroup(slot) : judgeParties(slot, isShared);
  if (recipients != ACCEPTED) return recipients;
  accept(slot, isShared, L.DELIVER_HEAD, monotonicMs);
  return ACCEPTED;
}

/**
 * The same for a send to one other device of the sender's own account. The frame cannot name an account, and the roster
 * has no say: who is not meant is not left out.
 */
export function judgeOwnSend(slot: usize, monotonicMs: f64): u32 {
  if (readBin() != 16 || failed) return L.CODE_BAD_FRAME;
  idAt = binAt;
  readItems = itemCount;
  const shape = readEntry(L.PAYLOAD_BYTES_MAX);
  if (shape != ACCEPTED) return shape;
  const early = judgeAny(slot);
  if (early != IS_NEW) return early;
  if (!hasRoom(itemsBytes(L.DELIVER_HEADER_BYTES), 1)) return L.CODE_OVERLOADED;
  store<u32>(partyAt(0), <u32>(slot + L.SLOT_ADDRESS));
  partyCount = 1;
  const brands = judgeBrands(slot);
  if (brands != ACCEPTED) return brands;
  const account = accountAt(load<u32>(slot, L.SLOT_ACCOUNT));
  const item = items + <usize>itemCount * L.ITEM_BYTES;
  const position = devicePosition(account, load<u32>(item, L.ITEM_SLOT));
  if (position < 0 || slotAt(slotOf(account, position)) == slot) return L.CODE_DEVICE_NOT_OWN;
  store<u32>(item, slotOf(account, position), L.ITEM_SLOT);
  accept(slot, false, L.OWN_DELIVER_HEAD, monotonicMs);
  return ACCEPTED;
}

/** What holds for every kind of send that can be read: IS_NEW when the rest must be looked at. */
function judgeAny(slot: usize): u32 {
  if (isReceiptLogFull() && !flag(slot, L.FLAG_SENT_NOW)) return L.CODE_OVERLOADED;
  if (isDuplicate(load<u32>(slot, L.SLOT_ORDINAL), idAt)) {
    count(L.CONTROL_COUNT_DUPLICATES, 1);
    return ACCEPTED;
  }
  if (load<u32>(control, L.CONTROL_DISK_LOW) != 0) return L.CODE_DISK_LOW;
  return isLogFull() ? L.CODE_OVERLOADED : IS_NEW;
}

function readSend(isGroup: bool, isShared: bool): u32 {
  if (readBin() != 16 || failed) return L.CODE_BAD_FRAME;
  idAt = binAt;
  groupAt = 0;
  groupVersion = 0;
  if (!isShared) return readParties(L.ACCOUNTS_PER_SEND_MAX, L.PAYLOAD_BYTES_MAX);
  if (isGroup) {
    if (readBin() != 18 || failed) return L.CODE_BAD_FRAME;
    groupAt = binAt;
    const version = readUint();
    if (failed || version > 0xffffffff) return L.CODE_BAD_FRAME;
    groupVersion = <u32>version;
  }
  sharedBytes = readBin();
  if (failed) return L.CODE_BAD_FRAME;
  sharedAt = binAt;
  if (sharedBytes > L.PAYLOAD_BYTES_MAX) return L.CODE_PAYLOAD_TOO_LARGE;
  return isGroup ? readGroupSend() : readParties(L.ACCOUNTS_PER_SHARED_SEND_MAX, L.BLOCK_BYTES_MAX);
}

/** Puts an account, by the address of its address, on the list of those to load, while that has room. */
export function need(address: u32): void {
  if (neededCount == L.NEEDED_MAX) return;
  store<u32>(needed + <usize>(neededCount++) * 4, address);
}

export function forgetNeeded(): void {
  neededCount = 0;
}

export function askForAccounts(): u32 {
  return askFor(neededCount, NEEDS_ACCOUNTS);
}

export function askForGroup(): u32 {
  return askFor(<u32>groupAt, NEEDS_GROUP);
}

function askFor(what: u32, result: u32): u32 {
  if (asks == L.ASKS_MAX) return L.CODE_OVERLOADED;
  asks++;
  store<u32>(control, what, L.CONTROL_NEEDED);
  store<u32>(control, groupAt == 0 ? 0 : 1, L.CONTROL_NEEDED_MEMBERS);
  return result;
}

/** An account in use is given up later than others. */
export function noteUse(account: usize): void {
  const flags = load<u32>(account, L.ACCOUNT_FLAGS);
  if (!(flags & L.ACCOUNT_RECENT)) store<u32>(account, flags | L.ACCOUNT_RECENT, L.ACCOUNT_FLAGS);
}

/** The items of the send being read stand behind the column's end, up to this one. */
export function setReadItems(end: u32): void {
  readItems = end;
}

/** `head` begins the frames of what is not shared. */
function accept(slot: usize, isShared: bool, head: u32, monotonicMs: f64): void {
  remember(load<u32>(slot, L.SLOT_ORDINAL), idAt, monotonicMs);
  count(L.CONTROL_COUNT_SENDS_ACCEPTED, 1);
  const last = readItems;
  let shared: u32 = 0;
  for (let i = itemCount; i < last; i++) {
    const item = items + <usize>i * L.ITEM_BYTES;
    // Only the node's own sends come this far with a device that no roster lists any more.
    if (load<u32>(item, L.ITEM_SLOT) & UNKNOWN_DEVICE) continue;
    if (i != itemCount) memory.copy(items + <usize>itemCount * L.ITEM_BYTES, item, L.ITEM_BYTES);
    // Not before there is somebody who gets it: a part goes with its last reference.
    if (isShared && shared == 0) {
      shared = addShared(sharedAt, sharedBytes, slot, idAt, groupAt, groupVersion);
      countPart(sharedBytes);
    }
    addItem(slot, <u32>idAt, shared, head);
  }
}

/** Reads the parties of a send into the static rows and the (not yet counted) items behind the column's end. */
function readParties(partiesMax: u32, payloadMax: u32): u32 {
  partyCount = readArray();
  readItems = itemCount;
  if (failed || partyCount == 0) return L.CODE_BAD_FRAME;
  if (partyCount > partiesMax) return L.CODE_TOO_MANY_RECIPIENTS;
  for (let i: u32 = 0; i < partyCount; i++) {
    const code = readParty(partyAt(i), payloadMax);
    if (code != ACCEPTED) return code;
  }
  return ACCEPTED;
}

function readParty(party: usize, payloadMax: u32): u32 {
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
    const code = readItem(payloadMax);
    if (code != ACCEPTED) return code;
  }
  store<u32>(party, readItems, 12);
  return ACCEPTED;
}

function readItem(payloadMax: u32): u32 {
  if (readArray() != 2 || failed) return L.CODE_BAD_FRAME;
  return readEntry(payloadMax);
}

/** A device's number and what is for it: an item. */
function readEntry(payloadMax: u32): u32 {
  const number = readUint();
  const bytes = readBin();
  if (failed || number == 0 || number > 0xffff) return L.CODE_BAD_FRAME;
  if (bytes > payloadMax) return L.CODE_PAYLOAD_TOO_LARGE;
  const item = items + <usize>(readItems++) * L.ITEM_BYTES;
  // The device's number stands in for its slot until the rosters were looked at.
  store<u32>(item, <u32>number, L.ITEM_SLOT);
  store<u32>(item, <u32>binAt, L.ITEM_PAYLOAD);
  store<u32>(item, bytes, L.ITEM_PAYLOAD_BYTES);
  return ACCEPTED;
}

/** An upper bound of what the items read would add to the tail. */
function itemsBytes(entryHeader: u32): u32 {
  let bytes: u32 = 0;
  for (let i = itemCount; i < readItems; i++) {
    const payload = load<u32>(items + <usize>i * L.ITEM_BYTES, L.ITEM_PAYLOAD_BYTES);
    bytes += L.JOURNAL_RUN_HEADER_BYTES + entryHeader + payload + 8;
  }
  return bytes;
}

/** Recipients that the send lists itself, by account. */
function judgeParties(slot: usize, isShared: bool): u32 {
  const room = isShared
    ? hasRoom(itemsBytes(L.REFERENCE_BYTES) + partBytes(sharedBytes), readItems - itemCount)
    : hasRoom(itemsBytes(L.DELIVER_HEADER_BYTES), readItems - itemCount);
  if (!room) return L.CODE_OVERLOADED;
  const brands = judgeBrands(slot);
  if (brands != ACCEPTED) return brands;
  return judgeRosters(slot);
}

// @ts-ignore: decorator
@inline
export function isNode(slot: usize): bool {
  return load<u32>(slot, L.SLOT_ORDINAL) == NODE_ORDINAL;
}

// @ts-ignore: decorator
@inline
export function brandOf(address: usize): u32 {
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
  if (!findParties()) return askForAccounts();
  let ownListed = load<u32>(accountAt(own), L.ACCOUNT_DEVICE_COUNT) <= 1;
  let code = ACCEPTED;
  for (let i: u32 = 0; i < partyCount; i++) {
    const party = partyAt(i);
    const account = load<u32>(party, 16);
    for (let j: u32 = 0; j < i; j++) if (load<u32>(partyAt(j), 16) == account) return L.CODE_REPEATED_RECIPIENT;
    if (account == own) ownListed = true;
    const coverage = judgeCoverage(party, accountAt(account), slot);
    if (coverage == L.CODE_REPEATED_RECIPIENT) return coverage;
    if (coverage != ACCEPTED) code = coverage;
  }
  return ownListed ? code : L.CODE_ROSTER_STALE;
}

/** Notes the parties' accounts in their rows; false when some are not resident. */
function findParties(): bool {
  neededCount = 0;
  for (let i: u32 = 0; i < partyCount; i++) {
    const party = partyAt(i);
    const account = findAccount(load<u32>(party));
    store<u32>(party, account, 16);
    if (account == NONE) need(load<u32>(party));
  }
  return neededCount == 0;
}

/** Puts the slots of the party's devices into its items. */
function judgeCoverage(party: usize, account: usize, sender: usize): u32 {
  let seen: u32 = 0;
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
  noteUse(account);
  let due = load<u32>(account, L.ACCOUNT_DEVICE_COUNT);
  if (account == accountAt(load<u32>(sender, L.SLOT_ACCOUNT))) due--;
  if (isNode(sender)) return ACCEPTED;
  return <u32>popcnt(seen) == due ? code : L.CODE_ROSTER_STALE;
}

/** Whether the party's items before `before` name this number, which its roster has not. */
function isUnknownListed(party: usize, before: u32, number: u32): bool {
  for (let i = load<u32>(party, 8); i < before; i++) {
    if (load<u32>(items + <usize>i * L.ITEM_BYTES, L.ITEM_SLOT) == (number | UNKNOWN_DEVICE)) return true;
  }
  return false;
}

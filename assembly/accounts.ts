/**
 * Resident accounts and devices: account address → record → slots of its devices.
 *
 * Resident is what is connected, has unreleased runs, or was addressed lately; the
 * rest lives in the store and is loaded when a send names it. An account nobody
 * signed into is resident as a record without devices, so that the answer for it
 * costs no more than for any other.
 *
 * A device's sequences need no durable counter: those of one process begin above
 * `epoch << 32`, and a slot made anew begins above the highest counter of any slot
 * that was given up since.
 *
 * A device that its account's roster no longer lists is removed at once: it has no connection, nothing of it is spilled or
 * delivered, and nobody finds it. Its slot is left over until nothing points to it any more.
 */
import * as L from "./layout";
import {
  accountAt,
  accountIndex,
  accountIndexMask,
  accountsMax,
  clearFlag,
  control,
  count,
  flag,
  freeAccounts,
  freeSlots,
  slotAt,
  slotsMax,
} from "./memory";

export const NONE: u32 = 0xffffffff;

let seed: u64 = 0;
let sequenceBase: u64 = 0;
let freeAccountCount: u32 = 0;
let freeSlotCount: u32 = 0;
let clockHand: u32 = 0;
/** The account being loaded, which must not be given up to make room for itself. */
let pinned: u32 = NONE;
/** Slots of removed devices: a list linked by SLOT_ACCOUNT, index + 1; 0 ends it. */
let leftOver: u32 = 0;

export function initAccounts(hashSeed: u64, firstSequence: u64): void {
  seed = hashSeed;
  sequenceBase = firstSequence;
  freeAccountCount = accountsMax;
  for (let i: u32 = 0; i < accountsMax; i++) store<u32>(freeAccounts + <usize>i * 4, accountsMax - 1 - i);
  freeSlotCount = slotsMax;
  for (let i: u32 = 0; i < slotsMax; i++) store<u32>(freeSlots + <usize>i * 4, slotsMax - 1 - i);
}

// @ts-ignore: decorator
@inline
export function sameAccount(a: usize, b: usize): bool {
  return (
    load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8) && load<u16>(a, 16) == load<u16>(b, 16)
  );
}

/** Of an 18-byte address, an account's or a group's. */
export function hash(address: usize): u32 {
  let x = (load<u64>(address) ^ seed) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 32) ^ load<u64>(address, 8)) * 0xd6e8feb86659fd93;
  x = (x ^ (x >> 29) ^ load<u16>(address, 16)) * 0xa0761d6478bd642f;
  return <u32>(x >> 32);
}

/** The resident account at this 18-byte address, or NONE. */
export function findAccount(address: usize): u32 {
  let at = hash(address) & accountIndexMask;
  while (true) {
    const entry = load<u32>(accountIndex + (<usize>at << 2));
    if (entry == 0) return NONE;
    if (sameAccount(accountAt(entry - 1) + L.ACCOUNT_ADDRESS, address)) return entry - 1;
    at = (at + 1) & accountIndexMask;
  }
}

function indexAccount(account: u32): void {
  let at = hash(accountAt(account) + L.ACCOUNT_ADDRESS) & accountIndexMask;
  while (load<u32>(accountIndex + (<usize>at << 2)) != 0) at = (at + 1) & accountIndexMask;
  store<u32>(accountIndex + (<usize>at << 2), account + 1);
}

/** Removes by shifting back what stands behind, so that the table needs no tombstones. */
function unindexAccount(account: u32): void {
  let hole = hash(accountAt(account) + L.ACCOUNT_ADDRESS) & accountIndexMask;
  while (load<u32>(accountIndex + (<usize>hole << 2)) != account + 1) hole = (hole + 1) & accountIndexMask;
  let at = hole;
  for (;;) {
    at = (at + 1) & accountIndexMask;
    const entry = load<u32>(accountIndex + (<usize>at << 2));
    if (entry == 0) break;
    const home = hash(accountAt(entry - 1) + L.ACCOUNT_ADDRESS) & accountIndexMask;
    if (((at - home) & accountIndexMask) >= ((at - hole) & accountIndexMask)) {
      store<u32>(accountIndex + (<usize>hole << 2), entry);
      hole = at;
    }
  }
  store<u32>(accountIndex + (<usize>hole << 2), 0);
}

/** The position of a device number in an account's record, or -1. */
export function devicePosition(account: usize, number: u32): i32 {
  const n = load<u32>(account, L.ACCOUNT_DEVICE_COUNT);
  for (let i: u32 = 0; i < n; i++) {
    if (load<u16>(account + (<usize>i << 1), L.ACCOUNT_NUMBERS) == number) return <i32>i;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
export function slotOf(account: usize, position: i32): u32 {
  return load<u32>(account + (<usize>position << 2), L.ACCOUNT_SLOTS);
}

/** Whether nothing in this process needs the slot's state any more. */
function isSlotIdle(slot: usize): bool {
  const busy = L.FLAG_CONNECTED | L.FLAG_ACK_DIRTY | L.FLAG_ATTENTION | L.FLAG_DUE_LISTED | L.FLAG_SENT_NOW;
  return !flag(slot, busy) && load<u32>(slot, L.SLOT_RUN_HEAD) == 0 && load<u32>(slot, L.SLOT_ITEM_COUNT) == 0;
}

function isAccountIdle(account: usize): bool {
  const n = load<u32>(account, L.ACCOUNT_DEVICE_COUNT);
  for (let i: u32 = 0; i < n; i++) if (!isSlotIdle(slotAt(slotOf(account, <i32>i)))) return false;
  return true;
}

function freeSlot(index: u32): void {
  const slot = slotAt(index);
  const last = load<u64>(slot, L.SLOT_LAST);
  if (last > sequenceBase) sequenceBase = last;
  memory.fill(slot, 0, L.SLOT_BYTES);
  store<u32>(freeSlots + <usize>(freeSlotCount++) * 4, index);
}

function removeSlot(index: u32): void {
  const slot = slotAt(index);
  const last = load<u64>(slot, L.SLOT_LAST);
  // A device that gets the same number begins above what this one had.
  sequenceBase = max<u64>(sequenceBase, last);
  store<u64>(slot, last, L.SLOT_FLOOR);
  store<u64>(slot, last, L.SLOT_CURSOR);
  store<u32>(slot, 0, L.SLOT_CONNECTION);
  clearFlag(slot, L.FLAG_CONNECTED | L.FLAG_LIVE);
  store<u32>(slot, leftOver, L.SLOT_ACCOUNT);
  leftOver = index + 1;
}

/** Frees the slots of removed devices that nothing points to any more. */
export function freeLeftOver(): void {
  let next = leftOver;
  leftOver = 0;
  while (next != 0) {
    const index = next - 1;
    const slot = slotAt(index);
    next = load<u32>(slot, L.SLOT_ACCOUNT);
    if (isSlotIdle(slot)) freeSlot(index);
    else {
      store<u32>(slot, leftOver, L.SLOT_ACCOUNT);
      leftOver = index + 1;
    }
  }
}

/** All sequences given so far lie at or below this, and those of devices that become resident above it. */
export function sequenceCeiling(): f64 {
  return <f64>sequenceBase;
}

function isGiven(given: usize, deviceCount: u32, slot: usize): bool {
  const number = <u32>bswap<u16>(load<u16>(slot, L.SLOT_ADDRESS + 18));
  for (let i: u32 = 0; i < deviceCount; i++) {
    const device = given + L.LOAD_DEVICES + (<usize>i << 3);
    if (load<u32>(device) == number) return load<u32>(device, 4) == load<u32>(slot, L.SLOT_ORDINAL);
  }
  return false;
}

/** Removes the resident devices that the account in the scratch area does not list; returns how many stay, moved up. */
function removeMissing(record: usize, given: usize, deviceCount: u32): u32 {
  const n = load<u32>(record, L.ACCOUNT_DEVICE_COUNT);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const index = slotOf(record, <i32>i);
    if (!isGiven(given, deviceCount, slotAt(index))) {
      removeSlot(index);
      continue;
    }
    store<u16>(record + (<usize>kept << 1), load<u16>(record + (<usize>i << 1), L.ACCOUNT_NUMBERS), L.ACCOUNT_NUMBERS);
    store<u32>(record + (<usize>kept << 2), index, L.ACCOUNT_SLOTS);
    kept++;
  }
  store<u32>(record, kept, L.ACCOUNT_DEVICE_COUNT);
  return kept;
}

function evictAccount(index: u32): void {
  const account = accountAt(index);
  unindexAccount(index);
  const n = load<u32>(account, L.ACCOUNT_DEVICE_COUNT);
  for (let i: u32 = 0; i < n; i++) freeSlot(slotOf(account, <i32>i));
  memory.fill(account, 0, L.ACCOUNT_BYTES);
  store<u32>(freeAccounts + <usize>(freeAccountCount++) * 4, index);
  count(L.CONTROL_COUNT_EVICTED, 1);
}

/** Gives up idle accounts, those not used since the hand last passed first, until there is room. */
function makeRoom(slotsNeeded: u32): void {
  freeLeftOver();
  let steps = accountsMax * 2;
  while ((freeAccountCount == 0 || freeSlotCount < slotsNeeded) && steps-- > 0) {
    const account = accountAt(clockHand);
    const flags = load<u32>(account, L.ACCOUNT_FLAGS);
    if (flags & L.ACCOUNT_RECENT) store<u32>(account, flags & ~L.ACCOUNT_RECENT, L.ACCOUNT_FLAGS);
    else if (flags & L.ACCOUNT_RESIDENT && clockHand != pinned && isAccountIdle(account)) evictAccount(clockHand);
    clockHand = clockHand + 1 == accountsMax ? 0 : clockHand + 1;
  }
}

function makeSlot(account: u32, position: u32, address: usize, number: u32, ordinal: u32): void {
  const index = load<u32>(freeSlots + <usize>(--freeSlotCount) * 4);
  const slot = slotAt(index);
  store<u32>(slot, L.FLAG_RESIDENT, L.SLOT_FLAGS);
  store<u32>(slot, account, L.SLOT_ACCOUNT);
  store<u32>(slot, ordinal, L.SLOT_ORDINAL);
  store<u64>(slot, sequenceBase, L.SLOT_LAST);
  memory.copy(slot + L.SLOT_ADDRESS, address, 18);
  store<u16>(slot, bswap<u16>(<u16>number), L.SLOT_ADDRESS + 18);
  const record = accountAt(account);
  store<u16>(record + (<usize>position << 1), <u16>number, L.ACCOUNT_NUMBERS);
  store<u32>(record + (<usize>position << 2), index, L.ACCOUNT_SLOTS);
}

/**
 * Makes the account in the scratch area resident, or brings the resident one up to its version: devices that it no
 * longer lists are removed, and new ones are added; they stand behind those that were there before. A record that is
 * older than the resident one changes nothing. Returns the account's index, or NONE when the tables are full of busy ones.
 */
export function loadAccount(): u32 {
  const given = control + L.CONTROL_SCRATCH;
  const version = load<u32>(given, L.LOAD_VERSION);
  const deviceCount = load<u32>(given, L.LOAD_DEVICE_COUNT);
  let index = findAccount(given);
  if (index != NONE && version < load<u32>(accountAt(index), L.ACCOUNT_VERSION)) return index;
  const known: u32 = index == NONE ? 0 : removeMissing(accountAt(index), given, deviceCount);
  pinned = index;
  const missing = deviceCount > known ? deviceCount - known : 0;
  if ((index == NONE && freeAccountCount == 0) || freeSlotCount < missing) makeRoom(missing);
  if ((index == NONE && freeAccountCount == 0) || freeSlotCount < missing) return NONE;
  if (index == NONE) {
    index = load<u32>(freeAccounts + <usize>(--freeAccountCount) * 4);
    memory.copy(accountAt(index) + L.ACCOUNT_ADDRESS, given + L.LOAD_ADDRESS, 18);
    indexAccount(index);
  }
  const record = accountAt(index);
  store<u32>(record, L.ACCOUNT_RESIDENT | L.ACCOUNT_RECENT, L.ACCOUNT_FLAGS);
  for (let i = known; i < deviceCount; i++) {
    const device = given + L.LOAD_DEVICES + (<usize>i << 3);
    makeSlot(index, i, given + L.LOAD_ADDRESS, load<u32>(device), load<u32>(device, 4));
  }
  store<u32>(record, deviceCount, L.ACCOUNT_DEVICE_COUNT);
  store<u32>(record, version, L.ACCOUNT_VERSION);
  return index;
}

/** The slot of the device whose 20-byte address is in the scratch area, or NONE when it is not resident. */
export function findDevice(): u32 {
  const address = control + L.CONTROL_SCRATCH;
  const account = findAccount(address);
  if (account == NONE) return NONE;
  const position = devicePosition(accountAt(account), bswap<u16>(load<u16>(address, 18)));
  return position < 0 ? NONE : slotOf(accountAt(account), position);
}

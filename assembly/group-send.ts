/**
 * Group sends: the group's roster says who gets it, which is every device of every member but the sending one.
 *
 * The rules, in order of precedence: the connection has not had too many members looked at in this turn; the sender is a
 * member, or the node itself (for anybody else there is no such group); the version is the roster's; the group is not held;
 * brands may meet; the members have no more devices than one batch takes; each block is for one of the recipients, and none has two. Members that are not resident are asked for
 * together, but only for a member.
 */
import * as L from "./layout";
import { devicePosition, findAccount, NONE, slotOf } from "./accounts";
import { hasRoom, itemCount } from "./gather";
import { findGroup, memberAccount, memberAt } from "./groups";
import { accountAt, blocks, crossing, items, slotAt } from "./memory";
import { binAt, failed, readArray, readBin, readUint } from "./msgpack";
import {
  ACCEPTED,
  askForAccounts,
  askForGroup,
  BATCH_FULL,
  brandOf,
  forgetNeeded,
  groupAt,
  groupVersion,
  isNode,
  need,
  noteUse,
  setReadItems,
  sharedBytes,
} from "./send";
import { partBytes } from "./shared";

let blockCount: u32 = 0;
/** Blocks whose device has a mark in its slot. */
let markedCount: u32 = 0;
/** Members that sends in a row have looked at, and the number of the connection that they are of. */
let lookedCount: u32 = 0;
let lookedFor: u32 = 0;

// @ts-ignore: decorator
@inline
function blockAt(i: u32): usize {
  return blocks + <usize>i * L.BLOCK_BYTES;
}

/** Reads what follows the shared part: the blocks, into their column. */
export function readGroupSend(): u32 {
  blockCount = readArray();
  if (failed) return L.CODE_BAD_FRAME;
  for (let i: u32 = 0; i < blockCount; i++) {
    const block = blockAt(i);
    if (readArray() != 3 || failed || readBin() != 18 || failed) return L.CODE_BAD_FRAME;
    store<u32>(block, <u32>binAt, L.BLOCK_ACCOUNT);
    const number = readUint();
    const bytes = readBin();
    if (failed || number == 0 || number > 0xffff) return L.CODE_BAD_FRAME;
    if (bytes > L.BLOCK_BYTES_MAX) return L.CODE_PAYLOAD_TOO_LARGE;
    store<u32>(block, <u32>number, L.BLOCK_DEVICE);
    store<u32>(block, <u32>binAt, L.BLOCK_AT);
    store<u32>(block, bytes, L.BLOCK_LENGTH);
  }
  return ACCEPTED;
}

/** Another turn begins. */
export function forgetLooks(): void {
  lookedFor = 0;
}

/**
 * Whether the connection may have so many more members looked at. A frame of 45 bytes can cost ten thousand looks, whether it
 * is accepted or not. What a connection sent stands in a row, as its socket was read; the node's own device has fewer under way.
 */
function mayLook(slot: usize, members: u32): bool {
  const connection = load<u32>(slot, L.SLOT_CONNECTION);
  if (connection != lookedFor) {
    lookedFor = connection;
    lookedCount = 0;
  }
  lookedCount += members;
  return lookedCount <= L.MEMBERS_LOOKED_MAX || isNode(slot);
}

export function judgeGroup(slot: usize): u32 {
  if (!hasRoom(partBytes(sharedBytes), 0)) return L.CODE_OVERLOADED;
  const group = findGroup(groupAt);
  if (group == 0) return askForGroup();
  if (!mayLook(slot, load<u32>(group, L.GROUP_MEMBERS))) return L.CODE_OVERLOADED;
  const members = judgeMembers(slot, group);
  if (members != ACCEPTED) return members;
  const marked = markBlocks();
  const collected = marked == ACCEPTED ? collect(slot, group) : marked;
  clearMarks();
  return collected;
}

function judgeMembers(slot: usize, group: usize): u32 {
  const own = load<u32>(slot, L.SLOT_ACCOUNT);
  const row = crossing + <usize>brandOf(slot + L.SLOT_ADDRESS) * L.BRANDS_MAX;
  const members = load<u32>(group, L.GROUP_MEMBERS);
  const isNotice = isNode(slot);
  let isMember = isNotice;
  let isComplete = true;
  // Of those that are resident: enough to know that it is too much, before the rest is asked for.
  let devices: u32 = 0;
  let brands = ACCEPTED;
  forgetNeeded();
  for (let i: u32 = 0; i < members; i++) {
    const member = memberAt(group, i);
    const account = memberAccount(member);
    if (account == NONE) {
      isComplete = false;
      need(<u32>member);
    } else {
      devices += load<u32>(accountAt(account), L.ACCOUNT_DEVICE_COUNT);
      if (account == own) isMember = true;
    }
    const state = load<u8>(row + brandOf(member));
    if (state == L.CROSSING_CLOSED) brands = L.CODE_BRANDS_CLOSED;
    else if (state == L.CROSSING_FULL && brands == ACCEPTED) brands = L.CODE_BRAND_QUOTA;
  }
  if (!isMember) return L.CODE_GROUP_UNKNOWN;
  if (groupVersion != load<u32>(group, L.GROUP_VERSION)) return L.CODE_GROUP_STALE;
  if (load<u32>(group, L.GROUP_HELD) != 0 && !isNotice) return L.CODE_OVERLOADED;
  if (brands != ACCEPTED) return brands;
  if (devices > L.ITEMS_MAX + (isNotice ? 0 : 1)) return L.CODE_TOO_MANY_RECIPIENTS;
  return isComplete ? ACCEPTED : askForAccounts();
}

/** Puts a mark into the slot of each device that a block is for. */
function markBlocks(): u32 {
  for (markedCount = 0; markedCount < blockCount; markedCount++) {
    const block = blockAt(markedCount);
    const account = findAccount(load<u32>(block, L.BLOCK_ACCOUNT));
    const position = account == NONE ? -1 : devicePosition(accountAt(account), load<u32>(block, L.BLOCK_DEVICE));
    if (position < 0) return L.CODE_BLOCK_SURPLUS;
    const index = slotOf(accountAt(account), position);
    if (load<u32>(slotAt(index), L.SLOT_BLOCK) != 0) return L.CODE_REPEATED_RECIPIENT;
    store<u32>(slotAt(index), markedCount + 1, L.SLOT_BLOCK);
    store<u32>(block, index, L.BLOCK_ACCOUNT);
  }
  return ACCEPTED;
}

function clearMarks(): void {
  for (let i: u32 = 0; i < markedCount; i++) store<u32>(slotAt(load<u32>(blockAt(i), L.BLOCK_ACCOUNT)), 0, L.SLOT_BLOCK);
}

/** Puts an item for each recipient behind the column's end. */
function collect(slot: usize, group: usize): u32 {
  const members = load<u32>(group, L.GROUP_MEMBERS);
  let end = itemCount;
  let taken: u32 = 0;
  let blockBytes: u32 = 0;
  for (let i: u32 = 0; i < members; i++) {
    const account = accountAt(load<u32>(memberAt(group, i), L.MEMBER_ACCOUNT) - 1);
    noteUse(account);
    const devices = load<u32>(account, L.ACCOUNT_DEVICE_COUNT);
    for (let j: u32 = 0; j < devices; j++) {
      const index = slotOf(account, j);
      if (slotAt(index) == slot) continue;
      if (end == L.ITEMS_MAX) return BATCH_FULL;
      const item = items + <usize>(end++) * L.ITEM_BYTES;
      const mark = blockCount == 0 ? 0 : load<u32>(slotAt(index), L.SLOT_BLOCK);
      store<u32>(item, index, L.ITEM_SLOT);
      store<u32>(item, 0, L.ITEM_PAYLOAD_BYTES);
      if (mark == 0) continue;
      const block = blockAt(mark - 1);
      store<u32>(item, load<u32>(block, L.BLOCK_AT), L.ITEM_PAYLOAD);
      store<u32>(item, load<u32>(block, L.BLOCK_LENGTH), L.ITEM_PAYLOAD_BYTES);
      blockBytes += load<u32>(block, L.BLOCK_LENGTH);
      taken++;
    }
  }
  if (taken != blockCount) return L.CODE_BLOCK_SURPLUS;
  const entries = end - itemCount;
  const each = L.JOURNAL_RUN_HEADER_BYTES + L.REFERENCE_BYTES + 8;
  if (!hasRoom(partBytes(sharedBytes) + blockBytes + entries * each, entries)) return L.CODE_OVERLOADED;
  setReadItems(end);
  return ACCEPTED;
}

/**
 * Where the regions lie: one ladder, laid out once by `reserve`, after which the
 * memory never grows and no address ever changes. Between regions stand canaries;
 * `checkCanaries` says which one was overwritten.
 */
import * as L from "./layout";

const CANARY_BYTES: u32 = 64;
const CANARY: u64 = 0x5afe_c0de_5afe_c0de;
const REGIONS_MAX = 40;
/** What a memory of 4 GiB takes, but for its last page. */
const REGIONS_END: u64 = 0xffff0000;

export let control: usize = 0;
export let inbox: usize = 0;
export let inboxBytes: u32 = 0;
export let brandIndex: usize = 0;
export let crossing: usize = 0;
export let accounts: usize = 0;
export let accountsMax: u32 = 0;
export let accountIndex: usize = 0;
export let accountIndexMask: u32 = 0;
export let slots: usize = 0;
export let slotsMax: u32 = 0;
export let freeSlots: usize = 0;
export let freeAccounts: usize = 0;
export let groupIndex: usize = 0;
export let groupIndexMask: u32 = 0;
export let groupsMax: u32 = 0;
export let rosters: usize = 0;
export let rostersBytes: u32 = 0;
export let items: usize = 0;
export let touched: usize = 0;
export let sends: usize = 0;
export let outcomes: usize = 0;
export let attention: usize = 0;
export let spans: usize = 0;
export let spills: usize = 0;
export let blocks: usize = 0;
export let shared: usize = 0;
export let needed: usize = 0;
export let dirtyAcks: usize = 0;
export let senders: usize = 0;
export let receiptLog: usize = 0;
export let receiptLogMask: u32 = 0;
export let due: usize = 0;
export let dueMask: u32 = 0;
export let dedupBuckets: usize = 0;
export let dedupBucketMask: u32 = 0;
export let dedupKeys: usize = 0;
export let dedupKeysMax: u32 = 0;
export let dedupLog: usize = 0;
export let dedupLogMax: u32 = 0;
export let runs: usize = 0;
export let runsMask: u32 = 0;
export let records: usize = 0;
export let recordsMask: u32 = 0;
/** Places of the shared parts in the tail: u32 address, by the part's number. */
export let parts: usize = 0;
export let partsMask: u32 = 0;
export let tail: usize = 0;
export let tailBytes: u32 = 0;
export let scratch: usize = 0;

let top: usize = 0;
let fits: bool = true;
/** Addresses of the canaries, u32 each, in static memory. */
const canaries: usize = memory.data(REGIONS_MAX * 4, 4);
let canaryCount: i32 = 0;

function region(bytes: u64): usize {
  const base = (top + 63) & ~63;
  const end = (<u64>base + bytes + 63) & ~63;
  if (end + CANARY_BYTES > REGIONS_END) {
    fits = false;
    return 0;
  }
  assert(canaryCount < REGIONS_MAX, "more regions than canaries");
  store<u32>(canaries + <usize>(canaryCount++) * 4, <u32>end);
  top = <usize>end + CANARY_BYTES;
  return base;
}

function canaryAt(i: i32): usize {
  return load<u32>(canaries + <usize>i * 4);
}

/** The smallest power of two that is at least n. */
export function powerOfTwo(n: u32): u32 {
  let p: u32 = 1;
  while (p < n) p <<= 1;
  return p;
}

/**
 * Lays out all regions and grows the memory once. Returns 0 when the host has not that much memory.
 * Sizes: bytes for the inbox and the tail, records for the rest; `dedupKeyCount` is one generation, `memberCount` goes
 * over all resident groups.
 */
export function reserve(
  inboxSize: u32,
  tailSize: u32,
  accountCount: u32,
  slotCount: u32,
  dedupKeyCount: u32,
  groupCount: u32,
  memberCount: u32,
): i32 {
  top = __heap_base;
  control = region(L.CONTROL_BYTES);
  inboxBytes = inboxSize;
  inbox = region(inboxSize);
  brandIndex = region(65536);
  crossing = region(L.BRANDS_MAX * L.BRANDS_MAX);
  accountsMax = accountCount;
  accounts = region(<u64>accountCount * L.ACCOUNT_BYTES);
  const indexSize = powerOfTwo(accountCount * 2);
  accountIndexMask = indexSize - 1;
  accountIndex = region(<u64>indexSize * 4);
  freeAccounts = region(<u64>accountCount * 4);
  slotsMax = slotCount;
  slots = region(<u64>slotCount * L.SLOT_BYTES);
  freeSlots = region(<u64>slotCount * 4);
  groupsMax = groupCount;
  groupIndexMask = powerOfTwo(groupCount * 2) - 1;
  groupIndex = region(<u64>(groupIndexMask + 1) * 4);
  rostersBytes = groupCount * L.GROUP_HEADER_BYTES + memberCount * L.MEMBER_BYTES;
  rosters = region(rostersBytes);
  items = region(<u64>(L.ITEMS_MAX + 1) * L.ITEM_BYTES);
  touched = region(L.ITEMS_MAX * 4);
  sends = region(L.ITEMS_MAX * L.SEND_BYTES);
  outcomes = region(L.OUTCOMES_MAX * L.OUTCOME_BYTES);
  attention = region(<u64>slotCount * 4);
  spans = region(L.SPANS_MAX * L.SPAN_BYTES);
  spills = region(L.SPILLS_MAX * L.SPILL_BYTES);
  blocks = region(L.BLOCKS_MAX * L.BLOCK_BYTES);
  shared = region(L.PARTS_PER_BATCH_MAX * L.SHARED_BYTES);
  needed = region(L.NEEDED_MAX * 4);
  dirtyAcks = region(<u64>slotCount * 4);
  senders = region(<u64>slotCount * 4);
  receiptLogMask = powerOfTwo(slotCount * 2 < 1 << 18 ? 1 << 18 : slotCount * 2) - 1;
  receiptLog = region(<u64>(receiptLogMask + 1) * L.LOG_BYTES);
  dueMask = powerOfTwo(slotCount) - 1;
  due = region(<u64>(dueMask + 1) * 4);
  // Buckets of sixteen, at most half full on average: fewer than one in a thousand overflows.
  dedupKeysMax = dedupKeyCount;
  dedupBucketMask = powerOfTwo((dedupKeyCount + 7) / 8) - 1;
  dedupBuckets = region(<u64>(dedupBucketMask + 1) * 128);
  dedupKeys = region(<u64>dedupKeyCount * 2 * 20);
  dedupLogMax = 1 << 17;
  dedupLog = region(<u64>dedupLogMax * 20);
  // Enough for runs of 128 bytes: those of frames are longer, those of references alone a little shorter (hasRoom asks).
  runsMask = powerOfTwo(tailSize / 128 + 1) - 1;
  runs = region(<u64>(runsMask + 1) * L.RUN_BYTES);
  recordsMask = 16383;
  records = region(<u64>(recordsMask + 1) * L.RECORD_BYTES);
  // A part and one reference to it take at least 112 bytes of the tail.
  partsMask = powerOfTwo(tailSize / 112 + 1) - 1;
  parts = region(<u64>(partsMask + 1) * 4);
  tailBytes = tailSize;
  tail = region(tailSize);
  scratch = region(L.SCRATCH_BYTES);

  if (!fits) return 0;
  const pages = <i32>((<u64>top + 65535) >> 16);
  const missing = pages - memory.size();
  if (missing > 0 && memory.grow(missing) < 0) return 0;
  for (let i = 0; i < canaryCount; i++) {
    for (let at: u32 = 0; at < CANARY_BYTES; at += 8) store<u64>(canaryAt(i) + at, CANARY);
  }
  return 1;
}

/** 0 when every canary stands, else the number of the region before the first broken one, from 1. */
export function checkCanaries(): i32 {
  for (let i = 0; i < canaryCount; i++) {
    for (let at: u32 = 0; at < CANARY_BYTES; at += 8) {
      if (load<u64>(canaryAt(i) + at) != CANARY) return i + 1;
    }
  }
  return 0;
}

/** What a failed assertion of the debug build calls: the message's address is of no use to the host, the trap is. */
export function trap(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  unreachable();
}

// @ts-ignore: decorator
@inline
export function slotAt(slot: u32): usize {
  return slots + <usize>slot * L.SLOT_BYTES;
}

// @ts-ignore: decorator
@inline
export function accountAt(account: u32): usize {
  return accounts + <usize>account * L.ACCOUNT_BYTES;
}

// @ts-ignore: decorator
@inline
export function flag(slot: usize, bits: u32): bool {
  return (load<u32>(slot, L.SLOT_FLAGS) & bits) != 0;
}

// @ts-ignore: decorator
@inline
export function setFlag(slot: usize, bits: u32): void {
  store<u32>(slot, load<u32>(slot, L.SLOT_FLAGS) | bits, L.SLOT_FLAGS);
}

// @ts-ignore: decorator
@inline
export function clearFlag(slot: usize, bits: u32): void {
  store<u32>(slot, load<u32>(slot, L.SLOT_FLAGS) & ~bits, L.SLOT_FLAGS);
}

// @ts-ignore: decorator
@inline
export function count(counter: u32, by: u64): void {
  store<u64>(control + counter, load<u64>(control + counter) + by);
}

/** Puts the slot on the host's list for this turn, once. */
export function callAttention(index: u32): void {
  const slot = slotAt(index);
  if (flag(slot, L.FLAG_ATTENTION)) return;
  setFlag(slot, L.FLAG_ATTENTION);
  const n = load<u32>(control, L.CONTROL_ATTENTION);
  store<u32>(attention + <usize>n * 4, index);
  store<u32>(control, n + 1, L.CONTROL_ATTENTION);
}

/** Short copies inline, sixteen bytes at a time: a call of memory.copy leaves WebAssembly. */
export function copyBytes(to: usize, from: usize, bytes: u32): void {
  if (bytes > 1024) return memory.copy(to, from, bytes);
  let i: u32 = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i + 4 <= bytes; i += 4) store<u32>(to + i, load<u32>(from + i));
  for (; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}

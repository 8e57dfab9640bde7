/**
 * Lays out each recipient device's frames of this tick contiguously, straight into the tail of the journal:
 * the same bytes are sent to the socket and written to disk.
 *
 *   run in the tail   ┌ header 64 ───────────────────────────────────┬ frames ───────────────┬ pad to 8 ┐
 *                     │ bytes, count, sequences, address … │ ride 8  │ deliver ▸ deliver ▸ … │          │
 *                     └──────────────────────────────────────────────┴───────────────────────┴──────────┘
 *                            what is sent: ╰ receipt, if one is due (receipts.ts) ▸ frames ╯
 *
 * An entry that is one of many with a shared part has a reference in the place of its frame (shared.ts), and the parts
 * lie before the runs; the frames of such a run are composed when it is sent.
 *
 *   deliver frame     96 21, or 96 2e from a device of the own account to this one alone
 *                     │ cf sequence 8 │ c4 14 sender 20 │ c4 10 id 16 │ cf time 8 │ c6 length 4 │ payload
 */
import * as L from "./layout";
import { callAttention, clearFlag, control, copyBytes, count, flag, items, runsMask, sends, slotAt, touched } from "./memory";
import { hasTailRoom, openRecord, writeAt, advance, runEnd, runStart, addRun } from "./journal";
import { layParts, layReference, partBytes } from "./shared";

/** More than any window: what cannot be sent at once need not be counted further. */
const EXTRA_MAX: u32 = 0x3fffffff;

export let itemCount: u32 = 0;
/** What the present items will take in the tail, at most. */
export let gatherBytes: u32 = 0;
let touchedCount: u32 = 0;

/** Whether the tail takes so many items of together this much more, beside what the present items need. */
export function hasRoom(bytes: u32, entries: u32): bool {
  return hasTailRoom(gatherBytes + bytes) && runEnd - runStart + touchedCount + entries <= runsMask;
}

/** The shared part that the items to come refer to takes its place in the tail too. */
export function countPart(payloadBytes: u32): void {
  gatherBytes += partBytes(payloadBytes);
}

/**
 * Counts in the item behind the column's end: appends it to its device's list and gives it the next sequence. `shared`
 * is the row of the part to which the item's payload is the block, or 0; then `head` begins the item's frame.
 */
export function addItem(sender: usize, idAt: u32, shared: u32, head: u32): void {
  const item = items + <usize>itemCount * L.ITEM_BYTES;
  const index = load<u32>(item, L.ITEM_SLOT);
  const slot = slotAt(index);
  const header = shared == 0 ? L.DELIVER_HEADER_BYTES : L.REFERENCE_BYTES;
  const bytes = header + load<u32>(item, L.ITEM_PAYLOAD_BYTES);
  store<u32>(item, idAt, L.ITEM_ID);
  store<u32>(item, shared, L.ITEM_SHARED);
  store<u32>(item, head, L.ITEM_HEAD);
  store<u32>(item, <u32>sender, L.ITEM_SENDER);
  store<u32>(item, 0, L.ITEM_NEXT);
  const n = load<u32>(slot, L.SLOT_ITEM_COUNT);
  itemCount++;
  if (n == 0) {
    store<u32>(slot, itemCount, L.SLOT_ITEM_HEAD);
    store<u32>(slot, bytes, L.SLOT_ITEM_BYTES);
    store<u32>(slot, 0, L.SLOT_ITEM_EXTRA);
    store<u32>(touched + <usize>(touchedCount++) * 4, index);
    gatherBytes += L.JOURNAL_RUN_HEADER_BYTES + 8 + bytes;
  } else {
    const previous = items + <usize>(load<u32>(slot, L.SLOT_ITEM_TAIL) - 1) * L.ITEM_BYTES;
    store<u32>(previous, itemCount, L.ITEM_NEXT);
    store<u32>(slot, load<u32>(slot, L.SLOT_ITEM_BYTES) + bytes, L.SLOT_ITEM_BYTES);
    gatherBytes += bytes;
  }
  store<u32>(slot, itemCount, L.SLOT_ITEM_TAIL);
  store<u32>(slot, n + 1, L.SLOT_ITEM_COUNT);
  if (shared != 0) {
    const extra = load<u32>(slot, L.SLOT_ITEM_EXTRA) + load<u32>(shared, L.SHARED_FRAME_BYTES) - L.REFERENCE_BYTES;
    store<u32>(slot, min(extra, EXTRA_MAX), L.SLOT_ITEM_EXTRA);
  }
  store<u64>(slot, load<u64>(slot, L.SLOT_LAST) + 1, L.SLOT_LAST);
}

export function gather(timeMs: f64): void {
  if (touchedCount == 0) return;
  openRecord(gatherBytes, timeMs);
  const time = bswap<u64>(<u64>timeMs);
  layParts(time);
  for (let i: u32 = 0; i < touchedCount; i++) layRun(load<u32>(touched + <usize>i * 4), time);
  count(L.CONTROL_COUNT_ENTRIES, itemCount);
  itemCount = 0;
  touchedCount = 0;
  gatherBytes = 0;
}

function layRun(index: u32, time: u64): void {
  const slot = slotAt(index);
  const entries = load<u32>(slot, L.SLOT_ITEM_COUNT);
  const framesBytes = load<u32>(slot, L.SLOT_ITEM_BYTES);
  const extra = load<u32>(slot, L.SLOT_ITEM_EXTRA);
  const isShared = extra != 0;
  const last = load<u64>(slot, L.SLOT_LAST);
  const first = last - entries + 1;
  const run = writeAt;
  const frames = run + L.JOURNAL_RUN_HEADER_BYTES;
  const runBytes = L.JOURNAL_RUN_HEADER_BYTES + ((framesBytes + 7) & ~7);
  store<u32>(run, runBytes);
  store<u32>(run, framesBytes, 4);
  store<u32>(run, entries, 8);
  store<u32>(run, isShared ? L.PIECE_REFERENCES : L.PIECE_PLAIN, 12);
  store<u64>(run, first, 16);
  store<u64>(run, last, 24);
  memory.copy(run + 32, slot + L.SLOT_ADDRESS, 20);
  store<u32>(run, 0, 52);
  store<u64>(run, 0, L.JOURNAL_RUN_RIDE);
  // The padding: nothing of an older entry goes to disk with this run.
  store<u64>(run + runBytes - 8, 0);
  layFrames(load<u32>(slot, L.SLOT_ITEM_HEAD), frames, first, time);
  store<u32>(slot, 0, L.SLOT_ITEM_COUNT);
  store<u32>(slot, 0, L.SLOT_ITEM_HEAD);
  addRun(slot, index, <u32>frames, framesBytes, entries, first, isShared);
  advance(runBytes);
  if (flag(slot, L.FLAG_LIVE)) sendRun(slot, index, frames, framesBytes, extra, entries, last);
}

function layFrames(head: u32, frames: usize, first: u64, time: u64): void {
  let to = frames;
  let sequence = first;
  for (let next = head; next != 0; sequence++) {
    const item = items + <usize>(next - 1) * L.ITEM_BYTES;
    to = load<u32>(item, L.ITEM_SHARED) == 0 ? layFrame(to, item, sequence, time) : layReference(to, item, sequence);
    next = load<u32>(item, L.ITEM_NEXT);
  }
}

function layFrame(to: usize, item: usize, sequence: u64, time: u64): usize {
  const sender = load<u32>(item, L.ITEM_SENDER) + L.SLOT_ADDRESS;
  const id = load<u32>(item, L.ITEM_ID);
  const bytes = load<u32>(item, L.ITEM_PAYLOAD_BYTES);
  store<u16>(to, load<u16>(item, L.ITEM_HEAD));
  store<u8>(to, 0xcf, 2);
  store<u64>(to, bswap<u64>(sequence), 3);
  store<u16>(to, 0x14c4, 11);
  store<u64>(to, load<u64>(sender), 13);
  store<u64>(to, load<u64>(sender, 8), 21);
  store<u32>(to, load<u32>(sender, 16), 29);
  store<u16>(to, 0x10c4, 33);
  v128.store(to, v128.load(id), 35);
  store<u8>(to, 0xcf, 51);
  store<u64>(to, time, 52);
  store<u8>(to, 0xc6, 60);
  store<u32>(to, bswap<u32>(bytes), 61);
  copyBytes(to + L.DELIVER_HEADER_BYTES, load<u32>(item, L.ITEM_PAYLOAD), bytes);
  return to + L.DELIVER_HEADER_BYTES + bytes;
}

/** To the connection at once, if the device has room for all of it; else the host catches up when acks come. */
function sendRun(
  slot: usize,
  index: u32,
  frames: usize,
  storedBytes: u32,
  extra: u32,
  entries: u32,
  last: u64,
): void {
  const framesBytes = storedBytes + extra;
  const floor = load<u64>(slot, L.SLOT_FLOOR);
  const base = load<u64>(slot, L.SLOT_LIVE_BASE);
  const inFlight = load<u64>(slot, L.SLOT_CURSOR) - (floor > base ? floor : base);
  const inFlightBytes = load<u32>(slot, L.SLOT_IN_FLIGHT_BYTES);
  // What is composed must fit the scratch region, whatever the window.
  const fits =
    (extra == 0 || framesBytes <= L.COMPOSED_BYTES_MAX || entries == 1) &&
    inFlight + entries <= load<u32>(slot, L.SLOT_WINDOW_ENTRIES) &&
    (inFlightBytes + framesBytes <= load<u32>(slot, L.SLOT_WINDOW_BYTES) || (inFlightBytes == 0 && entries == 1));
  if (!fits) {
    clearFlag(slot, L.FLAG_LIVE);
    callAttention(index);
    return;
  }
  store<u64>(slot, last, L.SLOT_CURSOR);
  store<u32>(slot, inFlightBytes + framesBytes, L.SLOT_IN_FLIGHT_BYTES);
  count(L.CONTROL_COUNT_DELIVERED, entries);
  const n = load<u32>(control, L.CONTROL_SENDS);
  const row = sends + <usize>n * L.SEND_BYTES;
  store<u32>(row, index, L.SEND_SLOT);
  store<u32>(row, <u32>frames, L.SEND_OFFSET);
  store<u32>(row, framesBytes, L.SEND_LENGTH);
  store<u32>(row, extra == 0 ? 0 : storedBytes, L.SEND_STORED);
  store<u32>(row, 0, L.SEND_RECEIPT);
  store<u32>(control, n + 1, L.CONTROL_SENDS);
}

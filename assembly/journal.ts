/**
 * The tail: a ring of journal records, from the oldest not yet released to the one being written. A record is
 * opened by the first gather after a seal, and holds runs (gather.ts) and shared parts (shared.ts), then the acks taken since the last seal.
 *
 *   tail   ┌──────────┬──────────────┬──────────┬──────────────────────────────┬──────────┐
 *          │  (free)  │ scanned      │ released │ sealed: committing           │ open     │
 *          └──────────┴──────────────┴──────────┴──────────────────────────────┴──────────┘
 *                      readAt ▸                                           writeAt ▸
 *   record ┌ header 64 ┬ parts, runs ┬ … ┬ acks: device address 20, 0 u32, floor u64 ┐
 *
 * A gather is never split: when it does not fit before the end of the region, the open record is closed there and
 * the next begins at the start. One seal therefore gives one or more records, which are committed together.
 *
 * What a device has not acked when its record grows old is spilled: the host moves it to the device's queue in the
 * store, and only when that is on disk are the runs released.
 */
import * as L from "./layout";
import {
  clearFlag,
  callAttention,
  control,
  dirtyAcks,
  flag,
  records,
  recordsMask,
  runs,
  runsMask,
  setFlag,
  slotAt,
  scratch,
  spans,
  spills,
  tail,
  tailBytes,
} from "./memory";
import { freeLeftOver } from "./accounts";
import { clearLog, logCount } from "./dedup";
import { receiptLogEnd } from "./receipt-log";
import { composeAll, entryBytes, frameBytes } from "./shared";

// Absolute counts; the rings' masks give the places.
export let runStart: u32 = 0;
export let runEnd: u32 = 0;
let runScanned: u32 = 0;
let recordStart: u32 = 0;
let recordScanned: u32 = 0;
let recordCommitted: u32 = 0;
let recordEnd: u32 = 0;

export let writeAt: usize = 0;
let openAt: usize = 0;
let number: u64 = 0;
let timeMs: f64 = 0;
let sealedAtMs: u32 = 0;
let dirtyAckCount: u32 = 0;
let uncommitted: u32 = 0;
/** End of the receipt log at the last seal. */
let receiptsSealed: u32 = 0;
let uncommittedMax: u32 = 0;

export function initJournal(firstNumber: u64, uncommittedBytesMax: u32): void {
  number = firstNumber;
  uncommittedMax = uncommittedBytesMax;
  writeAt = tail;
}

// @ts-ignore: decorator
@inline
function recordAt(i: u32): usize {
  return records + <usize>(i & recordsMask) * L.RECORD_BYTES;
}

// @ts-ignore: decorator
@inline
function runAt(i: u32): usize {
  return runs + <usize>(i & runsMask) * L.RUN_BYTES;
}

/** Where the oldest byte still needed lies; only asked while a record lives. */
function readAt(): usize {
  return recordStart == recordEnd ? openAt : load<u32>(recordAt(recordStart), L.RECORD_OFFSET);
}

function isTailEmpty(): bool {
  return recordStart == recordEnd && openAt == 0;
}

/** Whether `bytes` fit as one piece, with room for the record's header and a spare for acks and padding. */
export function hasTailRoom(bytes: u32): bool {
  const need: usize = bytes + L.JOURNAL_HEADER_BYTES + 64;
  if (uncommitted + bytes > uncommittedMax || recordEnd - recordStart + 2 > recordsMask) return false;
  if (isTailEmpty()) return need < tailBytes;
  const read = readAt();
  if (writeAt < read) return need < read - writeAt;
  return need < tail + tailBytes - writeAt || need < read - tail;
}

/** Makes sure that a record is open and takes `bytes` more in one piece; hasTailRoom has said yes. */
export function openRecord(bytes: u32, nowMs: f64): void {
  timeMs = nowMs;
  if (isTailEmpty()) writeAt = tail;
  const need: usize = bytes + L.JOURNAL_HEADER_BYTES + 64;
  if ((isTailEmpty() || writeAt >= readAt()) && need >= tail + tailBytes - writeAt) {
    if (openAt != 0) closeRecord();
    writeAt = tail;
  }
  if (openAt != 0) return;
  openAt = writeAt;
  memory.fill(openAt, 0, L.JOURNAL_HEADER_BYTES);
  writeAt += L.JOURNAL_HEADER_BYTES;
}

export function advance(bytes: u32): void {
  writeAt += bytes;
  uncommitted += bytes;
}

/** Enters a run that lies at the tail's end into the ring and into its device's list. */
export function addRun(
  slot: usize,
  index: u32,
  frames: u32,
  bytes: u32,
  entries: u32,
  first: u64,
  isShared: bool,
): void {
  const place = runEnd & runsMask;
  const run = runAt(runEnd);
  store<u32>(run, frames, L.RUN_FRAMES);
  store<u32>(run, bytes, L.RUN_FRAMES_BYTES);
  store<u32>(run, entries, L.RUN_ENTRIES);
  store<u32>(run, index, L.RUN_SLOT);
  store<u64>(run, first, L.RUN_FIRST);
  store<u32>(run, 0, L.RUN_NEXT);
  store<u32>(run, isShared ? 1 : 0, L.RUN_SHARED);
  const newest = load<u32>(slot, L.SLOT_RUN_TAIL);
  if (newest == 0) store<u32>(slot, place + 1, L.SLOT_RUN_HEAD);
  else store<u32>(runAt(newest - 1), place + 1, L.RUN_NEXT);
  store<u32>(slot, place + 1, L.SLOT_RUN_TAIL);
  runEnd++;
}

export function addDirtyAck(index: u32): void {
  store<u32>(dirtyAcks + <usize>(dirtyAckCount++) * 4, index);
}

/** Writes as many acks as fit behind the runs; the rest goes with the next record. */
function writeAcks(): u32 {
  const limit = recordStart != recordEnd && writeAt < readAt() ? readAt() : tail + tailBytes;
  let written: u32 = 0;
  while (dirtyAckCount > 0 && writeAt + L.JOURNAL_ACK_BYTES + 64 < limit) {
    const slot = slotAt(load<u32>(dirtyAcks + <usize>(--dirtyAckCount) * 4));
    clearFlag(slot, L.FLAG_ACK_DIRTY);
    memory.copy(writeAt, slot + L.SLOT_ADDRESS, 20);
    store<u32>(writeAt, 0, 20);
    store<u64>(writeAt, load<u64>(slot, L.SLOT_FLOOR), 24);
    advance(L.JOURNAL_ACK_BYTES);
    written++;
  }
  return written;
}

function closeRecord(): void {
  const runsBytes = <u32>(writeAt - openAt) - L.JOURNAL_HEADER_BYTES;
  const acks = writeAcks();
  const bytes = <u32>(writeAt - openAt);
  store<u32>(openAt, L.JOURNAL_MAGIC);
  store<u32>(openAt, L.JOURNAL_VERSION, 4);
  store<u32>(openAt, bytes, 8);
  store<u32>(openAt, runsBytes, 12);
  store<u32>(openAt, acks, 16);
  store<u64>(openAt, number, 24);
  store<u64>(openAt, <u64>timeMs, 32);
  const record = recordAt(recordEnd);
  store<u32>(record, <u32>openAt, L.RECORD_OFFSET);
  store<u32>(record, bytes, L.RECORD_LENGTH);
  store<u32>(record, runEnd, L.RECORD_RUN_END);
  store<u32>(record, sealedAtMs, L.RECORD_SEALED_AT);
  store<u64>(record, number, L.RECORD_NUMBER);
  recordEnd++;
  number++;
  openAt = 0;
}

/** Bytes taken and not yet committed. */
export function uncommittedBytes(): u32 {
  return uncommitted;
}

/** Connections whose sends wait for the next seal, counted once for each batch they sent in. */
export function unsealedReceipts(): u32 {
  return receiptLogEnd - receiptsSealed;
}

/** Acks that wait for the next seal. */
export function dirtyAckTotal(): u32 {
  return dirtyAckCount;
}

/**
 * Closes the open record. Acks alone, and receipts of sends that put nothing into the tail (duplicates, accounts
 * without devices), get a record without runs. Returns how many records are not yet committed; they are those from
 * sealedRecord(0) on, and the keys of the dedup log go with them.
 */
export function seal(nowMs: f64, monotonicMs: u32): u32 {
  timeMs = nowMs;
  sealedAtMs = monotonicMs;
  const isNeeded = dirtyAckCount > 0 || receiptLogEnd != receiptsSealed;
  if (openAt == 0 && isNeeded && hasTailRoom(L.JOURNAL_ACK_BYTES)) openRecord(L.JOURNAL_ACK_BYTES, nowMs);
  store<u32>(control, 0, L.CONTROL_DEDUP_LOG_KEYS);
  if (openAt != 0) {
    closeRecord();
    receiptsSealed = receiptLogEnd;
    store<u32>(control, logCount, L.CONTROL_DEDUP_LOG_KEYS);
    clearLog();
  }
  store<u32>(control, receiptsSealed, L.CONTROL_RECEIPT_LOG_END);
  return recordEnd - recordCommitted;
}

/** Address of the descriptor of the i-th sealed and uncommitted record. */
export function sealedRecord(i: u32): usize {
  return recordAt(recordCommitted + i);
}

/** `recordCount` sealed records are flushed. */
export function commitRecords(recordCount: u32): void {
  for (let i: u32 = 0; i < recordCount; i++) {
    const bytes = load<u32>(recordAt(recordCommitted++), L.RECORD_LENGTH) - L.JOURNAL_HEADER_BYTES;
    uncommitted = uncommitted > bytes ? uncommitted - bytes : 0;
  }
}

/** Bytes between the oldest record and the write position, and the age of the oldest committed record. */
export function tailUse(): u32 {
  if (isTailEmpty()) return 0;
  const read = readAt();
  return <u32>(writeAt >= read ? writeAt - read : <usize>tailBytes - (read - writeAt));
}

export function oldestRecordAgeMs(monotonicMs: u32): u32 {
  if (recordScanned == recordCommitted) return 0;
  return monotonicMs - load<u32>(recordAt(recordScanned), L.RECORD_SEALED_AT);
}

/**
 * Looks through the oldest committed runs, at most `runsBudget` of them: what is not acked becomes a row of the
 * spills, to be moved by the host; then call release(). Returns the number of runs looked at.
 */
export function spillScan(runsBudget: u32): u32 {
  let rows: u32 = 0;
  let through: u64 = 0;
  const from = runScanned;
  while (recordScanned != recordCommitted) {
    const record = recordAt(recordScanned);
    const recordRunEnd = load<u32>(record, L.RECORD_RUN_END);
    while (runScanned != recordRunEnd && rows < L.SPILLS_MAX && runScanned - from < runsBudget) {
      if (spillRun(runAt(runScanned), spills + <usize>rows * L.SPILL_BYTES)) rows++;
      runScanned++;
    }
    if (runScanned != recordRunEnd) break;
    through = load<u64>(record, L.RECORD_NUMBER);
    recordScanned++;
  }
  store<u32>(control, rows, L.CONTROL_SPILLS);
  store<f64>(control, <f64>through, L.CONTROL_SPILL_RECORD);
  return runScanned - from;
}

function spillRun(run: usize, row: usize): bool {
  const index = load<u32>(run, L.RUN_SLOT);
  const slot = slotAt(index);
  let first = load<u64>(run, L.RUN_FIRST);
  let entries = load<u32>(run, L.RUN_ENTRIES);
  const last = first + entries - 1;
  const floor = load<u64>(slot, L.SLOT_FLOOR);
  if (last <= floor) return false;
  let frames: usize = load<u32>(run, L.RUN_FRAMES);
  const end = frames + load<u32>(run, L.RUN_FRAMES_BYTES);
  for (; first <= floor; first++) {
    frames += entryBytes(frames);
    entries--;
  }
  store<u32>(row, index, L.SPILL_SLOT);
  store<u32>(row, <u32>frames, L.SPILL_OFFSET);
  store<u32>(row, <u32>(end - frames), L.SPILL_LENGTH);
  store<u32>(row, entries, L.SPILL_ENTRIES);
  store<f64>(row, <f64>first, L.SPILL_FIRST);
  store<f64>(row, <f64>last, L.SPILL_LAST);
  store<u32>(row, load<u32>(run, L.RUN_SHARED), L.SPILL_SHARED);
  return true;
}

/** The spilled runs are in their queues on disk: gives up everything that the last scans looked at. */
export function release(): void {
  const rows = load<u32>(control, L.CONTROL_SPILLS);
  for (let i: u32 = 0; i < rows; i++) {
    const index = load<u32>(spills + <usize>i * L.SPILL_BYTES, L.SPILL_SLOT);
    const slot = slotAt(index);
    setFlag(slot, L.FLAG_QUEUED);
    // Acked while it was being moved: the host trims the queue.
    const first = <u64>load<f64>(spills + <usize>i * L.SPILL_BYTES, L.SPILL_FIRST);
    if (load<u64>(slot, L.SLOT_FLOOR) >= first || !flag(slot, L.FLAG_LIVE)) callAttention(index);
  }
  store<u32>(control, 0, L.CONTROL_SPILLS);
  for (; runStart != runScanned; runStart++) unlinkRun(runAt(runStart));
  recordStart = recordScanned;
  freeLeftOver();
}

function unlinkRun(run: usize): void {
  const slot = slotAt(load<u32>(run, L.RUN_SLOT));
  const next = load<u32>(run, L.RUN_NEXT);
  store<u32>(slot, next, L.SLOT_RUN_HEAD);
  if (next == 0) store<u32>(slot, 0, L.SLOT_RUN_TAIL);
}

/**
 * Fills the spans with the device's frames in the tail above its cursor, in order, until `bytesMax` or `entriesMax`
 * is reached (at least one frame when there is any). Whole runs where they fit, else their beginning. What holds
 * references is composed in the scratch region, one span behind the other, and is good until the next composition.
 */
export function tailSpans(index: u32, bytesMax: u32, entriesMax: u32): u32 {
  const slot = slotAt(index);
  let cursor = load<u64>(slot, L.SLOT_CURSOR);
  let rows: u32 = 0;
  let bytes: u32 = 0;
  let entries: u32 = 0;
  let composeTo = scratch;
  if (bytesMax > L.COMPOSED_BYTES_MAX) bytesMax = L.COMPOSED_BYTES_MAX;
  for (let next = load<u32>(slot, L.SLOT_RUN_HEAD); next != 0 && rows < L.SPANS_MAX; ) {
    const run = runAt(next - 1);
    next = load<u32>(run, L.RUN_NEXT);
    let sequence = load<u64>(run, L.RUN_FIRST);
    const last = sequence + load<u32>(run, L.RUN_ENTRIES) - 1;
    if (last <= cursor) continue;
    let frame: usize = load<u32>(run, L.RUN_FRAMES);
    for (; sequence <= cursor; sequence++) frame += entryBytes(frame);
    const from = frame;
    const entriesBefore = entries;
    for (; sequence <= last && entries < entriesMax; sequence++) {
      const more = frameBytes(frame);
      if (entries > 0 && bytes + more > bytesMax) break;
      frame += entryBytes(frame);
      bytes += more;
      entries++;
    }
    if (entries == entriesBefore) break;
    const row = spans + <usize>(rows++) * L.SPAN_BYTES;
    if (load<u32>(run, L.RUN_SHARED) == 0) {
      store<u32>(row, <u32>from, L.SPAN_OFFSET);
      store<u32>(row, <u32>(frame - from), L.SPAN_LENGTH);
    } else {
      const composed = composeAll(from, frame, composeTo);
      store<u32>(row, <u32>composeTo, L.SPAN_OFFSET);
      store<u32>(row, <u32>(composed - composeTo), L.SPAN_LENGTH);
      composeTo = composed;
    }
    store<u32>(row, entries - entriesBefore, L.SPAN_ENTRIES);
    store<f64>(row, <f64>(sequence - 1), L.SPAN_LAST);
    cursor = sequence - 1;
    if (sequence <= last) break;
  }
  store<u32>(control, rows, L.CONTROL_SPANS);
  return rows;
}

/**
 * What removes rows from device queues: trims (acked) and collapses (quota,
 * expiry), which leave a gap in place. What adds rows is queue-appender.ts.
 *
 * Each function changes one device's queue by adding rows to a batch, from the
 * state as committed. A batch may therefore touch a device only once; the
 * writer's slices keep to that. Each leaves a queue that is whole, wherever it
 * is cut by `rowsMax`, so that a crash between two slices is harmless.
 *
 * What is removed refers to its shared parts no more; they go with their last reference (shared-parts.ts).
 *
 * The quota in bytes counts what the device would be sent, so that nobody can be made to hold more by sending it shared
 * parts; a brand's counter counts what is stored for it.
 *
 * Quotas remove whole chunks from the front, so that a queue at its bound is
 * not rewritten with every entry; only the last chunk is ever split.
 */
import { deviceParts } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { GapReason } from "../wire/protocol.js";
import type { BrandBytes } from "./brand-bytes.js";
import { encodeRow } from "./chunk-rows.js";
import type { Batch, Database } from "./database.js";
import type { Floors } from "./floors.js";
import { entryBytesAt, frameBytesAt, frameSequenceAt } from "./frames.js";
import {
  addedBefore,
  bytesBefore,
  entriesAbove,
  entriesBefore,
  isIntact,
  type QueueReader,
  type QueueRow,
} from "./queue-reader.js";
import { addressInKey, encodeNumber, queueKey } from "./schema.js";
import type { SharedParts } from "./shared-parts.js";

export interface QueueBounds {
  readonly queueEntriesMax: number;
  readonly queueBytesMax: number;
  readonly retentionMs: number;
  readonly sweepRoundMs: number;
  readonly chunkBytesMax: number;
  readonly chunkMergeBytesMax: number;
  readonly sharedGrowMs: number;
}

export interface QueueStats {
  spilledEntries: number;
  chunksWritten: number;
  trimmedRows: number;
  quotaEntries: number;
  expiredEntries: number;
}

/** Everything that work on queues shares. */
export interface QueueContext {
  readonly database: Database;
  readonly reader: QueueReader;
  readonly floors: Floors;
  readonly brands: BrandBytes;
  readonly parts: SharedParts;
  readonly bounds: QueueBounds;
  readonly stats: QueueStats;
  readonly nowMs: () => number;
}

export function brandOf(device: Uint8Array): number {
  return deviceParts(addressInKey(device)).brand;
}

/** Puts the totals that follow from changes of queues into the transaction of these. */
export function stageTotals({ brands, parts }: QueueContext, batch: Batch): void {
  brands.stage(batch);
  parts.stage(batch);
}

/** Removes rows that end at or before `floor`. True when no more than `rowsMax` were in the way. */
export function trimQueue(
  context: QueueContext,
  batch: Batch,
  { device, floor, rowsMax }: { device: Uint8Array; floor: number; rowsMax: number },
): boolean {
  const { reader, database } = context;
  const boundaryKey = reader.keyAtOrBefore(device, floor);
  if (boundaryKey === undefined) return true;
  const first = reader.firstEntries(device);
  const keys = [...database.keys("queues", { start: device, end: boundaryKey, limit: rowsMax + 1 })];
  const isDone = keys.length <= rowsMax;
  const endKey = isDone ? boundaryKey : (keys.pop() as Uint8Array);
  const end = first && equalBytes(first.key, endKey) ? first : reader.summaryAt(device, endKey);
  const isEndRemoved = isDone && end.lastSequence <= floor;
  if (isEndRemoved) keys.push(endKey);
  if (first !== undefined && first.firstSequence <= end.firstSequence) {
    const lastRemoved = keys.at(-1);
    const releasedBytes =
      first.isHeaderDamaged || end.isHeaderDamaged
        ? bytesOfRows(context, device, lastRemoved)
        : (isEndRemoved ? end.bytesAfter : end.bytesBefore) - first.bytesBefore;
    context.brands.add(brandOf(device), -releasedBytes);
    const removedAdded = (isEndRemoved ? end.addedAfter : end.addedBefore) - first.addedBefore;
    if (removedAdded > 0) removeReferences(context, device, lastRemoved);
  }
  for (const key of keys) batch.remove("queues", key);
  context.stats.trimmedRows += keys.length;
  if (!isDone) return false;
  if (isEndRemoved) {
    if (database.get("floors", device) !== undefined) batch.remove("floors", device);
  } else if (floor > reader.floor(device)) {
    batch.put("floors", device, encodeNumber(device, floor));
  }
  return true;
}

/** What the rows up to this key hold, one by one: where the totals of the first or the last are not to be had. */
function bytesOfRows({ reader }: QueueContext, device: Uint8Array, lastKey?: Uint8Array): number {
  let bytes = 0;
  if (lastKey === undefined) return bytes;
  for (const row of reader.walk(device)) {
    bytes += row.entries.length;
    if (equalBytes(row.key, lastKey)) break;
  }
  return bytes;
}

/** The rows up to this key are removed. */
function removeReferences({ reader, parts }: QueueContext, device: Uint8Array, lastKey?: Uint8Array): void {
  if (lastKey === undefined) return;
  for (const row of reader.walk(device)) {
    if (row.added > 0 && isIntact(row)) parts.remove(row.entries);
    if (equalBytes(row.key, lastKey)) return;
  }
}

/** The rows to remove from a queue's front, and the gap that stands before them. */
interface Removal {
  readonly device: Uint8Array;
  readonly rows: readonly QueueRow[];
  readonly gapBefore: QueueRow | undefined;
  readonly reason: GapReason;
}

/** Replaces rows by a gap that counts what of them was not acked; merges it with a like gap before. Tells the count. */
function collapse(context: QueueContext, batch: Batch, { device, rows, gapBefore, reason }: Removal): number {
  const first = rows[0] as QueueRow;
  const last = rows.at(-1) as QueueRow;
  const floor = context.floors.known(device);
  let entryCount = 0;
  let rowsBytes = 0;
  for (const row of rows) {
    entryCount += entriesAbove(row, floor);
    rowsBytes += row.entries.length;
    batch.remove("queues", row.key);
    if (row.added > 0 && isIntact(row)) context.parts.remove(row.entries);
  }
  const areTotalsKnown = !first.isHeaderDamaged && !last.isHeaderDamaged;
  context.brands.add(brandOf(device), -(areTotalsKnown ? last.bytesAfter - bytesBefore(first) : rowsBytes));
  if (entryCount === 0) return 0;
  const isMerged = gapBefore?.gap === reason && gapBefore.lastSequence > floor;
  const key = isMerged ? gapBefore.key : first.key;
  const header = {
    gap: reason,
    lastSequence: last.lastSequence,
    entryCount: entryCount + (isMerged ? gapBefore.entryCount : 0),
    storedAtMs: context.nowMs(),
    firstStoredAtMs: context.nowMs(),
    entriesAfter: last.entriesAfter,
    bytesAfter: last.bytesAfter,
    addedAfter: last.addedAfter,
    added: 0,
  };
  batch.put("queues", key, encodeRow(key, header, []));
  return entryCount;
}

/** Replaces rows stored before the retention's begin. Tells whether more of them may be left. */
export function expireQueue(
  context: QueueContext,
  batch: Batch,
  { device, nowMs, rowsMax }: { device: Uint8Array; nowMs: number; rowsMax: number },
): boolean {
  const expiredMs = nowMs - context.bounds.retentionMs;
  const first = context.reader.firstEntries(device);
  if (first === undefined || first.storedAtMs > expiredMs) return false;
  const rows: QueueRow[] = [];
  let gapBefore: QueueRow | undefined;
  for (const row of context.reader.walk(device)) {
    if (row.gap !== undefined) {
      gapBefore = row;
      continue;
    }
    if (row.storedAtMs > expiredMs || rows.length === rowsMax) break;
    rows.push(row);
  }
  if (rows.length === 0) return false;
  context.stats.expiredEntries += collapse(context, batch, { device, rows, gapBefore, reason: "expired" });
  return rows.length === rowsMax;
}

/** Replaces the oldest entries beyond the quota. Tells whether more of them may be left. */
export function enforceQuota(
  context: QueueContext,
  batch: Batch,
  device: Uint8Array,
  rowsMax: number,
): boolean {
  const { queueEntriesMax, queueBytesMax } = context.bounds;
  const tail = context.reader.tail(device);
  if (tail === undefined || tail.gap !== undefined) return false;
  const rows: QueueRow[] = [];
  let gapBefore: QueueRow | undefined;
  for (const row of context.reader.walk(device)) {
    if (row.gap !== undefined) {
      gapBefore = row;
      continue;
    }
    const excess = {
      entries: tail.entriesAfter - entriesBefore(row) - queueEntriesMax,
      bytes: tail.bytesAfter + tail.addedAfter - bytesBefore(row) - addedBefore(row) - queueBytesMax,
    };
    if ((excess.entries <= 0 && excess.bytes <= 0) || rows.length === rowsMax) break;
    const isLast = row.firstSequence === tail.firstSequence;
    rows.push(isLast && isIntact(row) ? splitRow(context, batch, device, row, excess) : row);
  }
  if (rows.length === 0) return false;
  context.stats.quotaEntries += collapse(context, batch, { device, rows, gapBefore, reason: "quota" });
  return rows.length === rowsMax;
}

/** Stores again what of a row stays, and returns the part that goes as a row of its own. */
function splitRow(
  context: QueueContext,
  batch: Batch,
  device: Uint8Array,
  row: QueueRow,
  excess: { entries: number; bytes: number },
): QueueRow {
  const { entries } = row;
  let at = 0;
  let frameBytes = 0;
  let entryCount = 0;
  let lastSequence = row.firstSequence;
  while (entryCount < excess.entries || frameBytes < excess.bytes) {
    const bytes = entryBytesAt(entries, at);
    if (bytes === 0) return row;
    lastSequence = frameSequenceAt(entries, at);
    frameBytes += frameBytesAt(entries, at);
    at += bytes;
    entryCount++;
  }
  if (at === entries.length) return row;
  const key = queueKey(device, frameSequenceAt(entries, at));
  const added = frameBytes - at;
  const kept = { ...row, entryCount: row.entryCount - entryCount, added: row.added - added };
  batch.put("queues", key, encodeRow(key, kept, [entries.subarray(at)]));
  context.stats.chunksWritten++;
  return {
    ...row,
    lastSequence,
    entryCount,
    entries: entries.subarray(0, at),
    entriesAfter: entriesBefore(row) + entryCount,
    bytesAfter: bytesBefore(row) + at,
    addedAfter: addedBefore(row) + added,
    added,
  };
}

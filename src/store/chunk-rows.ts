/**
 * The rows of a queue. Its entries are stored as they lie in the journal: deliver frames, and references to shared
 * parts, which are short (frames.ts draws both).
 *
 *   chunk row               0 u32 crc   4 u8 kind (1 entries, 2 gap)  5 u8 version (1, 2)
 *                           6 u8 gap reason (protocol.ts; 0 in entries)  7 u8 0
 *                           8 u64 lastSequence
 *                          16 u32 entryCount (in a gap: entries removed)
 *                          20 u32 crc of the entries (0 in a gap)
 *                          24 u64 storedAtMs
 *                          32 u64 entriesAfter    40 u64 bytesAfter
 *     version 1            48 entries, none of them a reference (none at all in a gap)
 *     version 2            48 u64 addedAfter      56 u64 firstStoredAtMs   64 u32 added   68 u32 0
 *                          72 entries
 *   reference row           0 u32 crc (of all)    4 u8 kind = 3            5 u8 kind of its frame
 *                           6 u48 storedAtMs     12 varints: part number, bytes of its frame, entriesAfter, bytesAfter,
 *                             addedAfter; then the block
 *
 * A reference row is a queue's entry that stands alone: what a group's payload costs for a device that is away. Key and
 * value take 54 bytes while the numbers are small, and 64 when they are as large as they get in a queue of full quota.
 *
 * A chunk's header is sealed apart from its entries: what was lost with bad entries stays countable.
 *
 * `entriesAfter` and `bytesAfter` run along a queue: how many entries, and bytes of them as stored, it has ever held up
 * to and with this row, since it was last empty. `addedAfter` is by how much its references will be longer as frames:
 * where it does not rise, there are none. The size of a queue is thus a difference of two rows, and a row that is
 * missing in between shows. Gaps stand before all entries of their queue.
 */
import { crc32 } from "node:zlib";
import { assert } from "../base/assert.js";
import { type GapReason, gapReasons } from "../wire/protocol.js";
import { entryBytesAt, frameBytesAt, REFERENCE_BYTES, readReference, writeReference } from "./frames.js";
import { firstSequenceInKey, isSealed, readU32, readU64, seal, writeU32, writeU64 } from "./schema.js";

const KIND_ENTRIES = 1;
const KIND_GAP = 2;
const KIND_REFERENCE = 3;
const PLAIN_VERSION = 1;
const SHARED_VERSION = 2;
const PLAIN_HEADER_BYTES = 48;
const SHARED_HEADER_BYTES = 72;
const REFERENCE_HEADER_BYTES = 12;
/** Five of up to eight bytes. */
const VARINTS_BYTES_MAX = 40;
const TWO_32 = 0x1_0000_0000;

export interface ChunkHeader {
  /** undefined in a row of entries. */
  readonly gap: GapReason | undefined;
  readonly lastSequence: number;
  readonly entryCount: number;
  readonly storedAtMs: number;
  /** When the oldest of its entries was stored; 0 in a row without references, where nobody needs to know. */
  readonly firstStoredAtMs: number;
  readonly entriesAfter: number;
  readonly bytesAfter: number;
  readonly addedAfter: number;
  /** By how much this row's own references will be longer as frames. */
  readonly added: number;
}

const reasonNames = new Map<number, GapReason>(
  Object.entries(gapReasons).map(([name, code]) => [code, name as GapReason]),
);

/** A row for entries, which are copied from their parts; a gap has none. */
export function encodeRow(key: Uint8Array, header: ChunkHeader, parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (header.entryCount === 1 && header.added > 0 && parts.length === 1) {
    return encodeReferenceRow(key, header, first as Uint8Array);
  }
  let entriesBytes = 0;
  for (const part of parts) entriesBytes += part.length;
  const version = header.addedAfter === 0 ? PLAIN_VERSION : SHARED_VERSION;
  const headerBytes = version === PLAIN_VERSION ? PLAIN_HEADER_BYTES : SHARED_HEADER_BYTES;
  const row = Buffer.allocUnsafe(headerBytes + entriesBytes);
  let at = headerBytes;
  for (const part of parts) {
    row.set(part, at);
    at += part.length;
  }
  const isGap = header.gap !== undefined;
  assert(!isGap || entriesBytes === 0, "a gap holds no entries");
  row[4] = isGap ? KIND_GAP : KIND_ENTRIES;
  row[5] = version;
  row[6] = header.gap === undefined ? 0 : gapReasons[header.gap];
  row[7] = 0;
  writeU64(row, 8, header.lastSequence);
  writeU32(row, 16, header.entryCount);
  writeU32(row, 20, isGap ? 0 : crc32(row.subarray(headerBytes)));
  writeU64(row, 24, header.storedAtMs);
  writeU64(row, 32, header.entriesAfter);
  writeU64(row, 40, header.bytesAfter);
  if (version === SHARED_VERSION) {
    writeU64(row, 48, header.addedAfter);
    writeU64(row, 56, header.firstStoredAtMs);
    writeU32(row, 64, header.added);
    writeU32(row, 68, 0);
  }
  return seal(key, row, headerBytes);
}

function encodeReferenceRow(key: Uint8Array, header: ChunkHeader, entry: Uint8Array): Uint8Array {
  const { kind, part, frameBytes, block } = readReference(entry, 0);
  const row = Buffer.allocUnsafe(REFERENCE_HEADER_BYTES + VARINTS_BYTES_MAX + block.length);
  row[4] = KIND_REFERENCE;
  row[5] = kind;
  row.writeUIntLE(header.storedAtMs, 6, 6);
  let at = REFERENCE_HEADER_BYTES;
  for (const value of [part, frameBytes, header.entriesAfter, header.bytesAfter, header.addedAfter]) {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) row[at++] = 0x80 | (rest % 0x80);
    row[at++] = rest;
  }
  row.set(block, at);
  return seal(key, row.subarray(0, at + block.length));
}

/** A row of a queue as it was stored. */
export interface ChunkRow extends ChunkHeader {
  /** Empty in a gap. Their CRC is not yet checked. */
  readonly entries: Uint8Array;
}

/** The row, or undefined when its header is damaged. Says nothing about a chunk's entries. */
export function decodeRow(key: Uint8Array, row: Uint8Array): ChunkRow | undefined {
  if (row[4] === KIND_REFERENCE) return decodeReferenceRow(key, row);
  const headerBytes = headerBytesOf(row);
  if (row.length < headerBytes || !isSealed(key, row, headerBytes)) return undefined;
  const kind = row[4];
  const gap = reasonNames.get(row[6] as number);
  if (kind !== KIND_ENTRIES && kind !== KIND_GAP) return undefined;
  if (row[5] !== PLAIN_VERSION && row[5] !== SHARED_VERSION) return undefined;
  if ((kind === KIND_GAP) !== (gap !== undefined)) return undefined;
  const hasReferences = row[5] === SHARED_VERSION;
  return {
    gap,
    lastSequence: readU64(row, 8),
    entryCount: readU32(row, 16),
    storedAtMs: readU64(row, 24),
    firstStoredAtMs: hasReferences ? readU64(row, 56) : 0,
    entriesAfter: readU64(row, 32),
    bytesAfter: readU64(row, 40),
    addedAfter: hasReferences ? readU64(row, 48) : 0,
    added: hasReferences ? readU32(row, 64) : 0,
    entries: row.subarray(headerBytes),
  };
}

function headerBytesOf(row: Uint8Array): number {
  return row[5] === SHARED_VERSION ? SHARED_HEADER_BYTES : PLAIN_HEADER_BYTES;
}

function decodeReferenceRow(key: Uint8Array, row: Uint8Array): ChunkRow | undefined {
  if (row.length < REFERENCE_HEADER_BYTES || !isSealed(key, row)) return undefined;
  let at = REFERENCE_HEADER_BYTES;
  const next = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = row[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const [part, frameBytes, entriesAfter, bytesAfter, addedAfter] = [next(), next(), next(), next(), next()];
  const sequence = firstSequenceInKey(key);
  const kind = row[5] as number;
  const entries = writeReference({ kind, sequence, part, frameBytes, block: row.subarray(at) });
  const storedAtMs = readU32(row, 6) + ((row[10] as number) | ((row[11] as number) << 8)) * TWO_32;
  return {
    gap: undefined,
    lastSequence: sequence,
    entryCount: 1,
    storedAtMs,
    firstStoredAtMs: storedAtMs,
    entriesAfter,
    bytesAfter,
    addedAfter,
    added: frameBytes - entries.length,
    entries,
  };
}

/** Whether the entries of a row are those that were stored. Its header must have been found good. */
export function areEntriesIntact(row: Uint8Array): boolean {
  return row[4] === KIND_REFERENCE || readU32(row, 20) === crc32(row.subarray(headerBytesOf(row)));
}

/** What may be the entries of a row with a bad header, or as many bytes: one too short for a chunk held a reference. */
export function entriesOfDamaged(row: Uint8Array): Uint8Array {
  return row.length < PLAIN_HEADER_BYTES ? new Uint8Array(REFERENCE_BYTES) : row.subarray(headerBytesOf(row));
}

/** By how much the references among these entries will be longer as frames. */
export function addedBy(entries: Uint8Array): number {
  let added = 0;
  for (let at = 0; at < entries.length; ) {
    const bytes = entryBytesAt(entries, at);
    if (bytes === 0) break;
    added += frameBytesAt(entries, at) - bytes;
    at += bytes;
  }
  return added;
}

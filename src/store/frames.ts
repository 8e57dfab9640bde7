/**
 * Walks entries as the kernel lays them out in runs: `deliver` frames, and references to shared parts. Of their content
 * the store needs only where each ends, which sequence it carries, and of a reference to what it refers:
 *
 *   deliver     0x96 0x21 (or 0x2e: own deliver) | 0xcf sequence u64 BE | 0xc4 0x14 sender 20 | 0xc4 0x10 id 16 |
 *               0xcf timeMs u64 BE | 0xc6 length u32 BE | payload
 *   reference   0xc1 | kind u8 (44, 45) | 0 | sequence u64 BE | 0 | block bytes u16 | part number u48 |
 *               bytes of its frame u32 | block
 *
 * 0xc1 begins nothing in msgpack. A reference stands for a frame, which part-rows.ts composes.
 */
import { kinds } from "../wire/protocol.js";
import { readU32, readU64BE, writeU32, writeU64BE } from "./schema.js";

export const FRAME_HEADER_BYTES = 65;
export const REFERENCE_BYTES = 24;
const REFERENCE_MARK = 0xc1;
const TWO_16 = 0x1_0000;

export function isReferenceAt(entries: Uint8Array, at: number): boolean {
  return entries[at] === REFERENCE_MARK;
}

/** The whole length of the entry at `at`; 0 when there is no such entry. */
export function entryBytesAt(entries: Uint8Array, at: number): number {
  const length = isReferenceAt(entries, at) ? referenceBytesAt(entries, at) : deliverBytesAt(entries, at);
  return at + length <= entries.length ? length : 0;
}

function deliverBytesAt(entries: Uint8Array, at: number): number {
  if (at + FRAME_HEADER_BYTES > entries.length) return 0;
  if (entries[at] !== 0x96 || !isDeliverKind(entries[at + 1]) || entries[at + 2] !== 0xcf) return 0;
  if (entries[at + 60] !== 0xc6) return 0;
  const payload =
    (((entries[at + 61] as number) << 24) |
      ((entries[at + 62] as number) << 16) |
      ((entries[at + 63] as number) << 8) |
      (entries[at + 64] as number)) >>>
    0;
  return FRAME_HEADER_BYTES + payload;
}

function isDeliverKind(byte: number | undefined): boolean {
  return byte === kinds.deliver || byte === kinds.ownDeliver;
}

function referenceBytesAt(entries: Uint8Array, at: number): number {
  if (at + REFERENCE_BYTES > entries.length) return 0;
  const kind = entries[at + 1];
  if (
    (kind !== kinds.sharedDeliver && kind !== kinds.groupDeliver) ||
    entries[at + 2] !== 0 ||
    entries[at + 11] !== 0
  )
    return 0;
  return REFERENCE_BYTES + blockBytesAt(entries, at);
}

function blockBytesAt(entries: Uint8Array, at: number): number {
  return (entries[at + 12] as number) | ((entries[at + 13] as number) << 8);
}

/** The length of the frame that the entry at `at`, which must be one, is or stands for. */
export function frameBytesAt(entries: Uint8Array, at: number): number {
  return isReferenceAt(entries, at) ? readU32(entries, at + 20) : deliverBytesAt(entries, at);
}

/** The sequence of the entry at `at`, which must be one. */
export function frameSequenceAt(entries: Uint8Array, at: number): number {
  return readU64BE(entries, at + 3);
}

export interface Reference {
  /** Of the frame that it stands for. */
  readonly kind: number;
  readonly sequence: number;
  readonly part: number;
  readonly frameBytes: number;
  readonly block: Uint8Array;
}

/** The number of the part to which the reference at `at`, which must be one, refers. */
export function partAt(entries: Uint8Array, at: number): number {
  const low = (entries[at + 14] as number) | ((entries[at + 15] as number) << 8);
  return readU32(entries, at + 16) * TWO_16 + low;
}

/** The reference at `at`, which must be one; its block is a view. */
export function readReference(entries: Uint8Array, at: number): Reference {
  const blockAt = at + REFERENCE_BYTES;
  return {
    kind: entries[at + 1] as number,
    sequence: frameSequenceAt(entries, at),
    part: partAt(entries, at),
    frameBytes: readU32(entries, at + 20),
    block: entries.subarray(blockAt, blockAt + blockBytesAt(entries, at)),
  };
}

export function writeReference({ kind, sequence, part, frameBytes, block }: Reference): Uint8Array {
  const entry = new Uint8Array(REFERENCE_BYTES + block.length);
  entry[0] = REFERENCE_MARK;
  entry[1] = kind;
  writeU64BE(entry, 3, sequence);
  entry[12] = block.length;
  entry[13] = block.length >> 8;
  entry[14] = part % TWO_16;
  entry[15] = (part % TWO_16) >> 8;
  writeU32(entry, 16, Math.floor(part / TWO_16));
  writeU32(entry, 20, frameBytes);
  entry.set(block, REFERENCE_BYTES);
  return entry;
}

/** Where a walk stopped: the entries before `at` are `entryCount` many, the last with `lastSequence`. */
export interface Stop {
  readonly at: number;
  readonly entryCount: number;
  /** 0 when nothing was passed. */
  readonly lastSequence: number;
}

/**
 * Passes whole entries while they end at or before `bytesMax`, carry a sequence
 * up to `sequenceMax`, are at most `entriesMax`, and are or stand for frames of
 * together at most `framesBytesMax`. Stops early at bytes that are no entry.
 */
export function passFrames(
  entries: Uint8Array,
  bounds: {
    from?: number;
    bytesMax?: number;
    sequenceMax?: number;
    entriesMax?: number;
    framesBytesMax?: number;
  },
): Stop {
  const {
    bytesMax = entries.length,
    sequenceMax = Number.MAX_SAFE_INTEGER,
    entriesMax = 0xffffffff,
  } = bounds;
  let at = bounds.from ?? 0;
  let entryCount = 0;
  let lastSequence = 0;
  let framesLeft = bounds.framesBytesMax ?? Number.MAX_SAFE_INTEGER;
  while (entryCount < entriesMax) {
    const bytes = entryBytesAt(entries, at);
    if (bytes === 0 || at + bytes > bytesMax) break;
    const sequence = frameSequenceAt(entries, at);
    if (sequence > sequenceMax) break;
    framesLeft -= frameBytesAt(entries, at);
    if (framesLeft < 0) break;
    at += bytes;
    lastSequence = sequence;
    entryCount++;
  }
  return { at, entryCount, lastSequence };
}

/**
 * A journal record: what the kernel laid out for one commit. Little-endian:
 *
 *    0 u32 magic 0x314a4c49 ("ILJ1")   4 u16 version = 1   6 u16 0
 *    8 u32 recordBytes (whole)        12 u32 runsBytes
 *   16 u32 ackCount                   20 u32 0
 *   24 u64 recordNumber               32 u64 timeMs        40..63 zero
 *   64 runs and shared parts (part-rows.ts), a part before the runs that refer to it; a run:
 *        0 u32 runBytes (header + frames padded to 8)   4 u32 framesBytes
 *        8 u32 entryCount            12 u32 0, 1 when some entries are references
 *       16 u64 firstSequence         24 u64 lastSequence
 *       32 device address 20         52 u32 0           56 8 B of the kernel's, ignored
 *       64 entries in sequence order, deliver frames and references (frames.ts), padding to 8
 *   then acks, each  0 device address 20   20 u32 0   24 u64 acked up to this sequence
 *
 * Records carry no CRC: the block they lie in does (journal-block.ts).
 */
import type { DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { numberOfPart } from "./part-rows.js";
import { readU32, readU64 } from "./schema.js";

export const RECORD_MAGIC = 0x314a4c49;
export const RECORD_VERSION = 1;
export const RECORD_HEADER_BYTES = 64;
export const RUN_HEADER_BYTES = 64;
export const ACK_BYTES = 32;
/** The third word of a piece that is no run of frames alone. */
const PIECE_REFERENCES = 1;
const PIECE_PART = 2;

export interface SpillRun {
  readonly device: DeviceAddress;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly entryCount: number;
  /** Its entries: deliver frames, and references when it has some. */
  readonly frames: Uint8Array;
  readonly hasReferences: boolean;
  /** Entries of the run up to this sequence were acked before the spill was asked for, and are left out. */
  readonly ackedThrough?: number;
}

export interface Ack {
  readonly device: DeviceAddress;
  readonly floor: number;
}

/** A record read back. The runs' frames are views of the record's bytes. */
export interface JournalRecord {
  readonly number: number;
  readonly timeMs: number;
  readonly runs: readonly SpillRun[];
  readonly acks: readonly Ack[];
  /** The shared parts that the runs refer to, by number; views of the record's bytes. */
  readonly parts: ReadonlyMap<number, Uint8Array>;
}

/** Checks what the kernel hands over: a record that does not agree with itself is our bug. */
export function assertRecord(bytes: Uint8Array, number: number): void {
  assert(bytes.length >= RECORD_HEADER_BYTES, "a journal record has a header");
  assert(readU32(bytes, 0) === RECORD_MAGIC, "a journal record begins with its magic");
  assert(readU32(bytes, 8) === bytes.length, "a journal record says its own length");
  assert(readU64(bytes, 24) === number, "a journal record says its own number");
}

/** The records that fill `bytes`, or what is wrong with them in a few words. */
export function readRecords(bytes: Uint8Array): JournalRecord[] | string {
  const records: JournalRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const recordBytes = bytes.length - at < RECORD_HEADER_BYTES ? 0 : readU32(bytes, at + 8);
    if (recordBytes < RECORD_HEADER_BYTES || at + recordBytes > bytes.length) return "a record is cut";
    const record = readRecord(bytes.subarray(at, at + recordBytes));
    if (typeof record === "string") return record;
    records.push(record);
    at += recordBytes;
  }
  return records;
}

function readRecord(bytes: Uint8Array): JournalRecord | string {
  if (readU32(bytes, 0) !== RECORD_MAGIC) return "a record without its magic";
  if (((bytes[4] as number) | ((bytes[5] as number) << 8)) !== RECORD_VERSION)
    return "a record of an unknown version";
  const runsBytes = readU32(bytes, 12);
  const ackCount = readU32(bytes, 16);
  if (RECORD_HEADER_BYTES + runsBytes + ACK_BYTES * ackCount !== bytes.length)
    return "a record's parts do not add up";
  const pieces = readPieces(bytes, RECORD_HEADER_BYTES + runsBytes);
  if (typeof pieces === "string") return pieces;
  const acks = readAcks(bytes, RECORD_HEADER_BYTES + runsBytes, ackCount);
  return { number: readU64(bytes, 24), timeMs: readU64(bytes, 32), ...pieces, acks };
}

function readPieces(bytes: Uint8Array, end: number): Pick<JournalRecord, "runs" | "parts"> | string {
  const runs: SpillRun[] = [];
  const parts = new Map<number, Uint8Array>();
  let at = RECORD_HEADER_BYTES;
  while (at < end) {
    if (at + RUN_HEADER_BYTES > end) return "a run is cut";
    const runBytes = readU32(bytes, at);
    const kind = readU32(bytes, at + 12);
    if (kind === PIECE_PART) {
      const part = bytes.subarray(at, at + runBytes);
      const number = part.length < RUN_HEADER_BYTES || at + runBytes > end ? undefined : numberOfPart(part);
      if (number === undefined) return "a shared part overruns its record";
      parts.set(number, part);
      at += runBytes;
      continue;
    }
    const framesBytes = readU32(bytes, at + 4);
    const framesEnd = at + RUN_HEADER_BYTES + framesBytes;
    if (runBytes < RUN_HEADER_BYTES + framesBytes || at + runBytes > end) return "a run overruns its record";
    runs.push({
      device: new Uint8Array(bytes.subarray(at + 32, at + 52)),
      firstSequence: readU64(bytes, at + 16),
      lastSequence: readU64(bytes, at + 24),
      entryCount: readU32(bytes, at + 8),
      frames: bytes.subarray(at + RUN_HEADER_BYTES, framesEnd),
      hasReferences: kind === PIECE_REFERENCES,
    });
    at += runBytes;
  }
  return { runs, parts };
}

function readAcks(bytes: Uint8Array, start: number, count: number): Ack[] {
  return Array.from({ length: count }, (_, i) => {
    const at = start + ACK_BYTES * i;
    return { device: new Uint8Array(bytes.subarray(at, at + 20)), floor: readU64(bytes, at + 24) };
  });
}

/**
 * The journal: one row per record, as the kernel laid it out, under its rising
 * record number. Little-endian:
 *
 *    0 u32 magic 0x314a4c49 ("ILJ1")   4 u16 version = 1   6 u16 0
 *    8 u32 recordBytes (whole)        12 u32 runsBytes
 *   16 u32 ackCount                   20 u32 crc: CRC-32 (zlib) of [24, recordBytes)
 *   24 u64 recordNumber               32 u64 timeMs        40..63 zero
 *   64 runs, each
 *        0 u32 runBytes (header + frames padded to 8)   4 u32 framesBytes
 *        8 u32 entryCount            12 u32 0
 *       16 u64 firstSequence         24 u64 lastSequence
 *       32 device address 20         52 u32 0           56 8 B of the kernel's, ignored
 *       64 deliver frames in sequence order, padding to 8
 *   then acks, each  0 device address 20   20 u32 0   24 u64 acked up to this sequence
 *
 * The store fills in the crc, in the caller's memory, before it writes.
 *
 * Which records are in the journal is kept in memory: their numbers, rising.
 * Numbers may start over when it is empty, as it is after every open.
 */
import { crc32 } from "node:zlib";
import type { DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import type { Batch } from "./database.js";
import { numberKey, readU32, readU64, writeU32 } from "./schema.js";

export const RECORD_MAGIC = 0x314a4c49;
export const RECORD_VERSION = 1;
export const RECORD_HEADER_BYTES = 64;
export const RUN_HEADER_BYTES = 64;
export const ACK_BYTES = 32;
const CRC_AT = 20;
const CRC_FROM = 24;

export interface SpillRun {
  readonly device: DeviceAddress;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly entryCount: number;
  readonly frames: Uint8Array;
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
}

/** Checks what the kernel hands over and writes the CRC into it. A record that does not agree with itself is our bug. */
export function sealRecord(bytes: Uint8Array, number: number): void {
  assert(bytes.length >= RECORD_HEADER_BYTES, "a journal record has a header");
  assert(readU32(bytes, 0) === RECORD_MAGIC, "a journal record begins with its magic");
  assert(readU32(bytes, 8) === bytes.length, "a journal record says its own length");
  assert(readU64(bytes, 24) === number, "a journal record says its own number");
  writeU32(bytes, CRC_AT, crc32(bytes.subarray(CRC_FROM)));
}

/** The record, or what is wrong with it in a few words. */
export function readRecord(number: number, bytes: Uint8Array): JournalRecord | string {
  if (bytes.length < RECORD_HEADER_BYTES) return "shorter than its header";
  if (readU32(bytes, 0) !== RECORD_MAGIC) return "no magic";
  if (((bytes[4] as number) | ((bytes[5] as number) << 8)) !== RECORD_VERSION) return "unknown version";
  if (readU32(bytes, 8) !== bytes.length) return "wrong length";
  if (readU32(bytes, CRC_AT) !== crc32(bytes.subarray(CRC_FROM))) return "wrong CRC";
  if (readU64(bytes, 24) !== number) return "found under another number";
  const runsBytes = readU32(bytes, 12);
  const ackCount = readU32(bytes, 16);
  if (RECORD_HEADER_BYTES + runsBytes + ACK_BYTES * ackCount !== bytes.length) return "parts do not add up";
  const runs = readRuns(bytes, RECORD_HEADER_BYTES + runsBytes);
  if (typeof runs === "string") return runs;
  const acks = readAcks(bytes, RECORD_HEADER_BYTES + runsBytes, ackCount);
  return { number, timeMs: readU64(bytes, 32), runs, acks };
}

function readRuns(bytes: Uint8Array, end: number): SpillRun[] | string {
  const runs: SpillRun[] = [];
  let at = RECORD_HEADER_BYTES;
  while (at < end) {
    if (at + RUN_HEADER_BYTES > end) return "a run is cut";
    const runBytes = readU32(bytes, at);
    const framesBytes = readU32(bytes, at + 4);
    const framesEnd = at + RUN_HEADER_BYTES + framesBytes;
    if (runBytes < RUN_HEADER_BYTES + framesBytes || at + runBytes > end) return "a run overruns its record";
    runs.push({
      device: new Uint8Array(bytes.subarray(at + 32, at + 52)),
      firstSequence: readU64(bytes, at + 16),
      lastSequence: readU64(bytes, at + 24),
      entryCount: readU32(bytes, at + 8),
      frames: bytes.subarray(at + RUN_HEADER_BYTES, framesEnd),
    });
    at += runBytes;
  }
  return runs;
}

function readAcks(bytes: Uint8Array, start: number, count: number): Ack[] {
  return Array.from({ length: count }, (_, i) => {
    const at = start + ACK_BYTES * i;
    return { device: new Uint8Array(bytes.subarray(at, at + 20)), floor: readU64(bytes, at + 24) };
  });
}

export class Journal {
  #numbers: number[] = [];
  #head = 0;

  get rowCount(): number {
    return this.#numbers.length - this.#head;
  }

  /** Puts a sealed record under its number. */
  append(batch: Batch, number: number, bytes: Uint8Array): void {
    const last = this.#numbers.at(-1) ?? 0;
    assert(number > last, "record numbers rise");
    this.#numbers.push(number);
    batch.put("journal", numberKey(number), bytes);
  }

  /** Notes a row found at open. */
  adopt(number: number): void {
    this.#numbers.push(number);
  }

  /** Removes the records numbered up to `number`. */
  removeThrough(batch: Batch, number: number): void {
    while (this.#head < this.#numbers.length && (this.#numbers[this.#head] as number) <= number) {
      batch.remove("journal", numberKey(this.#numbers[this.#head++] as number));
    }
    if (this.#head > 4096 || this.#head === this.#numbers.length) {
      this.#numbers = this.#numbers.slice(this.#head);
      this.#head = 0;
    }
  }
}

/**
 * Shared parts: what a multi-recipient or group send says to everybody. In a journal record and in the kernel's tail:
 *
 *    0 u32 bytes, padded to 8    4 u32 payload bytes    8 u32 0    12 u32 2
 *   16 u64 part number          24 u8 kind of its frames (44, 45)  25 u8 middle bytes   26 six times 0
 *   32 middle: what stands in a frame between sequence and block
 *      then 0xc6, payload bytes u32 BE, payload, padding to 8
 *
 * As a row of table `shared`:
 *
 *    0 u32 crc    4 u8 kind    5 u8 middle bytes    6 u48 storedAtMs    12 as from 32 above, without padding
 *
 * Its frames, in their one shape (assembly/shared.ts composes the same):
 *
 *   array header, kind | 0xcf sequence u64 BE | middle | 0xc5 block bytes u16 BE | block | 0xc6 … payload
 */
import { kinds } from "../wire/protocol.js";
import type { Reference } from "./frames.js";
import { isSealed, numberKey, readU32, readU64, readU64BE, seal, writeU64BE } from "./schema.js";

const RECORD_HEADER_BYTES = 32;
const ROW_HEADER_BYTES = 12;
const HEAD_BYTES = 11;
const PAYLOAD_HEADER_BYTES = 5;
/** Elements of the frame's array, by its kind. */
const arrayHeads = new Map<number, number>([
  [kinds.sharedDeliver, 0x97],
  [kinds.groupDeliver, 0x99],
]);

export interface Part {
  readonly kind: number;
  readonly middle: Uint8Array;
  /** With its header. */
  readonly payload: Uint8Array;
  readonly storedAtMs: number;
}

export function partKey(number: number): Uint8Array {
  return Buffer.concat([numberKey(number), Buffer.of(0)]);
}

export function countKey(number: number): Uint8Array {
  return Buffer.concat([numberKey(number), Buffer.of(1)]);
}

export function numberInKey(key: Uint8Array): number {
  return readU64BE(key, 0);
}

export function isCountKey(key: Uint8Array): boolean {
  return key[8] === 1;
}

/** The number of a part as it lies in a record; undefined when its own lengths do not agree. */
export function numberOfPart(bytes: Uint8Array): number | undefined {
  const used = RECORD_HEADER_BYTES + (bytes[25] as number) + PAYLOAD_HEADER_BYTES + readU32(bytes, 4);
  return used <= bytes.length && arrayHeads.has(bytes[24] as number) ? readU64(bytes, 16) : undefined;
}

/** The row of a part that lies in a record. */
export function encodePart(key: Uint8Array, bytes: Uint8Array, storedAtMs: number): Uint8Array {
  const middleBytes = bytes[25] as number;
  const end = RECORD_HEADER_BYTES + middleBytes + PAYLOAD_HEADER_BYTES + readU32(bytes, 4);
  const row = Buffer.allocUnsafe(ROW_HEADER_BYTES + end - RECORD_HEADER_BYTES);
  row[4] = bytes[24] as number;
  row[5] = middleBytes;
  row.writeUIntLE(storedAtMs, 6, 6);
  row.set(bytes.subarray(RECORD_HEADER_BYTES, end), ROW_HEADER_BYTES);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodePart(key: Uint8Array, row: Uint8Array): Part | undefined {
  const kind = row[4] as number;
  const payloadAt = ROW_HEADER_BYTES + (row[5] ?? 0);
  if (row.length < payloadAt + PAYLOAD_HEADER_BYTES || !arrayHeads.has(kind)) return undefined;
  if (!isSealed(key, row)) return undefined;
  return {
    kind,
    middle: row.subarray(ROW_HEADER_BYTES, payloadAt),
    payload: row.subarray(payloadAt),
    storedAtMs: Buffer.from(row.buffer, row.byteOffset, row.length).readUIntLE(6, 6),
  };
}

/** Writes the frame that the reference stands for; undefined when the part is not the one that it was made for. */
export function composeFrame(
  { kind, sequence, frameBytes, block }: Reference,
  part: Part,
): Uint8Array | undefined {
  const middleAt = HEAD_BYTES;
  const blockAt = middleAt + part.middle.length;
  const payloadAt = blockAt + 3 + block.length;
  if (part.kind !== kind || payloadAt + part.payload.length !== frameBytes) return undefined;
  const frame = new Uint8Array(frameBytes);
  frame[0] = arrayHeads.get(kind) as number;
  frame[1] = kind;
  frame[2] = 0xcf;
  writeU64BE(frame, 3, sequence);
  frame.set(part.middle, middleAt);
  frame[blockAt] = 0xc5;
  frame[blockAt + 1] = block.length >> 8;
  frame[blockAt + 2] = block.length;
  frame.set(block, blockAt + 3);
  frame.set(part.payload, payloadAt);
  return frame;
}

/**
 * Shared parts: what a multi-recipient or group send says to everybody, once in the tail however many devices it is
 * for; and frames composed from it. A device's run holds a reference for each such entry, in the place of the frame.
 *
 *   part        ┌ bytes, payload bytes, 0, 2 u32 │ number u64 │ kind u8, middle bytes u8, 6 × 0 ┬ middle ┬ c6 length 4 │ payload ┬ pad to 8 ┐
 *   reference   ┌ c1 │ kind │ 0 │ sequence 8, big endian │ 0 │ block bytes u16 │ number u48 │ frame bytes u32 ┬ block ┐
 *   frame       97 2c or 99 2d │ cf sequence 8 │ middle │ c5 length 2 │ block │ c6 length 4 │ payload
 *   middle      c4 14 sender 20 │ c4 10 id 16 │ cf time 8, in a group's also │ c4 12 group 18 │ ce version 4
 *
 * A part lies before the runs that refer to it, in the same record, and is there as long as they are. Parts are
 * numbered without a gap from the number given at the start; the places of those in the tail are kept in a ring.
 *
 * Frames are composed in the scratch region, which takes more than a window of them, when they are handed to a socket:
 * each composition ends the one before.
 */
import * as L from "./layout";
import { copyBytes, parts, partsMask, scratch, sends, shared } from "./memory";
import { advance, writeAt } from "./journal";
import { writeReceipt } from "./receipts";

const KIND_SHARED: u32 = 44;
const KIND_GROUP: u32 = 45;
/** Two heads, the sequence, the lengths of block and payload. */
const FRAME_HEADER_BYTES: u32 = 19;

/** Of this batch. */
export let sharedCount: u32 = 0;
let nextNumber: u64 = 0;
/** The part of the frame that stands alone and without a block at the beginning of the scratch region; 0: none. */
let composedNumber: u64 = 0;

export function initShared(firstNumber: u64): void {
  nextNumber = firstNumber;
}

/** Takes in the shared part of an accepted send, whose bytes stay in the inbox until the gather; returns its row. */
export function addShared(payload: usize, bytes: u32, sender: usize, id: usize, group: usize, version: u32): u32 {
  const row = shared + <usize>(sharedCount++) * L.SHARED_BYTES;
  store<u64>(row, nextNumber++, L.SHARED_NUMBER);
  store<u32>(row, <u32>payload, L.SHARED_PAYLOAD);
  store<u32>(row, bytes, L.SHARED_PAYLOAD_BYTES);
  store<u32>(row, <u32>id, L.SHARED_ID);
  store<u32>(row, <u32>sender, L.SHARED_SENDER);
  store<u32>(row, <u32>group, L.SHARED_GROUP);
  store<u32>(row, version, L.SHARED_VERSION);
  store<u32>(row, FRAME_HEADER_BYTES + middleBytes(row) + bytes, L.SHARED_FRAME_BYTES);
  return <u32>row;
}

// @ts-ignore: decorator
@inline
function middleBytes(row: usize): u32 {
  return load<u32>(row, L.SHARED_GROUP) == 0 ? L.MIDDLE_BYTES : L.MIDDLE_BYTES_GROUP;
}

/** What a part with so large a payload takes in the tail, at most. */
export function partBytes(payloadBytes: u32): u32 {
  return (L.PART_HEADER_BYTES + L.MIDDLE_BYTES_GROUP + 5 + payloadBytes + 7) & ~7;
}

/** Lays the batch's parts out at the tail's end; an open record has room for them. */
export function layParts(time: u64): void {
  for (let i: u32 = 0; i < sharedCount; i++) layPart(shared + <usize>i * L.SHARED_BYTES, time);
  sharedCount = 0;
}

function layPart(row: usize, time: u64): void {
  const part = writeAt;
  const payloadBytes = load<u32>(row, L.SHARED_PAYLOAD_BYTES);
  const middle = middleBytes(row);
  const bytes = (L.PART_HEADER_BYTES + middle + 5 + payloadBytes + 7) & ~7;
  const number = load<u64>(row, L.SHARED_NUMBER);
  store<u64>(part + bytes - 8, 0);
  store<u32>(part, bytes);
  store<u32>(part, payloadBytes, 4);
  store<u32>(part, 0, 8);
  store<u32>(part, L.PIECE_PART, 12);
  store<u64>(part, number, 16);
  store<u64>(part, <u64>(middle == L.MIDDLE_BYTES ? KIND_SHARED : KIND_GROUP) | (<u64>middle << 8), 24);
  layMiddle(part + L.PART_HEADER_BYTES, row, time);
  const payload = part + L.PART_HEADER_BYTES + middle;
  store<u8>(payload, 0xc6);
  store<u32>(payload, bswap<u32>(payloadBytes), 1);
  memory.copy(payload + 5, load<u32>(row, L.SHARED_PAYLOAD), payloadBytes);
  store<u32>(parts + <usize>(<u32>number & partsMask) * 4, <u32>part);
  advance(bytes);
}

function layMiddle(to: usize, row: usize, time: u64): void {
  const sender: usize = load<u32>(row, L.SHARED_SENDER) + L.SLOT_ADDRESS;
  store<u16>(to, 0x14c4);
  memory.copy(to + 2, sender, 20);
  store<u16>(to, 0x10c4, 22);
  v128.store(to, v128.load(load<u32>(row, L.SHARED_ID)), 24);
  store<u8>(to, 0xcf, 40);
  store<u64>(to, time, 41);
  const group: usize = load<u32>(row, L.SHARED_GROUP);
  if (group == 0) return;
  store<u16>(to, 0x12c4, 49);
  memory.copy(to + 51, group, 18);
  store<u8>(to, 0xce, 69);
  store<u32>(to, bswap<u32>(load<u32>(row, L.SHARED_VERSION)), 70);
}

/** Lays out the reference of an item; returns where it ends. */
export function layReference(to: usize, item: usize, sequence: u64): usize {
  const row: usize = load<u32>(item, L.ITEM_SHARED);
  const blockBytes = load<u32>(item, L.ITEM_PAYLOAD_BYTES);
  store<u16>(to, <u16>(L.REFERENCE_MARK | ((load<u32>(row, L.SHARED_GROUP) == 0 ? KIND_SHARED : KIND_GROUP) << 8)));
  store<u8>(to, 0, 2);
  store<u64>(to, bswap<u64>(sequence), 3);
  store<u8>(to, 0, 11);
  store<u64>(to, (load<u64>(row, L.SHARED_NUMBER) << 16) | blockBytes, 12);
  store<u32>(to, load<u32>(row, L.SHARED_FRAME_BYTES) + blockBytes, 20);
  if (blockBytes != 0) copyBytes(to + L.REFERENCE_BYTES, load<u32>(item, L.ITEM_PAYLOAD), blockBytes);
  return to + L.REFERENCE_BYTES + blockBytes;
}

// @ts-ignore: decorator
@inline
export function isReference(entry: usize): bool {
  return load<u8>(entry) == L.REFERENCE_MARK;
}

/** The bytes of the entry at this address of a run: a deliver frame, or a reference. */
// @ts-ignore: decorator
@inline
export function entryBytes(entry: usize): u32 {
  return isReference(entry)
    ? L.REFERENCE_BYTES + load<u16>(entry, 12)
    : L.DELIVER_HEADER_BYTES + bswap<u32>(load<u32>(entry, 61));
}

/** The bytes of the entry's frame. */
// @ts-ignore: decorator
@inline
export function frameBytes(entry: usize): u32 {
  return isReference(entry) ? load<u32>(entry, 20) : L.DELIVER_HEADER_BYTES + bswap<u32>(load<u32>(entry, 61));
}

/** Where the part with this number, cut to 32 bits, lies; it must still be in the tail. */
export function partAt(number: u32): usize {
  return load<u32>(parts + <usize>(number & partsMask) * 4);
}

function composeFrame(entry: usize, to: usize): usize {
  const word = load<u64>(entry, 12);
  const blockBytes = <u32>word & 0xffff;
  const part = partAt(<u32>(word >> 16));
  const middle: u32 = load<u8>(part, 25);
  const payloadBytes = 5 + load<u32>(part, 4);
  store<u16>(to, middle == L.MIDDLE_BYTES ? 0x2c97 : 0x2d99);
  store<u8>(to, 0xcf, 2);
  store<u64>(to, load<u64>(entry, 3), 3);
  copyBytes(to + 11, part + L.PART_HEADER_BYTES, middle);
  to += 11 + middle;
  store<u8>(to, 0xc5);
  store<u16>(to, bswap<u16>(<u16>blockBytes), 1);
  if (blockBytes != 0) copyBytes(to + 3, entry + L.REFERENCE_BYTES, blockBytes);
  to += 3 + blockBytes;
  copyBytes(to, part + L.PART_HEADER_BYTES + middle, payloadBytes);
  return to + payloadBytes;
}

/** Writes the frames of the entries from `entry` to `end`, one after the other; returns where they end. */
export function composeAll(entry: usize, end: usize, to: usize): usize {
  composedNumber = 0;
  for (; entry < end; entry += entryBytes(entry)) {
    if (isReference(entry)) to = composeFrame(entry, to);
    else {
      const bytes = entryBytes(entry);
      copyBytes(to, entry, bytes);
      to += bytes;
    }
  }
  return to;
}

/**
 * Composes what the i-th send is to carry, behind the receipt that rides with it if there is one; returns where it
 * begins. To one device after the other goes the same frame but for its sequence: then only that is written.
 */
export function composeSend(i: u32): u32 {
  const row = sends + <usize>i * L.SEND_BYTES;
  const entry: usize = load<u32>(row, L.SEND_OFFSET);
  const stored = load<u32>(row, L.SEND_STORED);
  const frames = scratch + L.RECEIPT_BYTES;
  const number = load<u64>(entry, 12) >> 16;
  const isBare = stored == L.REFERENCE_BYTES && isReference(entry);
  if (isBare && number == composedNumber) store<u64>(frames, load<u64>(entry, 3), 3);
  else {
    composeAll(entry, entry + stored, frames);
    composedNumber = isBare ? number : 0;
  }
  const receipt = load<u32>(row, L.SEND_RECEIPT);
  if (receipt == 0) return <u32>frames;
  writeReceipt(scratch, receipt);
  return <u32>scratch;
}

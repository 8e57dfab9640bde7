/**
 * The bytes on disk, format version 3: every file of a data directory, and every table, key and row of its database.
 * Rows that have a file of their own are named here and drawn there.
 *
 *   journal.dat       what was committed and is not yet spilled (journal-block.ts)
 *   store.mdb         everything else: one LMDB environment, drawn here
 *   store.mdb-lock    LMDB's own table of readers
 *   lock.…            the owner's (lock.ts)
 *
 * Keys are big-endian, so that their order is the order of numbers; values are
 * little-endian.
 *
 *   table     key                                          value
 *   meta      "format" | "epoch" | "ordinal"               number row
 *             "tag"                                        number row: marks this directory's blocks
 *             "spilled"                                    number row: blocks up to this one are spilled
 *             "closed"                                     number row: … were flushed at the last close
 *             "brand" ++ brand u16                         number row: bytes queued for the brand
 *   dedup     row number u64                               dedup row
 *   accounts  partition u16 | brand u16 | account 16       account row
 *   queues    partition u16 | brand u16 | account 16 |     row of a queue (chunk-rows.ts)
 *             device u16 | first sequence u64
 *   floors    partition u16 | brand u16 | account 16 |     number row: acked up to this sequence
 *             device u16
 *   outbox    notice number u64                            notice row
 *   keys      partition u16 | brand u16 | account 16 |     key-rows.ts
 *             device u16 | section u8 | …
 *   tombstones                                             number row: ms; tokens issued up to then are refused
 *             as in accounts, or as in floors
 *   erasures  as in floors                                 number row: erase up to this sequence; 0: everything
 *   names     partition u16 | brand u16 | name digest 16   name row (names.ts); the digest stands for an account id
 *   deliveryTokens                                         delivery row
 *             as in accounts
 *   named     partition u16 | brand u16 | account 16 |     number row: 0
 *             name digest 16
 *   push      as in floors                                 push row (push-targets.ts)
 *   groups    partition u16 | brand u16 | group id 16      group row (group-rows.ts)
 *   memberships, leaving   as in accounts                  membership row (memberships.ts)
 *   contacts  partition u16 | brand u16 | account 16       contact row (contacts.ts): what the account has agreed to
 *   shared    part number u64 | 0 u8                       shared part (part-rows.ts)
 *             part number u64 | 1 u8                       number row: entries of queues that refer to it
 *
 *   number row, 16 bytes    0 u32 crc   4 u32 "ILD1"        8 u64 number
 *   dedup row               0 u32 crc   4 u32 keyCount      8 u64 timeMs  16 keyCount × 20 B dedup key
 *   account row             0 u32 crc   4 u32 version       8 u32 deviceCount  12 u32 1 when it was removed, else 0
 *                          16 deviceCount × { u16 number, u16 0, u32 ordinal }
 *   name row                0 u32 crc   4 account 16       20 name, up to the row's end
 *   delivery row            0 u32 crc   4 u32 0             8 u64 previousUntilMs
 *                          16 SHA-256 of the current token, 32
 *                          48 SHA-256 of the one before, 32
 *   notice row              0 u32 crc   4 u8 recipientCount  5 u16 brand that caused it  7 u8 128 when it tells of a group
 *                           8 id 16
 *                          24 of a group: { group 18, u16 0, u32 version }
 *                             recipientCount × { account 18, u16 deviceCount (0xffff: all), deviceCount × u16 number }
 *                             payload, up to the row's end
 *
 * Version 2 had the tables up to floors, and chunk rows of version 1 alone. A directory of version 2 is read as it is
 * and becomes one of version 3 when a node opens it.
 *
 * Every `crc` at 0 is the zlib CRC-32 of the row's key followed by the rest of the row — in a chunk by the rest of its
 * header — so that a row found under a wrong key is as bad as one with a flipped bit.
 *
 * A shared part belongs to nobody's account, but to the entries that refer to it: whoever moves a partition takes a copy
 * of those that its queues refer to.
 */
import { crc32 } from "node:zlib";
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";

export const FORMAT_VERSION = 3;
export const DATA_FILE = "store.mdb";
export const JOURNAL_FILE = "journal.dat";
/** By the version that brought them; a directory of that version or a later one has them. */
const tablesSince = {
  2: ["meta", "dedup", "accounts", "queues", "floors"],
  3: [
    "outbox",
    "keys",
    "groups",
    "shared",
    "tombstones",
    "erasures",
    "names",
    "named",
    "push",
    "deliveryTokens",
    "memberships",
    "leaving",
    "contacts",
  ],
} as const;
/** The oldest version that is still read. */
export const FORMAT_VERSION_MIN = 2;
export const tableNames = [...tablesSince[2], ...tablesSince[3]] as const;
export type TableName = (typeof tableNames)[number];

/** The tables that a directory of this version has. */
export function tablesOf(version: number): readonly TableName[] {
  return version >= FORMAT_VERSION ? tableNames : tablesSince[2];
}

/** Where something can be damaged. */
export type StorePart = TableName | "journal";

export const metaKeys = {
  format: Buffer.from("format"),
  epoch: Buffer.from("epoch"),
  ordinal: Buffer.from("ordinal"),
  tag: Buffer.from("tag"),
  spilled: Buffer.from("spilled"),
  closed: Buffer.from("closed"),
} as const;
const BRAND_PREFIX = Buffer.from("brand");
const NUMBER_MAGIC = 0x31444c49;
const NUMBER_ROW_BYTES = 16;

export const PARTITIONS = 4096;
export const ACCOUNT_KEY_BYTES = 20;
export const DEVICE_KEY_BYTES = 22;
const QUEUE_KEY_BYTES = 30;
export const NAMED_KEY_BYTES = ACCOUNT_KEY_BYTES + 16;
export const DEDUP_KEY_BYTES = 20;
const DEDUP_HEADER_BYTES = 16;
const TWO_32 = 0x1_0000_0000;

// --- numbers in bytes ---

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 4) * TWO_32 + readU32(bytes, at);
}

export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % TWO_32);
  writeU32(bytes, at + 4, Math.floor(value / TWO_32));
}

export function readU32BE(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

export function readU64BE(bytes: Uint8Array, at: number): number {
  return readU32BE(bytes, at) * TWO_32 + readU32BE(bytes, at + 4);
}

export function writeU64BE(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  for (let i = 0; i < 4; i++) {
    bytes[at + i] = high >>> (24 - 8 * i);
    bytes[at + 4 + i] = (value % TWO_32) >>> (24 - 8 * i);
  }
}

/** The number before the first block that is written after the directory was opened for the `epoch`-th time. */
export function blocksBefore(epoch: number): number {
  return epoch * TWO_32;
}

// --- keys ---

/**
 * The partition of an account: FNV-1a over the 18 bytes of its address, folded
 * to 12 bits. Part of the format: a test holds it to literal values.
 */
export function partitionOf(address: AccountAddress | DeviceAddress): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < 18; i++) hash = Math.imul(hash ^ (address[i] as number), 0x01000193);
  return ((hash >>> 20) ^ (hash >>> 10) ^ hash) & (PARTITIONS - 1);
}

function partitioned(address: Uint8Array, keyBytes: number): Uint8Array {
  const key = new Uint8Array(keyBytes);
  const partition = partitionOf(address);
  key[0] = partition >> 8;
  key[1] = partition;
  key.set(address, 2);
  return key;
}

export function accountKey(address: AccountAddress): Uint8Array {
  assert(address.length === ACCOUNT_KEY_BYTES - 2, "an account address has 18 bytes");
  return partitioned(address, ACCOUNT_KEY_BYTES);
}

/** The key of a device's floor, and the prefix of all keys of its queue. */
export function deviceKey(device: DeviceAddress): Uint8Array {
  assert(device.length === DEVICE_KEY_BYTES - 2, "a device address has 20 bytes");
  return partitioned(device, DEVICE_KEY_BYTES);
}

export function queueKey(deviceKeyBytes: Uint8Array, firstSequence: number): Uint8Array {
  const key = new Uint8Array(QUEUE_KEY_BYTES);
  key.set(deviceKeyBytes.length === DEVICE_KEY_BYTES ? deviceKeyBytes : deviceKeyBytes.subarray(0, 22));
  writeU64BE(key, DEVICE_KEY_BYTES, firstSequence);
  return key;
}

/** A key above every key of the device's queue and below those of the next device. */
export function queueEnd(deviceKeyBytes: Uint8Array): Uint8Array {
  const key = new Uint8Array(QUEUE_KEY_BYTES + 1).fill(0xff);
  key.set(deviceKeyBytes.subarray(0, DEVICE_KEY_BYTES));
  return key;
}

/** The device address in a key of a device, or the account address in one of an account; a copy. */
export function addressInKey(key: Uint8Array): Uint8Array {
  return new Uint8Array(key.subarray(2, Math.min(key.length, DEVICE_KEY_BYTES)));
}

export function firstSequenceInKey(key: Uint8Array): number {
  return readU64BE(key, DEVICE_KEY_BYTES);
}

/** The key of a name that an account has; `name` as names.ts makes it. */
export function namedKey(account: AccountAddress, name: AccountAddress): Uint8Array {
  const key = new Uint8Array(NAMED_KEY_BYTES);
  key.set(accountKey(account));
  key.set(name.subarray(2), ACCOUNT_KEY_BYTES);
  return key;
}

/** A key above those of all the account's names. */
export function namedEnd(account: AccountAddress): Uint8Array {
  const key = new Uint8Array(NAMED_KEY_BYTES + 1).fill(0xff);
  key.set(accountKey(account));
  return key;
}

/** The key of a dedup row, or of a notice. */
export function numberKey(number: number): Uint8Array {
  const key = new Uint8Array(8);
  writeU64BE(key, 0, number);
  return key;
}

export function brandKey(brand: number): Uint8Array {
  return Uint8Array.of(...BRAND_PREFIX, brand >> 8, brand & 0xff);
}

/** The brand of a counter's key in `meta`; undefined for its other keys. */
export function brandInKey(key: Uint8Array): number | undefined {
  if (key.length !== BRAND_PREFIX.length + 2) return undefined;
  if (BRAND_PREFIX.some((byte, i) => byte !== key[i])) return undefined;
  return ((key[5] as number) << 8) | (key[6] as number);
}

// --- sealed rows ---

function crcOf(key: Uint8Array, row: Uint8Array, end: number): number {
  return crc32(row.subarray(4, end), crc32(key));
}

/** Writes the CRC over the key and the row up to `end`. */
export function seal(key: Uint8Array, row: Uint8Array, end = row.length): Uint8Array {
  writeU32(row, 0, crcOf(key, row, end));
  return row;
}

export function isSealed(key: Uint8Array, row: Uint8Array, end = row.length): boolean {
  return readU32(row, 0) === crcOf(key, row, end);
}

export function encodeNumber(key: Uint8Array, number: number): Uint8Array {
  const row = new Uint8Array(NUMBER_ROW_BYTES);
  writeU32(row, 4, NUMBER_MAGIC);
  writeU64(row, 8, number);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeNumber(key: Uint8Array, row: Uint8Array): number | undefined {
  if (row.length !== NUMBER_ROW_BYTES || readU32(row, 4) !== NUMBER_MAGIC) return undefined;
  return isSealed(key, row) ? readU64(row, 8) : undefined;
}

export interface DedupRow {
  readonly timeMs: number;
  /** Concatenated 20-byte keys. */
  readonly keys: Uint8Array;
}

export function encodeDedup(key: Uint8Array, { timeMs, keys }: DedupRow): Uint8Array {
  const row = Buffer.allocUnsafe(DEDUP_HEADER_BYTES + keys.length);
  writeU32(row, 4, keys.length / DEDUP_KEY_BYTES);
  writeU64(row, 8, timeMs);
  row.set(keys, DEDUP_HEADER_BYTES);
  return seal(key, row);
}

export function decodeDedup(key: Uint8Array, row: Uint8Array): DedupRow | undefined {
  if (row.length < DEDUP_HEADER_BYTES || !isSealed(key, row)) return undefined;
  const keys = row.subarray(DEDUP_HEADER_BYTES);
  return keys.length === readU32(row, 4) * DEDUP_KEY_BYTES ? { timeMs: readU64(row, 8), keys } : undefined;
}

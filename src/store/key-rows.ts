/**
 * The rows of the table `keys`, byte by byte. All that belongs to a device
 * stands under its device key, the first 22 bytes, and goes with it.
 *
 *   section after the device key         row
 *   0 u8                                 head, once the device has uploaded or claimed anything
 *   kind u8 (wire/keys.ts) | index u32   key row: one key; a single one has index 0, one-time keys follow
 *                                        each other without a hole, unless one was damaged
 *   0xf0 | account 18                    mark row: the account has claimed this device's keys
 *   0xf1 | device 20                     mark row: when the bucket of this device's claims there is full
 *   0xf2                                 mark row: when the bucket of claims here by nobody in particular is full
 *
 *   head row   0 u32 crc   4 u8 version = 1   5 u8 0 × 3
 *              8 u64 claimsFullAtMs   16 u64 uploadsFullAtMs   24 u64 identityFullAtMs      (buckets)
 *             32 u32 pairCount (rows 0xf1)   36 u32 holderCount (rows 0xf0)
 *             40 pairCursor 20 (the pair that was looked at last)   60 u32 0
 *             64 3 × { u32 first, u32 next, u64 claimedThrough }, by oneTimeKinds (wire/keys.ts)
 *   key row    0 u32 crc   4 u32 keyBytes   8 u64 id   16 key
 *   mark row   0 u32 crc   4 u32 0          8 u64 fullAtMs (0 for an account)
 *
 * Every crc is that of schema.ts: over the row's key and the rest of the row.
 * A key's index is its place in the order in which keys are handed out; it
 * rises over the device's whole life, across uploads. A one-time key is there,
 * and may be handed out, exactly as long as its row is.
 */
import { type AccountAddress, DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { type KeyKind, keyKinds, type OneTimeKind, oneTimeKinds, type PublicKey } from "../wire/keys.js";
import {
  accountKey,
  DEVICE_KEY_BYTES,
  deviceKey,
  isSealed,
  readU32,
  readU32BE,
  readU64,
  seal,
  writeU32,
  writeU64,
} from "./schema.js";

const HEAD_SECTION = 0;
const HOLDER_SECTION = 0xf0;
const PAIR_SECTION = 0xf1;
const SEALED_SECTION = 0xf2;
const HEAD_VERSION = 1;
const HEAD_FIXED_BYTES = 64;
const HEAD_STOCK_BYTES = 16;
const HEAD_BYTES = HEAD_FIXED_BYTES + HEAD_STOCK_BYTES * oneTimeKinds.length;
const KEY_HEADER_BYTES = 16;
const MARK_BYTES = 16;
const LONGEST_KEY_BYTES = DEVICE_KEY_BYTES + 1 + DEVICE_ADDRESS_BYTES;
const INDEX_KEY_BYTES = DEVICE_KEY_BYTES + 5;
const CURSOR_AT = 40;

/** Where the one-time keys of a kind stand: at the indexes from `first` to below `next`. */
export interface Shelf {
  readonly first: number;
  readonly next: number;
  readonly claimedThrough: number;
}

export interface KeyHead {
  readonly claimsFullAtMs: number;
  readonly uploadsFullAtMs: number;
  readonly identityFullAtMs: number;
  readonly pairCount: number;
  readonly holderCount: number;
  readonly pairCursor: Uint8Array;
  readonly shelves: { readonly [Kind in OneTimeKind]: Shelf };
}

const emptyShelf: Shelf = { first: 0, next: 0, claimedThrough: 0 };
export const emptyHead: KeyHead = {
  claimsFullAtMs: 0,
  uploadsFullAtMs: 0,
  identityFullAtMs: 0,
  pairCount: 0,
  holderCount: 0,
  pairCursor: new Uint8Array(DEVICE_ADDRESS_BYTES),
  shelves: { preKey: emptyShelf, kyberPreKey: emptyShelf, keyPackage: emptyShelf },
};

// --- keys ---

function sectionKey(device: Uint8Array, section: number, rest: Uint8Array): Uint8Array {
  const key = new Uint8Array(DEVICE_KEY_BYTES + 1 + rest.length);
  key.set(device);
  key[DEVICE_KEY_BYTES] = section;
  key.set(rest, DEVICE_KEY_BYTES + 1);
  return key;
}

const nothing = new Uint8Array();

export function headKey(device: Uint8Array): Uint8Array {
  return sectionKey(device, HEAD_SECTION, nothing);
}

export function keyKey(device: Uint8Array, kind: KeyKind, index: number): Uint8Array {
  return sectionKey(device, keyKinds[kind], Uint8Array.of(index >>> 24, index >>> 16, index >>> 8, index));
}

export function holderKey(device: Uint8Array, account: AccountAddress): Uint8Array {
  return sectionKey(device, HOLDER_SECTION, account);
}

export function pairKey(device: Uint8Array, target: DeviceAddress): Uint8Array {
  return sectionKey(device, PAIR_SECTION, target);
}

export function sealedKey(device: Uint8Array): Uint8Array {
  return sectionKey(device, SEALED_SECTION, nothing);
}

/** The keys of one section of a device. */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

function sectionRange(device: Uint8Array, from: number, to: number): KeyRange {
  return { start: sectionKey(device, from, nothing), end: sectionKey(device, to, nothing) };
}

export const kindRange = (device: Uint8Array, kind: KeyKind): KeyRange =>
  sectionRange(device, keyKinds[kind], keyKinds[kind] + 1);
export const holderRange = (device: Uint8Array): KeyRange =>
  sectionRange(device, HOLDER_SECTION, HOLDER_SECTION + 1);
export const pairRange = (device: Uint8Array): KeyRange =>
  sectionRange(device, PAIR_SECTION, PAIR_SECTION + 1);

/** Every row of a device, or of all devices of an account, by its address. No key is as long as `end`. */
export function keyRowsOf(owner: Uint8Array): KeyRange {
  const isDevice = owner.length === DEVICE_ADDRESS_BYTES;
  const start = isDevice ? deviceKey(owner) : accountKey(owner);
  const end = new Uint8Array(LONGEST_KEY_BYTES + 1).fill(0xff);
  end.set(start);
  return { start, end };
}

/** What the row under a key of this table is about. */
export type KeyPlace =
  | { readonly section: "head" | "sealed" }
  | { readonly section: "key"; readonly kind: KeyKind; readonly index: number }
  | { readonly section: "holder" | "pair"; readonly address: Uint8Array };

const kindNames = new Map<number, KeyKind>(
  Object.entries(keyKinds).map(([name, number]) => [number, name as KeyKind]),
);

/** undefined when no row may stand under this key. */
export function placeOf(key: Uint8Array): KeyPlace | undefined {
  const section = key[DEVICE_KEY_BYTES];
  const rest = key.slice(DEVICE_KEY_BYTES + 1);
  if (section === HEAD_SECTION && rest.length === 0) return { section: "head" };
  if (section === SEALED_SECTION && rest.length === 0) return { section: "sealed" };
  if (section === HOLDER_SECTION && rest.length === 18) return { section: "holder", address: rest };
  if (section === PAIR_SECTION && rest.length === 20) return { section: "pair", address: rest };
  const kind = kindNames.get(section ?? HEAD_SECTION);
  if (kind === undefined || key.length !== INDEX_KEY_BYTES) return undefined;
  return { section: "key", kind, index: readU32BE(rest, 0) };
}

// --- rows ---

export function encodeHead(key: Uint8Array, head: KeyHead): Uint8Array {
  const row = new Uint8Array(HEAD_BYTES);
  row[4] = HEAD_VERSION;
  writeU64(row, 8, head.claimsFullAtMs);
  writeU64(row, 16, head.uploadsFullAtMs);
  writeU64(row, 24, head.identityFullAtMs);
  writeU32(row, 32, head.pairCount);
  writeU32(row, 36, head.holderCount);
  row.set(head.pairCursor, CURSOR_AT);
  oneTimeKinds.forEach((kind, i) => {
    const { first, next, claimedThrough } = head.shelves[kind];
    const at = HEAD_FIXED_BYTES + HEAD_STOCK_BYTES * i;
    writeU32(row, at, first);
    writeU32(row, at + 4, next);
    writeU64(row, at + 8, claimedThrough);
  });
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeHead(key: Uint8Array, row: Uint8Array): KeyHead | undefined {
  if (row.length !== HEAD_BYTES || row[4] !== HEAD_VERSION || !isSealed(key, row)) return undefined;
  const shelf = (i: number): Shelf => {
    const at = HEAD_FIXED_BYTES + HEAD_STOCK_BYTES * i;
    return { first: readU32(row, at), next: readU32(row, at + 4), claimedThrough: readU64(row, at + 8) };
  };
  return {
    claimsFullAtMs: readU64(row, 8),
    uploadsFullAtMs: readU64(row, 16),
    identityFullAtMs: readU64(row, 24),
    pairCount: readU32(row, 32),
    holderCount: readU32(row, 36),
    pairCursor: row.slice(CURSOR_AT, CURSOR_AT + DEVICE_ADDRESS_BYTES),
    shelves: { preKey: shelf(0), kyberPreKey: shelf(1), keyPackage: shelf(2) },
  };
}

export function encodeKey(key: Uint8Array, { id, key: bytes }: PublicKey): Uint8Array {
  const row = Buffer.allocUnsafe(KEY_HEADER_BYTES + bytes.length);
  writeU32(row, 4, bytes.length);
  writeU64(row, 8, id);
  row.set(bytes, KEY_HEADER_BYTES);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeKey(key: Uint8Array, row: Uint8Array): PublicKey | undefined {
  if (row.length < KEY_HEADER_BYTES || !isSealed(key, row)) return undefined;
  if (row.length !== KEY_HEADER_BYTES + readU32(row, 4)) return undefined;
  return { id: readU64(row, 8), key: row.subarray(KEY_HEADER_BYTES) };
}

export function encodeMark(key: Uint8Array, fullAtMs: number): Uint8Array {
  const row = new Uint8Array(MARK_BYTES);
  writeU64(row, 8, fullAtMs);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeMark(key: Uint8Array, row: Uint8Array): number | undefined {
  return row.length === MARK_BYTES && isSealed(key, row) ? readU64(row, 8) : undefined;
}

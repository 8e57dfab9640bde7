/**
 * The bytes of the journal's file. It is a row of blocks, one for each commit,
 * each at a multiple of 4,096 and padded to one with zeros; what is behind or
 * between the blocks that count is left over from older ones. Little-endian:
 *
 *    0 u32 crc: CRC-32 (zlib) of [4, blockBytes)     4 u32 magic 0x324a4c49 ("ILJ2")
 *    8 u64 tag            16 u64 blockNumber         24 u32 blockBytes, without padding
 *   28 u32 recordsBytes   32 u64 timeMs              40 u64 number of its last record
 *   48 … 63 zero
 *   64 records, as the kernel laid them out (journal-record.ts)
 *   then dedup keys, 20 bytes each
 *
 * The tag is random, drawn when the directory is made, and never leaves it:
 * whoever sends an envelope chooses bytes that stand in this file, and could
 * otherwise make some of them look like a block. Block numbers rise by one, so
 * that a block that is missing shows. A block counts when its number is above
 * the one that `meta` names as spilled (schema.ts).
 */
import { fstatSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { DEDUP_KEY_BYTES, readU32, readU64, writeU32, writeU64 } from "./schema.js";

const BLOCK_MAGIC = 0x324a4c49;
export const BLOCK_HEADER_BYTES = 64;
const BLOCK_ALIGNMENT = 4096;
const CRC_FROM = 4;
/** Read at a time while looking for blocks. */
const WINDOW_BYTES = 1 << 20;

export interface BlockHeader {
  readonly number: number;
  readonly bytes: number;
  readonly recordsBytes: number;
  readonly timeMs: number;
  readonly lastRecord: number;
}

/** Where a block lies. */
export interface BlockSite extends BlockHeader {
  readonly position: number;
}

export interface BlockContent {
  readonly records: Uint8Array;
  readonly dedupKeys: Uint8Array;
}

export function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT;
}

/** Writes the header but for its CRC. */
export function writeBlockHeader(to: Uint8Array, tag: number, header: BlockHeader): void {
  to.fill(0, 0, BLOCK_HEADER_BYTES);
  writeU32(to, 4, BLOCK_MAGIC);
  writeU64(to, 8, tag);
  writeU64(to, 16, header.number);
  writeU32(to, 24, header.bytes);
  writeU32(to, 28, header.recordsBytes);
  writeU64(to, 32, header.timeMs);
  writeU64(to, 40, header.lastRecord);
}

/** Writes the CRC into a whole block, without its padding. */
export function sealBlock(block: Uint8Array): void {
  writeU32(block, 0, crc32(block.subarray(CRC_FROM)));
}

/** The header, or undefined where no block of this directory begins. */
function readBlockHeader(at: Uint8Array, tag: number): BlockHeader | undefined {
  if (readU32(at, 4) !== BLOCK_MAGIC || readU64(at, 8) !== tag) return undefined;
  return {
    number: readU64(at, 16),
    bytes: readU32(at, 24),
    recordsBytes: readU32(at, 28),
    timeMs: readU64(at, 32),
    lastRecord: readU64(at, 40),
  };
}

function readAt(descriptor: number, bytes: number, position: number): Uint8Array {
  const buffer = Buffer.allocUnsafe(bytes);
  let read = 0;
  while (read < bytes) {
    const more = readSync(descriptor, buffer, read, bytes - read, position + read);
    if (more === 0) break;
    read += more;
  }
  return buffer.subarray(0, read);
}

/** What the block holds; undefined when its CRC or its lengths are wrong. */
export function readBlock(descriptor: number, site: BlockSite): BlockContent | undefined {
  const { bytes, recordsBytes, position } = site;
  const keysBytes = bytes - BLOCK_HEADER_BYTES - recordsBytes;
  if (keysBytes < 0 || keysBytes % DEDUP_KEY_BYTES !== 0) return undefined;
  if (position + bytes > fstatSync(descriptor).size) return undefined;
  const block = readAt(descriptor, bytes, position);
  if (block.length !== bytes || readU32(block, 0) !== crc32(block.subarray(CRC_FROM))) return undefined;
  const keysAt = BLOCK_HEADER_BYTES + recordsBytes;
  return { records: block.subarray(BLOCK_HEADER_BYTES, keysAt), dedupKeys: block.subarray(keysAt) };
}

/** The blocks numbered above `after`, in the order in which they lie in the file. */
export function* findBlocks(
  descriptor: number,
  { tag, after }: { readonly tag: number; readonly after: number },
): Generator<{ readonly site: BlockSite; readonly content: BlockContent | undefined }, void, void> {
  let window: Uint8Array = new Uint8Array();
  let windowAt = 0;
  for (let position = 0; ; ) {
    if (position >= windowAt + window.length) {
      windowAt = position;
      window = readAt(descriptor, WINDOW_BYTES, position);
    }
    const at = position - windowAt;
    if (at + BLOCK_HEADER_BYTES > window.length) return;
    const header = readBlockHeader(window.subarray(at, at + BLOCK_HEADER_BYTES), tag);
    if (header === undefined || header.number <= after) {
      position += BLOCK_ALIGNMENT;
      continue;
    }
    const site = { ...header, position };
    const content = readBlock(descriptor, site);
    yield { site, content };
    position += content === undefined ? BLOCK_ALIGNMENT : paddedBytes(site.bytes);
  }
}

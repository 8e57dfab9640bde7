/**
 * CRC-32 (the one of zlib, polynomial 0xEDB88320) of what goes to disk: Node's own against JavaScript that takes
 * eight bytes at a time through eight tables ("slicing by eight"), which is the fastest known without carry-less
 * multiplication. The engine uses Node's: it runs on that very instruction, which WebAssembly does not have, and is
 * called once a block of the journal, so that the call costs nothing.
 */
import { crc32 } from "node:zlib";
import { assert } from "../../src/base/assert.js";
import type { KernelsWorkload } from "../workloads/workloads.js";
import { alternate, type Contestant, INTERLINE, type KernelResult, resultsOf } from "./result.js";

export interface CrcContestant extends Contestant {
  crc(bytes: Uint8Array): number;
}

const POLYNOMIAL = 0xedb88320;

/** Eight tables of 256: table k holds what a byte leaves behind when k more bytes of zero follow it. */
const tables = tablesOf(POLYNOMIAL);

function tablesOf(polynomial: number): Uint32Array {
  const all = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at++) {
    const previous = all[at - 256]!;
    all[at] = (previous >>> 8) ^ all[previous & 0xff]!;
  }
  return all;
}

export function slicingByEight(bytes: Uint8Array): number {
  const t = tables;
  let crc = -1;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}

export const crcContestants: readonly CrcContestant[] = [
  { system: INTERLINE, name: "zlib.crc32 of Node", crc: (bytes) => crc32(bytes) },
  { system: "js-slicing-by-8", name: "JavaScript, slicing by eight", crc: slicingByEight },
];

export function measureCrc(
  workload: KernelsWorkload,
  byteCount: number,
  contestants: readonly CrcContestant[] = crcContestants,
): KernelResult[] {
  const bytes = new Uint8Array(byteCount);
  for (let at = 0; at < byteCount; at++) bytes[at] = Math.imul(at, 0x9e3779b1) >>> 24;
  checkCrcAgreement(contestants, bytes);
  let sum = 0;
  const timed = contestants.map(({ crc }) => ({
    run: () => {
      sum ^= crc(bytes);
    },
    units: byteCount / 1024,
  }));
  const ns = alternate(timed, workload);
  assert(Number.isInteger(sum), "what was computed is looked at");
  return resultsOf(
    { kernel: "crc", unit: "KiB", windowKeys: byteCount, batchKeys: byteCount / 1024 },
    contestants,
    ns,
    null,
  );
}

/** Throws unless all give the same sum for the bytes and for their beginnings of every length up to 64. */
function checkCrcAgreement(contestants: readonly CrcContestant[], bytes: Uint8Array): void {
  const [first, ...others] = contestants;
  assert(first !== undefined, "there is a contestant");
  const parts = [bytes, ...Array.from({ length: 64 }, (_, length) => bytes.subarray(0, length))];
  for (const part of parts) {
    const expected = first.crc(part);
    for (const other of others) {
      assert(other.crc(part) === expected, `${other.name} and ${first.name} differ at ${part.length} bytes`);
    }
  }
}

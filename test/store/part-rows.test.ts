/** Rows that shared parts brought to the disk. The literal bytes were made from the drawings by a program that shares no code. */
import { expect, test } from "vitest";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.js";
import { addedBy, areEntriesIntact, decodeRow, encodeRow } from "../../src/store/chunk-rows.js";
import {
  entryBytesAt,
  frameBytesAt,
  passFrames,
  readReference,
  writeReference,
} from "../../src/store/frames.js";
import { composeFrame, decodePart, encodePart, numberOfPart, partKey } from "../../src/store/part-rows.js";
import { deviceKey, queueKey } from "../../src/store/schema.js";

const device = fromHex("000300112233445566778899aabbccddeeff0007") as Uint8Array;
const key = queueKey(deviceKey(device), 2 ** 32 + 9);

const reference = {
  kind: 45,
  sequence: 2 ** 32 + 9,
  part: 300,
  frameBytes: 99,
  block: Uint8Array.of(0xaa, 0xbb, 0xcc),
};
const MIDDLE = `c414000102030405060708090a0b0c0d0e0f10111213c410${"55".repeat(16)}cf0000018bcfe5687b`;
const PART_IN_RECORD = `600000000300000000000000020000002c010000000000002c31000000000000${MIDDLE}c600000003616263${"00".repeat(7)}`;

function expectBound(
  row: Uint8Array,
  rowKey: Uint8Array,
  decode: (key: Uint8Array, row: Uint8Array) => unknown,
): void {
  expect(decode(rowKey, row)).toBeDefined();
  for (let bit = 0; bit < row.length * 8; bit++) {
    const flipped = Uint8Array.from(row);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(decode(rowKey, flipped), `bit ${bit}`).toBeUndefined();
  }
  for (let bytes = 0; bytes < row.length; bytes++)
    expect(decode(rowKey, row.subarray(0, bytes))).toBeUndefined();
  expect(decode(Uint8Array.from([...rowKey.subarray(1), 1]), row)).toBeUndefined();
}

test("a reference that stands alone is the short row that the drawing shows, bound to its key", () => {
  const entry = writeReference(reference);
  const header = {
    gap: undefined,
    lastSequence: reference.sequence,
    entryCount: 1,
    storedAtMs: 1_700_000_000_123,
    firstStoredAtMs: 1_700_000_000_123,
    entriesAfter: 3,
    bytesAfter: 160,
    addedAfter: 500,
    added: reference.frameBytes - entry.length,
  };
  const row = encodeRow(key, header, [entry]);
  expect(toHex(row)).toBe("06c39305032d7b68e5cf8b01ac026303a001f403aabbcc");
  expect(decodeRow(key, row)).toEqual({ ...header, entries: entry });
  expect(areEntriesIntact(row)).toBe(true);
  expectBound(row, key, decodeRow);
});

test("a reference that stands alone takes 64 bytes with its key however large the numbers of its queue are", () => {
  const entry = writeReference({ ...reference, part: 2 ** 42, frameBytes: 98_400, block: new Uint8Array(0) });
  const header = {
    gap: undefined,
    lastSequence: reference.sequence,
    entryCount: 1,
    storedAtMs: 2 ** 41,
    firstStoredAtMs: 2 ** 41,
    entriesAfter: 100_000,
    bytesAfter: 64 << 20,
    addedAfter: 64 << 20,
    added: 98_400 - entry.length,
  };
  const row = encodeRow(key, header, [entry]);
  expect(decodeRow(key, row)).toEqual({ ...header, entries: entry });
  expect(key.length + row.length).toBeLessThanOrEqual(64);
});

test("a chunk with references is the bytes that the drawing shows, its entries sealed apart", () => {
  const entries = [
    writeReference({ ...reference, kind: 44, frameBytes: 80, block: new Uint8Array(0) }),
    writeReference({
      ...reference,
      sequence: 2 ** 32 + 10,
      part: 2 ** 33 + 1,
      frameBytes: 120,
      block: Uint8Array.of(1, 2),
    }),
  ];
  const header = {
    gap: undefined,
    lastSequence: 2 ** 32 + 10,
    entryCount: 2,
    storedAtMs: 1_700_000_000_123,
    firstStoredAtMs: 1_700_000_000_000,
    entriesAfter: 7,
    bytesAfter: 59,
    addedAfter: 154,
    added: 150,
  };
  expect(addedBy(concatBytes(entries))).toBe(150);
  const row = encodeRow(key, header, entries);
  expect(toHex(row)).toBe(
    "5d93915e010200000a0000000100000002000000385fea917b68e5cf8b01000007000000000000003b000000000000009a00000000000000" +
      "0068e5cf8b0100009600000000000000c12c0000000001000000090000002c010000000050000000" +
      "c12d00000000010000000a000200010000000200780000000102",
  );
  expect(decodeRow(key, row)).toEqual({ ...header, entries: Buffer.concat(entries) });
  const flipped = Uint8Array.from(row);
  flipped[72] = 0;
  expect(decodeRow(key, flipped)).toMatchObject(header);
  expect(areEntriesIntact(flipped)).toBe(false);
  expectBound(row.subarray(0, 72), key, decodeRow);
});

test("entries are walked whether they are frames or references", () => {
  const entries = concatBytes([
    writeReference(reference),
    writeReference({ ...reference, sequence: 2 ** 32 + 12 }),
  ]);
  expect(entryBytesAt(entries, 0)).toBe(27);
  expect(frameBytesAt(entries, 27)).toBe(99);
  expect(readReference(entries, 27)).toEqual({ ...reference, sequence: 2 ** 32 + 12 });
  expect(passFrames(entries, {})).toEqual({ at: 54, entryCount: 2, lastSequence: 2 ** 32 + 12 });
  expect(passFrames(entries.subarray(0, 53), {})).toEqual({
    at: 27,
    entryCount: 1,
    lastSequence: 2 ** 32 + 9,
  });
});

test("a part of a record becomes the row that the drawing shows, and frames are composed from it", () => {
  const inRecord = fromHex(PART_IN_RECORD) as Uint8Array;
  expect(numberOfPart(inRecord)).toBe(300);
  expect(numberOfPart(inRecord.subarray(0, 80))).toBeUndefined();
  const rowKey = partKey(300);
  const row = encodePart(rowKey, inRecord, 1_700_000_000_124);
  expect(toHex(row)).toBe(`5e1db2d12c317c68e5cf8b01${MIDDLE}c600000003616263`);
  expectBound(row, rowKey, decodePart);
  const part = decodePart(rowKey, row);
  const made = { ...reference, kind: 44, sequence: 5, frameBytes: 73, block: Uint8Array.of(7, 8) };
  expect(toHex(writeReference(made))).toBe("c12c0000000000000000050002002c0100000000490000000708");
  expect(part && toHex(composeFrame(made, part) as Uint8Array)).toBe(
    `972ccf0000000000000005${MIDDLE}c500020708c600000003616263`,
  );
  expect(part && composeFrame({ ...made, frameBytes: 74 }, part)).toBeUndefined();
  expect(part && composeFrame({ ...made, kind: 45 }, part)).toBeUndefined();
});

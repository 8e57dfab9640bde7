import { expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { fromHex, toHex } from "../../src/base/bytes.js";
import { decodeAccount, encodeAccount } from "../../src/store/account-rows.js";
import { areEntriesIntact, decodeRow, encodeRow } from "../../src/store/chunk-rows.js";
import {
  accountKey,
  addressInKey,
  brandInKey,
  brandKey,
  decodeDedup,
  decodeNumber,
  deviceKey,
  encodeDedup,
  encodeNumber,
  firstSequenceInKey,
  metaKeys,
  numberKey,
  partitionOf,
  queueEnd,
  queueKey,
  readU64,
  writeU64,
} from "../../src/store/schema.js";
import { deliverFrame, testDevice } from "../support/journal-record.js";

const device = fromHex("000300112233445566778899aabbccddeeff0007") as Uint8Array;
const LARGE = 2 ** 53 - 1;

// The literal bytes below were made from schema.ts's drawing by a program that shares no code with it.

test("the partition of an account is what it was when the first directory was written", () => {
  expect(partitionOf(device)).toBe(0x749);
  expect(partitionOf(accountOf(device))).toBe(0x749);
  expect(partitionOf(new Uint8Array(18))).toBe(0x545);
  expect(partitionOf(new Uint8Array(18).fill(255))).toBe(0xa67);
});

test("partitions are evenly taken", () => {
  const counts = new Uint32Array(4096);
  for (let account = 0; account < 409_600; account++) counts[partitionOf(testDevice(account))]!++;
  expect(Math.min(...counts)).toBeGreaterThan(50);
  expect(Math.max(...counts)).toBeLessThan(150);
});

test("keys are the bytes that the drawing shows", () => {
  expect(toHex(accountKey(accountOf(device)))).toBe("0749000300112233445566778899aabbccddeeff");
  expect(toHex(deviceKey(device))).toBe("0749000300112233445566778899aabbccddeeff0007");
  expect(toHex(queueKey(deviceKey(device), 2 ** 32 + 5))).toBe(
    "0749000300112233445566778899aabbccddeeff00070000000100000005",
  );
  expect(toHex(numberKey(LARGE))).toBe("001fffffffffffff");
  expect(toHex(brandKey(0x0102))).toBe("6272616e640102");
  expect(brandInKey(brandKey(513))).toBe(513);
  expect(brandInKey(metaKeys.ordinal)).toBeUndefined();
});

test("keys give back what they were made of", () => {
  const key = queueKey(deviceKey(device), LARGE);
  expect(addressInKey(key)).toEqual(device);
  expect(firstSequenceInKey(key)).toBe(LARGE);
  expect(Buffer.compare(key, queueEnd(deviceKey(device)))).toBe(-1);
  expect(Buffer.compare(queueEnd(deviceKey(device)), deviceKey(testDevice(1)))).not.toBe(0);
});

test("numbers up to 2^53 - 1 survive", () => {
  const bytes = new Uint8Array(8);
  for (const number of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, LARGE]) {
    writeU64(bytes, 0, number);
    expect(readU64(bytes, 0)).toBe(number);
  }
});

test("rows are the bytes that the drawing shows", () => {
  expect(toHex(encodeNumber(metaKeys.epoch, 7))).toBe("82a07ef6494c44310700000000000000");
  const key = queueKey(deviceKey(device), 9);
  const header = {
    lastSequence: 12,
    entryCount: 3,
    storedAtMs: 1_700_000_000_000,
    firstStoredAtMs: 0,
    entriesAfter: 40,
    bytesAfter: 50,
    addedAfter: 0,
    added: 0,
  };
  expect(toHex(encodeRow(key, { gap: "expired", ...header }, []))).toBe(
    "6639d179020102000c0000000000000003000000000000000068e5cf8b01000028000000000000003200000000000000",
  );
  expect(toHex(encodeDedup(numberKey(1), { timeMs: 5, keys: new Uint8Array(20).fill(1) }))).toBe(
    `df04cc4d010000000500000000000000${"01".repeat(20)}`,
  );
  expect(
    toHex(encodeAccount(accountKey(accountOf(device)), { version: 2, devices: [{ number: 7, ordinal: 9 }] })),
  ).toBe("94239b710200000001000000000000000700000009000000");
});

test("every row is bound to its key: a flipped bit or another key makes it unreadable", () => {
  const key = queueKey(deviceKey(device), 9);
  const frame = deliverFrame({ sequence: 9, payload: Uint8Array.of(1, 2, 3) });
  const header = {
    gap: undefined,
    lastSequence: 9,
    entryCount: 1,
    storedAtMs: 5,
    firstStoredAtMs: 0,
    entriesAfter: 1,
    bytesAfter: 68,
    addedAfter: 0,
    added: 0,
  };
  const rows: [Uint8Array, Uint8Array, (key: Uint8Array, row: Uint8Array) => unknown, number][] = [
    [metaKeys.epoch, encodeNumber(metaKeys.epoch, 7), decodeNumber, 16],
    [numberKey(1), encodeDedup(numberKey(1), { timeMs: 5, keys: new Uint8Array(40) }), decodeDedup, 56],
    [device, encodeAccount(device, { version: 1, devices: [{ number: 1, ordinal: 1 }] }), decodeAccount, 24],
    [key, encodeRow(key, header, [frame]), decodeRow, 48],
  ];
  for (const [rowKey, row, decode, sealedBytes] of rows) {
    expect(decode(rowKey, row)).toBeDefined();
    for (let bit = 0; bit < sealedBytes * 8; bit++) {
      const flipped = Uint8Array.from(row);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(decode(rowKey, flipped)).toBeUndefined();
    }
    for (let bytes = 0; bytes < sealedBytes; bytes++)
      expect(decode(rowKey, row.subarray(0, bytes))).toBeUndefined();
    expect(decode(Uint8Array.from([...rowKey.subarray(1), 1]), row)).toBeUndefined();
  }
});

test("a chunk's frames are sealed apart from its header", () => {
  const key = queueKey(deviceKey(device), 9);
  const frame = deliverFrame({ sequence: 9, payload: Uint8Array.of(1, 2, 3) });
  const header = {
    gap: undefined,
    lastSequence: 9,
    entryCount: 1,
    storedAtMs: 5,
    firstStoredAtMs: 0,
    entriesAfter: 1,
    bytesAfter: 68,
    addedAfter: 0,
    added: 0,
  };
  const row = encodeRow(key, header, [frame.subarray(0, 10), frame.subarray(10)]);
  expect(areEntriesIntact(row)).toBe(true);
  for (let at = 48; at < row.length; at++) {
    const flipped = Uint8Array.from(row);
    flipped[at] = (flipped[at] as number) ^ 1;
    expect(areEntriesIntact(flipped)).toBe(false);
    expect(decodeRow(key, flipped)).toEqual({ ...header, entries: flipped.subarray(48) });
  }
});

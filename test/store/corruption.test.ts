/**
 * Rows whose bits were flipped, or that are gone: found, reported once, told to
 * the device as a gap, never returned as data, and no hindrance to the rest.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { decodeAccount, encodeAccount } from "../../src/store/account-rows.js";
import {
  accountKey,
  brandKey,
  DATA_FILE,
  deviceKey,
  encodeNumber,
  queueEnd,
} from "../../src/store/schema.js";
import { checkDirectory, inspectDirectory, type Store } from "../../src/store/store.js";
import { changeJournal } from "../support/journal-file.js";
import { journalRecord, numberedRun, testDevice } from "../support/journal-record.js";
import { gapsOf, range, readAll, StoreFixture, sequencesOf } from "../support/store-fixture.js";

let fixture: StoreFixture;
const [ann, bob] = [testDevice(1), testDevice(2)];
const CHUNKS = { chunkBytesMax: 10 * 321, chunkMergeBytesMax: 100 };

beforeEach(() => {
  fixture = new StoreFixture();
});

afterEach(() => fixture.cleanUp());

async function commit(
  store: Store,
  number: number,
  ...runs: ReturnType<typeof numberedRun>[]
): Promise<void> {
  const keys = new Uint8Array(20).fill(number);
  await store.commit({
    records: [{ number, bytes: journalRecord(number, runs) }],
    dedupKeys: keys,
    timeMs: fixture.nowMs,
  }).durable;
}

/** A closed directory whose only queue is 50 entries in 5 rows. */
async function fiveChunks(): Promise<void> {
  const store = await fixture.open({ quotas: CHUNKS });
  await store.registerDevice(accountOf(ann), 1);
  await store.spill([numberedRun(ann, 1, 50)], 0);
  await store.close();
}

test.each([
  ["the first row", [0]],
  ["the last row", [4]],
  ["a row in between", [2]],
  ["the first two rows", [0, 1]],
  ["the last two rows", [3, 4]],
  ["all rows but one", [0, 1, 3, 4]],
  ["all rows", [0, 1, 2, 3, 4]],
])(
  "what a brand has queued is counted down to nothing when the header of %s is damaged",
  async (_what, rows) => {
    for (const appended of [0, 10]) {
      await fiveChunks();
      for (const row of rows) await fixture.flipBit("queues", { row, byte: 9 });
      const store = await fixture.open({ quotas: CHUNKS });
      if (appended > 0) await store.spill([numberedRun(ann, 51, appended)], 0);
      // In two steps, so that the queue is cut inside too.
      for (const floor of [23, 50 + appended]) {
        store.trim(ann, floor);
        await store.sweep(fixture.nowMs, 1_000);
      }
      expect(sequencesOf(readAll(store, ann))).toEqual([]);
      expect(store.brandQueueBytes(1)).toBe(0);
      await store.close();
      const { findings } = await checkDirectory(fixture.directory);
      expect(findings).toEqual([]);
      await fixture.cleanUp();
      fixture = new StoreFixture();
    }
  },
);

test("a brand's counter that is not what its queues hold is found by check", async () => {
  await fiveChunks();
  await fixture.tamper((_database, batch) => {
    batch.put("meta", brandKey(1), encodeNumber(brandKey(1), 50 * 321 + 1));
  });
  const { findings } = await checkDirectory(fixture.directory);
  expect(findings).toMatchObject([{ table: "meta", kind: "totals", number: 1 }]);
});

test("a block of the journal with any flipped bit is passed over and reported; its neighbours are used", async () => {
  for (const byte of [0, 5, 9, 17, 25, 29, 33, 41, 50, 64, 80, 100, 130, 150, 300, -40, -1]) {
    const store = await fixture.open();
    const base = store.epoch * 2 ** 32;
    for (const number of [1, 2, 3]) await commit(store, number, numberedRun(ann, base + number * 10, 3));
    await store.close();
    changeJournal(fixture.directory, (blocks) => {
      const [block] = blocks.filter(({ number }) => number === base + 2);
      if (block === undefined) throw new Error("the second block is not there");
      const at = byte < 0 ? block.bytes.length + byte : byte;
      block.bytes[at] = (block.bytes[at] as number) ^ 0x10;
    });
    expect((await checkDirectory(fixture.directory)).findings).toContainEqual(
      expect.objectContaining({ table: "journal", kind: "damaged", number: base + 2 }),
    );
    fixture.reports.length = 0;
    const next = await fixture.open();
    expect(fixture.reports).toContainEqual(expect.objectContaining({ table: "journal", number: base + 2 }));
    expect(next.stats().recovery).toMatchObject({ entries: 6 });
    const found = sequencesOf(readAll(next, ann)).filter(
      (sequence) => sequence >= base && sequence < base + 2 ** 32,
    );
    expect(found).toEqual([...range(base + 10, base + 12), ...range(base + 30, base + 32)]);
    await next.close();
  }
});

test.each([
  ["its magic", (block: Buffer) => block.fill(0, 4, 8)],
  ["its tag", (block: Buffer) => block.fill(0, 8, 16)],
  ["all of it", (block: Buffer) => block.fill(0)],
])("the last block of a directory that was closed is missed when %s is lost", async (_what, spoil) => {
  const store = await fixture.open();
  const base = store.epoch * 2 ** 32;
  for (const number of [1, 2, 3]) await commit(store, number, numberedRun(ann, base + number * 10, 3));
  await store.close();
  changeJournal(fixture.directory, (blocks) => {
    spoil(blocks.at(-1)?.bytes as Buffer);
  });
  const { findings } = await checkDirectory(fixture.directory);
  expect(findings).toContainEqual(
    expect.objectContaining({ table: "journal", number: base + 3, detail: "1 missing from here on" }),
  );
  await fixture.open();
  expect(fixture.reports).toMatchObject([{ table: "journal", number: base + 3 }]);
});

test("a journal that is emptied or removed is missed", async () => {
  const store = await fixture.open();
  await commit(store, 1, numberedRun(ann, 10, 3));
  await store.close();
  writeFileSync(join(fixture.directory, "journal.dat"), "");
  expect((await checkDirectory(fixture.directory)).findings).toMatchObject([{ table: "journal" }]);
  rmSync(join(fixture.directory, "journal.dat"));
  expect((await checkDirectory(fixture.directory)).findings).toMatchObject([
    { table: "journal", detail: "its file is missing" },
  ]);
  await fixture.open();
  expect(fixture.reports.length).toBeGreaterThan(0);
});

test("a roster is in the order of registration, whatever the numbers: out of that order it is found", async () => {
  const store = await fixture.open();
  for (const number of [7, 2, 5]) await store.registerDevice(accountOf(ann), number);
  await store.close();
  expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  const key = accountKey(accountOf(ann));
  await fixture.tamper((database, batch) => {
    const row = decodeAccount(key, database.get("accounts", key) as Uint8Array);
    if (row === undefined) throw new Error("the account's row is damaged");
    batch.put("accounts", key, encodeAccount(key, { ...row, devices: [...row.devices].reverse() }));
  });
  const { findings } = await checkDirectory(fixture.directory);
  expect(findings.map(({ detail }) => detail)).toEqual([
    "device 2 is out of order",
    "device 7 is out of order",
  ]);
});

test("opening and closing alone leaves no damage", async () => {
  await (await fixture.open()).close();
  await (await fixture.open()).close();
  expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  expect(fixture.reports).toEqual([]);
});

test("a block that was never written over another shows as missing", async () => {
  const store = await fixture.open();
  await commit(store, 1, numberedRun(ann, 10, 3));
  await commit(store, 2, numberedRun(ann, 20, 3));
  await commit(store, 3, numberedRun(ann, 30, 3));
  await store.close();
  changeJournal(fixture.directory, ([first, second]) => {
    if (first && second) first.bytes.copy(second.bytes);
  });
  const next = await fixture.open();
  const base = store.epoch * 2 ** 32;
  expect(fixture.reports).toMatchObject([
    { table: "journal", number: base + 2, detail: "1 missing from here on" },
  ]);
  expect(sequencesOf(readAll(next, ann))).toEqual([10, 11, 12, 30, 31, 32]);
});

test("a chunk with a flipped bit in its frames becomes a gap of exactly its entries", async () => {
  for (const row of range(0, 4)) {
    await fiveChunks();
    await fixture.flipBit("queues", { row, byte: 48 + 321 * 3 + 70 });
    const store = await fixture.open({ quotas: CHUNKS });
    const items = readAll(store, ann);
    expect(gapsOf(items)).toEqual([[row * 10 + 1, row * 10 + 10, 10, "corrupt"]]);
    expect(sequencesOf(items)).toEqual([...range(1, row * 10), ...range(row * 10 + 11, 50)]);
    readAll(store, ann);
    expect(fixture.reports.splice(0)).toMatchObject([
      { table: "queues", number: row * 10 + 1, address: ann },
    ]);
    store.trim(ann, 50);
    await store.sweep(fixture.nowMs, 100);
    expect(readAll(store, ann)).toEqual([]);
    expect(store.brandQueueBytes(1)).toBe(0);
    await store.close();
  }
});

test("a chunk with a damaged header is counted by its neighbours", async () => {
  for (const row of range(0, 4)) {
    for (const byte of [0, 4, 5, 6, 8, 16, 20, 30, 33, 41]) {
      await fiveChunks();
      await fixture.flipBit("queues", { row, byte });
      const store = await fixture.open({ quotas: CHUNKS });
      const items = readAll(store, ann);
      const isCounted = row > 0 && row < 4;
      const last = row < 4 ? row * 10 + 10 : row * 10 + 1;
      expect(gapsOf(items)).toEqual([[row * 10 + 1, last, isCounted ? 10 : 1, "corrupt"]]);
      expect(sequencesOf(items)).toEqual([...range(1, row * 10), ...range(row * 10 + 11, 50)]);
      expect(fixture.reports.splice(0).length).toBe(1);
      store.trim(ann, 50);
      await store.close();
    }
  }
});

test("a chunk that is gone shows as a gap of exactly its entries", async () => {
  await fiveChunks();
  await fixture.tamper((database, batch) => {
    const row = [...database.rows("queues")][2];
    if (row) batch.remove("queues", row.key);
  });
  const store = await fixture.open({ quotas: CHUNKS });
  expect(gapsOf(readAll(store, ann))).toEqual([[21, 30, 10, "corrupt"]]);
  expect(sequencesOf(readAll(store, ann))).toEqual([...range(1, 20), ...range(31, 50)]);
  expect(fixture.reports).toMatchObject([{ table: "queues", detail: "10 entries are missing" }]);
});

test("a gap in the place of a chunk that is gone is told once, also when its device comes back right behind it", async () => {
  await fiveChunks();
  await fixture.tamper((database, batch) => {
    const row = [...database.rows("queues")][2];
    if (row) batch.remove("queues", row.key);
  });
  const store = await fixture.open({ quotas: CHUNKS });
  const room = { bytesMax: 1 << 20, entriesMax: 100 };
  expect(gapsOf(store.readQueue(ann, 30, room))).toEqual([]);
  expect(sequencesOf(store.readQueue(ann, 30, room))).toEqual(range(31, 50));
  expect(fixture.reports).toEqual([]);
});

test("a chunk of one device under another device's key is not delivered to that one", async () => {
  await fiveChunks();
  await fixture.tamper((database, batch) => {
    const [row] = [...database.rows("queues")];
    const key = Uint8Array.from(row?.key ?? []);
    key.set(deviceKey(bob));
    if (row) batch.put("queues", key, row.value);
  });
  const store = await fixture.open({ quotas: CHUNKS });
  const items = readAll(store, bob);
  expect(sequencesOf(items)).toEqual([]);
  expect(gapsOf(items)).toEqual([[1, 1, 1, "corrupt"]]);
});

test("new entries are queued behind a damaged chunk, and quota and expiry pass over it", async () => {
  for (const byte of [17, 200]) {
    await fiveChunks();
    await fixture.flipBit("queues", { row: 4, byte });
    const store = await fixture.open({ quotas: { ...CHUNKS, queueEntriesMax: 15, retentionMs: 1_000 } });
    await store.spill([numberedRun(ann, 51, 10)], 0);
    expect(sequencesOf(readAll(store, ann))).toEqual(range(51, 60));
    fixture.nowMs += 5_000;
    await store.sweep(fixture.nowMs, 100);
    const items = readAll(store, ann);
    expect(sequencesOf(items)).toEqual([]);
    expect(items.every((item) => item.kind === "gap")).toBe(true);
    store.trim(ann, 60);
    await store.sweep(fixture.nowMs, 100);
    expect(store.brandQueueBytes(1)).toBe(0);
    await store.close();
  }
});

test("a damaged floor brings entries again rather than losing any", async () => {
  await fiveChunks();
  const first = await fixture.open({ quotas: CHUNKS });
  first.trim(ann, 25);
  await first.close();
  await fixture.flipBit("floors", { row: 0, byte: 9 });
  expect((await checkDirectory(fixture.directory)).findings).toMatchObject([
    { table: "floors", kind: "damaged" },
  ]);
  const second = await fixture.open({ quotas: CHUNKS });
  expect(sequencesOf(readAll(second, ann))).toEqual(range(21, 50));
  expect(fixture.reports).toMatchObject([{ detail: "the floor's row is damaged" }]);
});

test("a damaged row of dedup keys is passed over", async () => {
  const store = await fixture.open();
  for (const number of [1, 2, 3]) {
    await commit(store, number);
    await store.spill([], number);
  }
  await store.close();
  await fixture.flipBit("dedup", { row: 1, byte: 20 });
  const next = await fixture.open();
  expect([...next.recoveredDedupKeys()].map((keys) => keys[0])).toEqual([1, 3]);
  expect(fixture.reports).toMatchObject([{ table: "dedup", number: 2 }]);
});

test("a damaged account is reported, and its next registration has a higher version and a new ordinal", async () => {
  const store = await fixture.open();
  for (const number of [1, 2, 3]) await store.registerDevice(accountOf(ann), number);
  await store.close();
  await fixture.flipBit("accounts", { row: 0, byte: 5 });
  const next = await fixture.open();
  expect(next.readAccount(accountOf(ann))).toBeUndefined();
  expect(fixture.reports).toMatchObject([{ table: "accounts", address: accountOf(ann) }]);
  expect(await next.registerDevice(accountOf(ann), 2)).toMatchObject({
    version: 4,
    devices: [{ number: 2, ordinal: 4 }],
  });
});

test("a damaged counter of a brand is reported and counts from 0", async () => {
  await fiveChunks();
  await fixture.tamper((database, batch) => {
    for (const { key, value } of database.rows("meta")) {
      if (Buffer.from(key).toString("latin1").startsWith("brand"))
        batch.put("meta", key, value.subarray(0, 15));
    }
  });
  const store = await fixture.open({ quotas: CHUNKS });
  expect(fixture.reports).toMatchObject([{ table: "meta", number: 1 }]);
  store.trim(ann, 50);
  await store.sweep(fixture.nowMs, 100);
  expect(store.brandQueueBytes(1)).toBe(0);
});

test("a directory whose epoch or format cannot be read is refused", async () => {
  await fiveChunks();
  for (const row of [1, 2, 3]) {
    await fixture.flipBit("meta", { row, byte: 8 });
    await expect(fixture.open()).rejects.toMatchObject({ code: "directoryUnknown" });
    await fixture.flipBit("meta", { row, byte: 8 });
  }
  await (await fixture.open()).close();
  await fixture.tamper((database, batch) => {
    for (const { key } of database.rows("meta")) batch.remove("meta", key);
  });
  await expect(fixture.open()).rejects.toMatchObject({ code: "directoryUnknown" });
});

test("the end of a queue's keys is below every key of another device", () => {
  const keys = range(1, 200).map((account) => deviceKey(testDevice(account, 0xffff)));
  for (const key of keys) {
    for (const other of keys) {
      if (Buffer.compare(key, other) < 0) expect(Buffer.compare(queueEnd(key), other)).toBe(-1);
    }
  }
});

test("pages that LMDB cannot read are said to be damaged, by a node and by who only looks", async () => {
  const store = await fixture.open();
  await store.registerDevice(accountOf(ann), 1);
  await store.close();
  const path = join(fixture.directory, DATA_FILE);
  const bytes = readFileSync(path);
  // Every page is of a kind that there is not.
  for (let at = 2 * 4096; at < bytes.length; at += 4) bytes.writeUInt32LE(0x7b1c0de5, at);
  writeFileSync(path, bytes);
  const damaged = { code: "directoryDamaged", message: expect.stringContaining("restore a copy") };
  await expect(checkDirectory(fixture.directory)).rejects.toMatchObject(damaged);
  expect(() => inspectDirectory(fixture.directory)).toThrow(expect.objectContaining(damaged));
  await expect(fixture.open()).rejects.toMatchObject(damaged);
});

test("an emptied database beside a journal that was written is not taken for a new one", async () => {
  const store = await fixture.open();
  await commit(store, 1, numberedRun(ann, store.epoch * 2 ** 32 + 1, 1));
  await store.close();
  const path = join(fixture.directory, DATA_FILE);
  writeFileSync(path, "");
  const empty = { code: "directoryDamaged", message: expect.stringContaining("is empty") };
  await expect(fixture.open()).rejects.toMatchObject(empty);
  await expect(checkDirectory(fixture.directory)).rejects.toMatchObject(empty);
  // A start that was killed before LMDB had written anything.
  writeFileSync(join(fixture.directory, "journal.dat"), "");
  await expect(checkDirectory(fixture.directory)).rejects.toMatchObject(empty);
  await (await fixture.open()).close();
});

import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import { limits } from "../../src/rules/limits.js";
import { encodeNumber, FORMAT_VERSION, metaKeys } from "../../src/store/schema.js";
import { checkDirectory, inspectDirectory, openStore, type Store } from "../../src/store/store.js";
import {
  journalRecord,
  numberedRun,
  referenceRun,
  testDevice,
  testPart,
  testPayload,
  testRun,
} from "../support/journal-record.js";
import { gapsOf, range, readAll, StoreFixture, sequencesOf } from "../support/store-fixture.js";

let fixture: StoreFixture;
const [ann, bob, eve] = [testDevice(1), testDevice(2), testDevice(3)];
const noKeys = new Uint8Array();

beforeEach(() => {
  fixture = new StoreFixture();
});

afterEach(() => fixture.cleanUp());

function inspectRows(directory: string): unknown {
  const inspector = inspectDirectory(directory);
  const { rows } = inspector.overview();
  void inspector.close();
  return rows;
}

function commitRuns(
  store: Store,
  number: number,
  ...parts: Parameters<typeof journalRecord> extends [number, ...infer R] ? R : never
): Promise<void> {
  const bytes = journalRecord(number, ...parts);
  return store.commit({ records: [{ number, bytes }], dedupKeys: noKeys, timeMs: fixture.nowMs }).durable;
}

test("what a commit holds is queued for its devices after the next open, in order", async () => {
  const first = await fixture.open();
  const base = first.epoch * 2 ** 32;
  await commitRuns(first, 1, [numberedRun(ann, base + 1, 3), numberedRun(bob, base + 1, 2)]);
  await commitRuns(first, 2, [numberedRun(ann, base + 4, 2)]);
  await first.close();

  const second = await fixture.open();
  expect(second.epoch).toBe(first.epoch + 1);
  expect(sequencesOf(readAll(second, ann))).toEqual(range(base + 1, base + 5));
  expect(sequencesOf(readAll(second, bob))).toEqual(range(base + 1, base + 2));
  expect(second.hasQueued(eve)).toBe(false);
  expect(second.stats()).toMatchObject({
    journalBlocks: 0,
    recovery: { blocks: 2, badBlocks: 0, entries: 7 },
  });
  expect(fixture.reports).toEqual([]);
});

test("a commit can be asked whether it is on disk, and waited for", async () => {
  const store = await fixture.open();
  const bytes = journalRecord(1, [numberedRun(ann, 1, 1)]);
  const commit = store.commit({ records: [{ number: 1, bytes }], dedupKeys: noKeys, timeMs: 1 });
  expect(commit.isDurable(5_000)).toBe(true);
  await commit.durable;
});

test("records may lie in a WebAssembly memory, two to a commit", async () => {
  const memory = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16 }).buffer);
  const views = [1, 2].map((number) => {
    const bytes = journalRecord(number, [numberedRun(ann, number * 100, 50, 1_000)]);
    memory.set(bytes, number * 100_000);
    return { number, bytes: memory.subarray(number * 100_000, number * 100_000 + bytes.length) };
  });
  const store = await fixture.open();
  await store.commit({ records: views, dedupKeys: noKeys, timeMs: 1 }).durable;
  memory.fill(0xee);
  await store.close();
  expect(sequencesOf(readAll(await fixture.open(), ann))).toEqual([...range(100, 149), ...range(200, 249)]);
  expect(fixture.reports).toEqual([]);
});

test("acks in the journal keep their entries from coming back", async () => {
  const first = await fixture.open();
  await commitRuns(first, 1, [numberedRun(ann, 1, 10), numberedRun(bob, 1, 4)]);
  await commitRuns(
    first,
    2,
    [numberedRun(ann, 11, 2)],
    [
      { device: ann, floor: 7 },
      { device: bob, floor: 4 },
    ],
  );
  await first.close();
  const second = await fixture.open();
  expect(sequencesOf(readAll(second, ann))).toEqual(range(8, 12));
  expect(second.hasQueued(bob)).toBe(false);
});

test("acks in the journal reach entries that an earlier run had queued", async () => {
  const first = await fixture.open();
  await first.spill([numberedRun(ann, 1, 300)], 0);
  await commitRuns(first, 1, [], [{ device: ann, floor: 250 }]);
  await first.close();
  expect(sequencesOf(readAll(await fixture.open(), ann))).toEqual(range(251, 300));
});

test("a spill that was cut off before it removed the journal is not repeated", async () => {
  const first = await fixture.open();
  await commitRuns(first, 1, [numberedRun(ann, 1, 10), numberedRun(bob, 1, 4)]);
  await commitRuns(first, 2, [numberedRun(ann, 11, 5)]);
  await first.spill([numberedRun(ann, 1, 12)], 0);
  await first.close();
  const second = await fixture.open();
  expect(sequencesOf(readAll(second, ann))).toEqual(range(1, 15));
  expect(sequencesOf(readAll(second, bob))).toEqual(range(1, 4));
});

test("a spill removes the journal's records up to the one named, and no other", async () => {
  const store = await fixture.open();
  for (const number of [1, 2, 3]) await commitRuns(store, number, [numberedRun(ann, number, 1)]);
  await store.spill([numberedRun(ann, 1, 1), numberedRun(ann, 2, 1)], 2);
  expect(store.stats().journalBlocks).toBe(1);
  await store.close();
  expect(sequencesOf(readAll(await fixture.open(), ann))).toEqual([1, 2, 3]);
});

test("small spills grow the last chunk, so that a trickle does not become a row per entry", async () => {
  const store = await fixture.open();
  for (let sequence = 1; sequence <= 100; sequence++)
    await store.spill([numberedRun(ann, sequence, 1, 100)], 0);
  const items = readAll(store, ann);
  expect(sequencesOf(items)).toEqual(range(1, 100));
  expect(items.length).toBeLessThan(4);
});

test("a run larger than a chunk is cut between entries, and an entry larger than a chunk is one", async () => {
  const store = await fixture.open({ quotas: { chunkBytesMax: 1_000, chunkMergeBytesMax: 100 } });
  const payloads = [300, 300, 5_000, 10, 800];
  const run = testRun(
    ann,
    payloads.map((bytes, i) => ({ sequence: i + 1, payload: testPayload(i + 1, bytes) })),
  );
  await store.spill([run], 0);
  const items = readAll(store, ann);
  expect(items.map((item) => item.entryCount)).toEqual([2, 1, 2]);
  expect(
    Buffer.concat(items.map((item) => (item.kind === "entries" ? item.frames : noKeys))).equals(run.frames),
  ).toBe(true);
});

test("reading goes on after any sequence, in portions of any size", async () => {
  const store = await fixture.open({ quotas: { chunkBytesMax: 2_000, chunkMergeBytesMax: 100 } });
  await store.spill([numberedRun(ann, 1, 40, 200)], 0);
  for (const bytesMax of [1, 264, 265, 530, 3_000, 100_000]) {
    for (const after of [0, 1, 6, 7, 8, 39]) {
      const sequences: number[] = [];
      for (let at = after; at < 40; at = sequences.at(-1) as number) {
        const items = store.readQueue(ann, at, { bytesMax, entriesMax: 1_000 });
        const bytes = items.reduce(
          (sum, item) => sum + (item.kind === "entries" ? item.frames.length : 0),
          0,
        );
        expect(bytes <= Math.max(bytesMax, 265)).toBe(true);
        sequences.push(...sequencesOf(items));
      }
      expect(sequences).toEqual(range(after + 1, 40));
    }
  }
  expect(store.readQueue(ann, 40, { bytesMax: 100, entriesMax: 1_000 })).toEqual([]);
});

test("a read that leaves room for one more entry of any size was the last one", async () => {
  const store = await fixture.open({ quotas: { chunkBytesMax: 2_000, chunkMergeBytesMax: 100 } });
  const [payload, block, entryBytesMax] = [testPayload(1, 400), testPayload(2, 30), 68 + 400 + 30];
  await store.spill([numberedRun(ann, 1, 20, 200)], 0);
  const shared = [21, 22, 23].map((sequence) =>
    referenceRun(ann, sequence, { number: 5, payloadBytes: payload.length, block }),
  );
  for (const run of shared) await store.spill([run], 0, () => testPart(5, payload));
  await store.spill([numberedRun(ann, 24, 20, 200)], 0);
  const lasts = new Set<boolean>();
  for (const bytesMax of [500, 1_000, 2_000, 3_500, 7_000, 12_000]) {
    for (const entriesMax of [1, 8, 20, 21, 24, 50]) {
      for (const after of [0, 1, 19, 20, 22, 30, 42]) {
        const items = store.readQueue(ann, after, { bytesMax, entriesMax });
        const entries = items.reduce((sum, { entryCount }) => sum + entryCount, 0);
        const bytes = items.reduce(
          (sum, item) => sum + (item.kind === "entries" ? item.frames.length : 0),
          0,
        );
        const isLast = entries < entriesMax && bytesMax - bytes > entryBytesMax;
        lasts.add(isLast);
        if (isLast) expect(items.at(-1)?.lastSequence, `${after} ${bytesMax} ${entriesMax}`).toBe(43);
      }
    }
  }
  expect([...lasts].sort()).toEqual([false, true]);
});

test("bytes read from a queue belong to the caller", async () => {
  const store = await fixture.open();
  await store.spill([numberedRun(ann, 1, 3)], 0);
  const [item] = readAll(store, ann);
  if (item?.kind === "entries") item.frames.fill(0);
  expect(sequencesOf(readAll(store, ann))).toEqual([1, 2, 3]);
});

test("an ack counts at once for readers and is durable after the next sweep", async () => {
  const first = await fixture.open();
  await first.spill([numberedRun(ann, 1, 10), numberedRun(bob, 1, 10)], 0);
  first.trim(ann, 4);
  first.trim(ann, 6);
  first.trim(ann, 5);
  first.trim(bob, 10);
  expect([first.floor(ann), first.floor(bob), first.floor(eve)]).toEqual([6, 10, 0]);
  expect(sequencesOf(readAll(first, ann))).toEqual(range(7, 10));
  expect(first.hasQueued(bob)).toBe(false);
  await first.sweep(fixture.nowMs, 100);
  await first.close();
  const second = await fixture.open();
  expect(second.floor(ann)).toBe(6);
  expect(sequencesOf(readAll(second, ann))).toEqual(range(7, 10));
  expect(readAll(second, bob)).toEqual([]);
  expect(second.brandQueueBytes(1)).toBe(10 * 321);
});

test("a late, lower ack takes nothing back", async () => {
  const first = await fixture.open();
  await first.spill([numberedRun(ann, 1, 10)], 0);
  for (const floor of [6, 4]) {
    first.trim(ann, floor);
    await first.sweep(fixture.nowMs, 100);
    expect(sequencesOf(readAll(first, ann))).toEqual(range(7, 10));
  }
  await first.close();
  expect((await fixture.open()).floor(ann)).toBe(6);
});

test("closing makes pending acks durable", async () => {
  const first = await fixture.open();
  await first.spill([numberedRun(ann, 1, 10)], 0);
  first.trim(ann, 9);
  await first.close();
  expect((await fixture.open()).floor(ann)).toBe(9);
});

test("an ack that overtakes the spill of its entries is not forgotten", async () => {
  const store = await fixture.open();
  const sweeps = [store.sweep(fixture.nowMs, 100), store.sweep(fixture.nowMs, 100)];
  const spill = store.spill([numberedRun(ann, 1, 5)], 0);
  store.trim(ann, 3);
  await Promise.all([...sweeps, spill]);
  await store.close();
  expect(sequencesOf(readAll(await fixture.open(), ann))).toEqual([4, 5]);
});

test("a spill leaves out what was acked before it", async () => {
  const store = await fixture.open();
  await store.spill(
    [
      { ...numberedRun(ann, 1, 5), ackedThrough: 3 },
      { ...numberedRun(bob, 1, 5), ackedThrough: 5 },
    ],
    0,
  );
  expect(sequencesOf(readAll(store, ann))).toEqual([4, 5]);
  expect(store.hasQueued(bob)).toBe(false);
});

test("beyond its quota of entries a queue loses the oldest to a gap that counts them", async () => {
  const store = await fixture.open({ quotas: { queueEntriesMax: 100, chunkBytesMax: 10_000 } });
  for (let i = 0; i < 5; i++) await store.spill([numberedRun(ann, 1 + i * 30, 30)], 0);
  const items = readAll(store, ann);
  expect(gapsOf(items)).toEqual([[1, 60, 60, "quota"]]);
  expect(sequencesOf(items)).toEqual(range(61, 150));
  expect(store.stats().quotaEntries).toBe(60);
});

test("beyond its quota of bytes too; one row over the quota is cut to it", async () => {
  const store = await fixture.open({ quotas: { queueBytesMax: 10 * 321, chunkBytesMax: 64_000 } });
  await store.spill([numberedRun(ann, 1, 25)], 0);
  const items = readAll(store, ann);
  expect(gapsOf(items)).toEqual([[1, 15, 15, "quota"]]);
  expect(sequencesOf(items)).toEqual(range(16, 25));
  expect(store.brandQueueBytes(1)).toBe(10 * 321);
});

test("entries older than the retention become a gap, next to but not merged with one for another reason", async () => {
  const store = await fixture.open({
    quotas: { retentionMs: 1_000, queueEntriesMax: 30, chunkBytesMax: 3_500, chunkMergeBytesMax: 100 },
  });
  await store.spill([numberedRun(ann, 1, 40)], 0);
  fixture.nowMs += 600;
  await store.spill([numberedRun(ann, 41, 5), numberedRun(bob, 1, 5)], 0);
  fixture.nowMs += 600;
  const result = await store.sweep(fixture.nowMs, 1_000);
  expect(result).toMatchObject({ visitedDevices: 2, isRoundComplete: true });
  const gaps = gapsOf(readAll(store, ann));
  expect(gaps.map((gap) => gap[3])).toEqual(["quota", "expired"]);
  expect(gaps.reduce((sum, gap) => sum + (gap[2] as number), 0)).toBe(40);
  expect(result.expiredEntries).toBe(gaps[1]?.[2]);
  expect(sequencesOf(readAll(store, ann))).toEqual(range(41, 45));
  expect(sequencesOf(readAll(store, bob))).toEqual(range(1, 5));
});

test("a sweep keeps to its budget and goes on where it stopped", async () => {
  const store = await fixture.open({ quotas: { retentionMs: 1_000 } });
  await store.spill(
    range(1, 30).map((account) => numberedRun(testDevice(account), 1, 2)),
    0,
  );
  fixture.nowMs += 2_000;
  let expired = 0;
  let rounds = 0;
  for (let isComplete = false; !isComplete; rounds++) {
    const result = await store.sweep(fixture.nowMs, 9);
    expect(result.visitedDevices).toBeLessThanOrEqual(9);
    expired += result.expiredEntries;
    isComplete = result.isRoundComplete;
  }
  expect(expired).toBe(60);
  expect(rounds).toBeGreaterThan(3);
});

test("queues are looked at again only when a round has rested, whatever the clock does, and acks are applied meanwhile", async () => {
  const store = await fixture.open({ quotas: { retentionMs: 1_000_000, sweepRoundMs: 60_000 } });
  await store.spill([numberedRun(ann, 1, 2), numberedRun(bob, 1, 2)], 0);
  const visitedAfter = async (passMs: number): Promise<number> => {
    fixture.nowMs += passMs;
    return (await store.sweep(fixture.nowMs, 100)).visitedDevices;
  };
  expect(await visitedAfter(0)).toBe(2);
  expect(await visitedAfter(59_000)).toBe(0);
  store.trim(ann, 2);
  expect(await store.sweep(fixture.nowMs, 100)).toMatchObject({ trimmedRows: 1, isRoundComplete: true });
  expect(await visitedAfter(1_000)).toBe(1);
  expect(await visitedAfter(-60_000)).toBe(1);
  expect(await visitedAfter(-59_000)).toBe(0);
});

test("an acked gap goes with its ack", async () => {
  const store = await fixture.open({ quotas: { queueEntriesMax: 10, chunkBytesMax: 1_000 } });
  await store.spill([numberedRun(ann, 1, 30)], 0);
  const [gap] = gapsOf(readAll(store, ann));
  store.trim(ann, gap?.[1] as number);
  await store.sweep(fixture.nowMs, 100);
  expect(gapsOf(readAll(store, ann))).toEqual([]);
  expect(sequencesOf(readAll(store, ann)).length).toBeGreaterThan(0);
});

test("brands are counted apart, and accounts of the same id in two brands are two", async () => {
  const twin = testDevice(1, 1, 2);
  const store = await fixture.open();
  await store.spill([numberedRun(ann, 1, 2), numberedRun(twin, 1, 3)], 0);
  expect([store.brandQueueBytes(1), store.brandQueueBytes(2), store.brandQueueBytes(3)]).toEqual([
    642, 963, 0,
  ]);
  store.trim(ann, 2);
  await store.sweep(fixture.nowMs, 10);
  expect([store.brandQueueBytes(1), store.brandQueueBytes(2)]).toEqual([0, 963]);
  await store.close();
  expect((await fixture.open()).brandQueueBytes(2)).toBe(963);
});

function keysOf(count: number, fill: number): Uint8Array {
  return new Uint8Array(20 * count).fill(fill);
}

test("dedup keys of the window come back oldest first, whatever the time is by then; surplus ones do not", async () => {
  const quotas = { dedupWindowMs: 1_000, dedupWindowCount: 10 };
  const first = await fixture.open({ quotas });
  for (const [i, count] of [3, 4, 5, 4].entries()) {
    fixture.nowMs += 300;
    const bytes = journalRecord(i + 1, []);
    await first.commit({
      records: [{ number: i + 1, bytes }],
      dedupKeys: keysOf(count, i),
      timeMs: fixture.nowMs,
    }).durable;
    await first.spill([], i + 1);
  }
  await first.close();
  fixture.nowMs += 3_600_000;
  fixture.aheadMs -= 7_200_000;
  const second = await fixture.open({ quotas });
  expect([...second.recoveredDedupKeys()].map((keys) => [keys[0], keys.length / 20])).toEqual([
    [1, 4],
    [2, 5],
    [3, 4],
  ]);
  fixture.nowMs += 1_000;
  await second.sweep(fixture.nowMs, 100);
  expect(second.stats().dedupKeys).toBe(13);
  fixture.nowMs += 1;
  await second.sweep(fixture.nowMs, 100);
  expect(second.stats().dedupKeys).toBe(0);
});

test("a row of dedup keys counts until more newer keys than the window's count exist", async () => {
  const commit = async (store: Store, number: number): Promise<void> => {
    const bytes = journalRecord(number, []);
    await store.commit({
      records: [{ number, bytes }],
      dedupKeys: keysOf(2, number),
      timeMs: fixture.nowMs,
    }).durable;
    await store.spill([], number);
  };
  const first = await fixture.open({ quotas: { dedupWindowCount: 4 } });
  for (const number of [1, 2, 3]) await commit(first, number);
  expect(first.stats().dedupKeys).toBe(6);
  await commit(first, 4);
  expect(first.stats().dedupKeys).toBe(6);
  await first.close();
  const second = await fixture.open({ quotas: { dedupWindowCount: 3 } });
  expect([...second.recoveredDedupKeys()].map((keys) => keys[0])).toEqual([3, 4]);
});

test("dedup rows outside the window are removed, some with each spill and the rest with a sweep", async () => {
  const store = await fixture.open({ quotas: { dedupWindowMs: 1_000 } });
  const commit = async (number: number): Promise<void> => {
    await store.commit({
      records: [{ number, bytes: journalRecord(number, []) }],
      dedupKeys: keysOf(1, 1),
      timeMs: fixture.nowMs,
    }).durable;
    await store.spill([], number);
  };
  for (const number of range(1, 80)) await commit(number);
  fixture.nowMs += 2_000;
  await commit(81);
  expect(store.stats().dedupRows).toBe(81 - limits.dedupRowsPerSpill);
  await store.sweep(fixture.nowMs, 100);
  expect(store.stats()).toMatchObject({ dedupRows: 1, dedupKeys: 1 });
});

test("registering gives each device its own ordinal and raises the version, also when many register at once", async () => {
  const first = await fixture.open();
  const records = await Promise.all(
    [1, 2, 1, 3].map((number) => first.registerDevice(accountOf(ann), number)),
  );
  const other = await first.registerDevice(accountOf(bob), 1);
  const last = first.readAccount(accountOf(ann));
  expect(last?.devices.map((device) => device.number)).toEqual([1, 2, 3]);
  expect(last?.version).toBe(3);
  expect(records.at(-1)).toEqual(last);
  const ordinals = [...(last?.devices ?? []), ...other.devices].map((device) => device.ordinal);
  expect(new Set(ordinals).size).toBe(4);
  expect(first.readAccount(accountOf(eve))).toBeUndefined();
  await first.close();
  const second = await fixture.open();
  expect(second.readAccount(accountOf(ann))).toEqual(last);
  const next = await second.registerDevice(accountOf(eve), 9);
  expect(ordinals).not.toContain(next.devices[0]?.ordinal);
});

test("an account takes no more devices than it may have", async () => {
  const store = await fixture.open();
  const numbers = range(1, limits.devicesPerAccountMax + 1);
  const results = await Promise.allSettled(
    numbers.map((number) => store.registerDevice(accountOf(ann), number)),
  );
  expect(
    results.filter((result) => result.status === "rejected").map((result) => result.reason.code),
  ).toEqual(["tooManyDevices"]);
  expect(store.readAccount(accountOf(ann))?.devices.length).toBe(limits.devicesPerAccountMax);
  await expect(store.registerDevice(accountOf(ann), 1)).resolves.toMatchObject({
    version: limits.devicesPerAccountMax,
  });
});

test("a directory is open in one store at a time", async () => {
  const first = await fixture.open();
  await expect(fixture.open()).rejects.toMatchObject({
    code: "directoryInUse",
    fatal: true,
    message: expect.stringContaining(`process ${process.pid}`),
  });
  expect(first.hasQueued(ann)).toBe(false);
  await first.close();
  expect((await fixture.open()).epoch).toBe(2);
});

test("a directory of another format version is refused, saying which, and left as it is", async () => {
  await (await fixture.open()).close();
  await fixture.tamper((_, batch) => batch.put("meta", metaKeys.format, encodeNumber(metaKeys.format, 9)));
  const refusal = { code: "directoryUnknown", message: expect.stringMatching(/version 9.*versions 2 to 3/) };
  await expect(fixture.open()).rejects.toMatchObject(refusal);
  await expect(fixture.open()).rejects.toMatchObject(refusal);
  await fixture.tamper((_, batch) =>
    batch.put("meta", metaKeys.format, encodeNumber(metaKeys.format, FORMAT_VERSION)),
  );
  expect((await fixture.open()).epoch).toBe(2);
});

test("a directory of version 2 is read as it is, and becomes one of version 3 when it is opened", async () => {
  const first = await fixture.open();
  await first.registerDevice(accountOf(ann), 1);
  await commitRuns(first, 1, [numberedRun(ann, 1, 3)]);
  await first.close();
  await fixture.tamper((_, batch) => batch.put("meta", metaKeys.format, encodeNumber(metaKeys.format, 2)));
  await fixture.dropTable("outbox");
  await fixture.dropTable("push");
  expect(await checkDirectory(fixture.directory)).toMatchObject({ ok: true, formatVersion: 2 });
  expect(inspectRows(fixture.directory)).toMatchObject({ accounts: 1, outbox: 0, push: 0 });

  const second = await fixture.open();
  expect(sequencesOf(readAll(second, ann))).toEqual([1, 2, 3]);
  await second.registerDevice(accountOf(ann), 2);
  expect(second.notices(0, 10)).toMatchObject([{ recipients: [{ devices: [1] }] }]);
  await second.close();
  expect(await checkDirectory(fixture.directory)).toMatchObject({
    ok: true,
    formatVersion: 3,
    outbox: { notices: 1 },
  });
});

test("a file that is no LMDB file is refused and left as it is", async () => {
  mkdirSync(fixture.directory, { recursive: true });
  writeFileSync(join(fixture.directory, "store.mdb"), Buffer.alloc(20_000, 7));
  await expect(fixture.open()).rejects.toMatchObject({ code: "directoryDamaged" });
  await expect(fixture.open()).rejects.toMatchObject({ code: "directoryDamaged" });
});

test("a file that was cut short is refused and left as it is", async () => {
  const first = await fixture.open();
  await first.spill([numberedRun(ann, 1, 2_000)], 0);
  await first.close();
  const path = join(fixture.directory, "store.mdb");
  const whole = readFileSync(path);
  for (const bytes of [50, 5_000, whole.length >> 1, whole.length - 1]) {
    truncateSync(path, bytes);
    await expect(fixture.open()).rejects.toMatchObject({
      code: "directoryDamaged",
      message: expect.stringMatching(/cut|bytes/),
    });
    writeFileSync(path, whole);
  }
  expect(sequencesOf(readAll(await fixture.open(), ann))).toEqual(range(1, 2_000));
});

test("a file whose last pages were never written is made up and opened", async () => {
  await (await fixture.open()).close();
  const path = join(fixture.directory, "store.mdb");
  const bytes = statSync(path).size;
  // What LMDB leaves when a transaction takes pages at the end and gives them back: both metas count one page more.
  const file = readFileSync(path);
  for (const meta of [0, 4_096]) file.writeUInt32LE(bytes / 4_096, meta + 144);
  writeFileSync(path, file);
  await (await fixture.open()).close();
  expect(statSync(path).size).toBe(bytes + 4_096);
});

test("a file that has lost pages is told of by whoever looks into it, and kills nobody", async () => {
  const first = await fixture.open();
  await first.spill([numberedRun(ann, 1, 2_000)], 0);
  await first.close();
  const path = join(fixture.directory, "store.mdb");
  const whole = readFileSync(path);
  let damaged = 0;
  for (let pages = 1; pages <= 12; pages++) {
    truncateSync(path, whole.length - pages * 4_096);
    const { ok } = await checkDirectory(fixture.directory).catch(({ code }) => ({
      ok: code !== "directoryDamaged",
    }));
    if (!ok) damaged++;
    writeFileSync(path, whole);
  }
  expect(damaged).toBeGreaterThan(0);
});

test("after close every call is refused", async () => {
  const store = await fixture.open();
  await store.close();
  await store.close();
  const closed = { code: "storageFailed", message: expect.stringContaining("closed") };
  await expect(commitRuns(store, 1, [])).rejects.toMatchObject(closed);
  await expect(store.spill([], 1)).rejects.toMatchObject(closed);
  await expect(store.sweep(1, 1)).rejects.toMatchObject(closed);
  await expect(store.registerDevice(accountOf(ann), 1)).rejects.toMatchObject(closed);
  expect(() => store.hasQueued(ann)).toThrow("closed");
  expect(() => store.readAccount(accountOf(ann))).toThrow("closed");
});

test("an open makes its directory, readable by its owner alone", async () => {
  const directory = join(fixture.directory, "deep", "down");
  const store = await openStore({ directory, clock: systemClock });
  expect(store.epoch).toBe(1);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "store.mdb")).mode & 0o777).toBe(0o600);
  await store.close();
});

test("work that is pending when the store is closed is done first", async () => {
  const first = await fixture.open();
  const commit = commitRuns(first, 1, [numberedRun(ann, 1, 2)]);
  const spill = first.spill([numberedRun(bob, 1, 3)], 0);
  const device = first.registerDevice(accountOf(eve), 1);
  await first.close();
  await Promise.all([commit, spill, device]);
  const second = await fixture.open();
  expect(sequencesOf(readAll(second, ann))).toEqual([1, 2]);
  expect(sequencesOf(readAll(second, bob))).toEqual([1, 2, 3]);
  expect(second.readAccount(accountOf(eve))?.version).toBe(1);
});

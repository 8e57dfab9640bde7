import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { currentOwner } from "../../src/store/lock.js";
import { deviceKey, encodeNumber } from "../../src/store/schema.js";
import { checkDirectory, inspectDirectory, type Store } from "../../src/store/store.js";
import { compiledProgram } from "../support/compiled.js";
import { journalRecord, numberedRun, testDevice } from "../support/journal-record.js";
import { range, readAll, StoreFixture, sequencesOf } from "../support/store-fixture.js";

let fixture: StoreFixture;
const [ann, bob, eve] = [testDevice(1), testDevice(2), testDevice(3, 7, 2)];

beforeEach(() => {
  fixture = new StoreFixture();
});

afterEach(() => fixture.cleanUp());

/** Three registered devices, two queues, one journal record, one dedup row. */
async function filledStore(): Promise<Store> {
  const store = await fixture.open({
    quotas: { queueEntriesMax: 20, chunkBytesMax: 3_500, chunkMergeBytesMax: 100 },
  });
  await store.registerDevice(accountOf(ann), 1);
  await store.registerDevice(accountOf(bob), 1);
  await store.registerDevice(accountOf(eve), 7);
  await store.spill([numberedRun(ann, 1, 30), numberedRun(eve, 1, 4)], 0);
  store.trim(ann, 13);
  await store.sweep(fixture.nowMs, 100);
  const keys = new Uint8Array(40);
  keys[0] = keys[20] = 1;
  const bytes = journalRecord(1, [numberedRun(bob, 5, 2)], [{ device: ann, floor: 13 }]);
  await store.commit({ records: [{ number: 1, bytes }], dedupKeys: keys, timeMs: fixture.nowMs }).durable;
  return store;
}

function expectFilled(inspector: ReturnType<typeof inspectDirectory>): void {
  const queues = inspector.queues().items;
  expect(queues.length).toBe(2);
  expect(queues.find((queue) => Buffer.compare(queue.device, ann) === 0)).toMatchObject({
    entries: 17,
    gapEntries: 0,
    firstSequence: 11,
    lastSequence: 30,
    floor: 13,
    bytes: 20 * 321,
  });
  expect(inspector.journal().items).toMatchObject([
    { number: 2 ** 32 + 1, runs: 1, entries: 2, acks: 1, problem: undefined },
  ]);
  expect(inspector.accounts().items.length).toBe(3);
  expect(inspector.device(eve)).toMatchObject({
    ordinal: 3,
    queue: { entries: 4 },
    rows: { items: [{ kind: "entries", isIntact: true }] },
  });
  expect(inspector.device(testDevice(99))).toMatchObject({
    ordinal: undefined,
    queue: undefined,
    rows: { items: [] },
  });
}

test("a closed directory shows its queues, journal, accounts and devices", async () => {
  await (await filledStore()).close();
  const inspector = inspectDirectory(fixture.directory);
  expect(inspector.overview()).toMatchObject({
    formatVersion: 3,
    epoch: 1,
    nextOrdinal: 4,
    ownerPid: undefined,
    rows: { journal: 1, dedup: 0, accounts: 3 },
    brands: [
      { brand: 1, queuedBytes: 20 * 321 },
      { brand: 2, queuedBytes: 4 * 321 },
    ],
  });
  expectFilled(inspector);
  await inspector.close();
});

test("a live directory can be inspected from its own process, and the store goes on", async () => {
  const store = await filledStore();
  const inspector = inspectDirectory(fixture.directory);
  expect(inspector.overview().ownerPid).toBe(process.pid);
  expectFilled(inspector);
  await store.spill([numberedRun(bob, 10, 3)], 0);
  expect(inspector.queues().items.length).toBe(3);
  await inspector.close();
  await store.spill([numberedRun(bob, 20, 3)], 0);
  expect(sequencesOf(readAll(store, bob))).toEqual([10, 11, 12, 20, 21, 22]);
  expect(currentOwner(fixture.directory)?.pid).toBe(process.pid);
  expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
});

test("a live directory can be inspected and checked from another process without a trace", async () => {
  const store = await filledStore();
  const before = readdirSync(fixture.directory).sort();
  const child = spawnSync(process.execPath, [compiledProgram("inspect-child"), fixture.directory], {
    encoding: "utf8",
  });
  expect(child.stderr).toBe("");
  expect(JSON.parse(child.stdout)).toEqual({ ownerPid: process.pid, queues: 2, ok: true, findings: [] });
  expect(readdirSync(fixture.directory).sort()).toEqual(before);
  await store.spill([numberedRun(bob, 10, 3)], 0);
  expect(sequencesOf(readAll(store, bob))).toEqual([10, 11, 12]);
});

test("pages have at most as many items as asked for, and together show each once", async () => {
  const store = await fixture.open({ quotas: { chunkBytesMax: 1_000, chunkMergeBytesMax: 100 } });
  const devices = range(1, 25).map((account) => testDevice(account));
  for (const device of devices) await store.registerDevice(accountOf(device), 1);
  await store.spill(
    devices.map((device) => numberedRun(device, 1, 9)),
    0,
  );
  for (const number of range(1, 7)) {
    await store.commit({
      records: [{ number, bytes: journalRecord(number, []) }],
      dedupKeys: new Uint8Array(),
      timeMs: 1,
    }).durable;
  }
  const inspector = inspectDirectory(fixture.directory);
  for (const [read, total] of [
    [(cursor?: string) => inspector.queues({ limit: 4, cursor }), 25],
    [(cursor?: string) => inspector.accounts({ limit: 4, cursor }), 25],
    [(cursor?: string) => inspector.journal({ limit: 4, cursor }), 7],
    [(cursor?: string) => inspector.device(ann, { limit: 1, cursor }).rows, 3],
  ] as const) {
    const seen = new Set<string>();
    let page = read();
    for (;;) {
      expect(page.items.length).toBeLessThanOrEqual(4);
      for (const item of page.items) seen.add(JSON.stringify(item));
      if (page.cursor === undefined) break;
      page = read(page.cursor);
    }
    expect(seen.size).toBe(total);
  }
  await inspector.close();
});

test("where there is no data of this format, inspecting and checking say so and make nothing", async () => {
  expect(() => inspectDirectory(fixture.directory)).toThrow("no store.mdb");
  await expect(checkDirectory(join(fixture.directory, "nothing"))).rejects.toMatchObject({
    code: "directoryUnknown",
  });
  expect(readdirSync(fixture.directory)).toEqual([]);
});

test("a whole directory has no findings, and the check counts what is there", async () => {
  await (await filledStore()).close();
  expect(await checkDirectory(fixture.directory)).toMatchObject({
    ok: true,
    findings: [],
    findingCount: 0,
    journal: { blocks: 1, entries: 2, acks: 1 },
    queues: { devices: 2, entries: 24, gapEntries: 0, bytes: 24 * 321 },
    dedup: { rows: 0, keys: 0 },
    accounts: { accounts: 3, devices: 3 },
  });
});

test("the check finds what does not belong together", async () => {
  await (await filledStore()).close();
  await fixture.tamper((database, batch) => {
    for (const { key } of database.rows("accounts", { limit: 1 })) batch.remove("accounts", key);
    batch.put("floors", deviceKey(testDevice(50)), encodeNumber(deviceKey(testDevice(50)), 5));
    for (const { key, value } of database.rows("meta")) {
      if (Buffer.from(key).toString("latin1") === "brand\0\x02")
        batch.put("meta", key, encodeNumber(key, value.length));
    }
  });
  const report = await checkDirectory(fixture.directory, { findingsMax: 2 });
  expect(report.ok).toBe(false);
  expect(report.findings.length).toBe(2);
  const kinds = (await checkDirectory(fixture.directory)).findings.map(
    ({ table, kind }) => `${table} ${kind}`,
  );
  expect(kinds).toContain("floors reference");
  expect(kinds).toContain("meta totals");
  expect(kinds.some((kind) => kind.endsWith(" reference") && !kind.startsWith("floors"))).toBe(true);
});

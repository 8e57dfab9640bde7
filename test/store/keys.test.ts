import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf, type DeviceAddress } from "../../src/base/address.js";
import { limits } from "../../src/rules/limits.js";
import { decodeHead, encodeHead, headKey } from "../../src/store/key-rows.js";
import { removeKeys } from "../../src/store/keys.js";
import { deviceKey } from "../../src/store/schema.js";
import { checkDirectory, type Store } from "../../src/store/store.js";
import { keyDigestInput, type OneTimeKind, type SuiteName } from "../../src/wire/keys.js";
import { testDevice } from "../support/journal-record.js";
import { StoreFixture } from "../support/store-fixture.js";

let fixture: StoreFixture;
const [ann, bob, eve] = [testDevice(1), testDevice(2), testDevice(3)];

beforeEach(() => {
  fixture = new StoreFixture();
});

afterEach(() => fixture.cleanUp());

/** A store in which these devices are registered. */
async function open(...devices: DeviceAddress[]): Promise<Store> {
  const store = await fixture.open();
  for (const device of devices) {
    await store.registerDevice(accountOf(device), ((device[18] as number) << 8) | (device[19] as number));
  }
  return store;
}

const bytesOf = (kind: string, id: number) => createHash("sha256").update(`${kind} ${id}`).digest();
const keysOf = (kind: string, first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: first + i, key: bytesOf(kind, first + i) }));

function signalKeys(first: number, count: number) {
  return {
    identity: keysOf("identity", 77, 1),
    signedPreKey: keysOf("signedPreKey", 5, 1),
    lastResortKyber: keysOf("lastResortKyber", 6, 1),
    preKey: keysOf("preKey", first, count),
    kyberPreKey: keysOf("kyberPreKey", first, count),
  };
}

const claim = (store: Store, requester: DeviceAddress, target: DeviceAddress, suite: SuiteName = "signal") =>
  store.claimKeys({ requester, target, suite, mayMeet: true });

/** Claims by as many devices as it takes. */
async function claimMany(store: Store, target: DeviceAddress, count: number, from = 0) {
  const devices = Array.from({ length: count }, (_, i) => testDevice(1_000 + from + i));
  await Promise.all(devices.map((device) => store.registerDevice(accountOf(device), 1)));
  return Promise.all(devices.map((device) => claim(store, device, target)));
}

test("a claim brings what the suite needs and one one-time key of each kind, lowest id first", async () => {
  const store = await open(ann, bob);
  await store.uploadKeys(bob, signalKeys(11, 3));
  for (const id of [11, 12, 13]) {
    expect(await claim(store, ann, bob)).toEqual({
      identity: { id: 77, key: bytesOf("identity", 77) },
      signedPreKey: { id: 5, key: bytesOf("signedPreKey", 5) },
      preKey: { id, key: bytesOf("preKey", id) },
      kyberPreKey: { id, key: bytesOf("kyberPreKey", id) },
    });
  }
  const { preKey: _, kyberPreKey: __, ...rest } = await claim(store, ann, bob);
  expect(rest).toEqual({
    identity: { id: 77, key: bytesOf("identity", 77) },
    signedPreKey: { id: 5, key: bytesOf("signedPreKey", 5) },
    lastResortKyber: { id: 6, key: bytesOf("lastResortKyber", 6) },
  });
  expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
});

test("MLS key packages go one by one, then the last resort for ever", async () => {
  const store = await open(ann, bob);
  await store.uploadKeys(bob, {
    keyPackage: keysOf("keyPackage", 1, 2),
    lastResortKeyPackage: keysOf("lastResortKeyPackage", 9, 1),
  });
  const claimed = [];
  for (let i = 0; i < 4; i++) claimed.push(await claim(store, ann, bob, "mls"));
  expect(claimed.map((keys) => keys.keyPackage?.id ?? `last ${keys.lastResortKeyPackage?.id}`)).toEqual([
    1,
    2,
    "last 9",
    "last 9",
  ]);
});

test("thousands of claims at once share few transactions, and no key is handed out twice", async () => {
  const targets = Array.from({ length: 40 }, (_, i) => testDevice(2_000 + i));
  const askers = Array.from({ length: 50 }, (_, i) => testDevice(3_000 + i));
  const store = await open(...targets, ...askers);
  await Promise.all(targets.map((target) => store.uploadKeys(target, signalKeys(1, 100))));
  const before = store.stats().flushes;
  const pairs = targets.flatMap((target) => askers.map((asker) => ({ target, asker })));
  const claimed = await Promise.all(
    pairs.map(async ({ target, asker }) => ({ target, keys: await claim(store, asker, target) })),
  );
  const flushes = store.stats().flushes - before;
  for (const kind of ["preKey", "kyberPreKey"] satisfies OneTimeKind[]) {
    const names = claimed.map(
      ({ target, keys }) => `${Buffer.from(target).toString("hex")} ${keys[kind]?.id}`,
    );
    expect(new Set(names).size).toBe(2_000);
  }
  expect(flushes).toBeGreaterThanOrEqual(2_000 / limits.keyJobsPerTransaction);
  expect(flushes).toBeLessThan(400);
  expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
});

test("what was claimed stays claimed after the next open, and so do the limits", async () => {
  const first = await open(ann, bob);
  await first.uploadKeys(bob, signalKeys(1, 10));
  for (let i = 0; i < 4; i++) await claim(first, ann, bob);
  await first.close();
  const second = await fixture.open();
  expect((await claim(second, ann, bob)).preKey?.id).toBe(5);
  expect((await claim(second, ann, bob)).preKey?.id).toBe(6);
  await expect(claim(second, ann, bob)).rejects.toMatchObject({ code: "rateLimited", retryAfterMs: 600_000 });
  expect(second.keyStocks(bob).preKey).toEqual({ count: 4, claimedThrough: 6 });
});

describe("an upload", () => {
  test("replaces all keys of the kinds it names and leaves the others", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 50));
    const stocks = await store.uploadKeys(bob, {
      preKey: keysOf("preKey", 200, 3),
      signedPreKey: keysOf("signedPreKey", 8, 1),
    });
    expect(stocks).toEqual(store.keyStocks(bob));
    expect(stocks).toMatchObject({
      preKey: { count: 3, claimedThrough: 0 },
      kyberPreKey: { count: 50 },
      identity: { count: 1 },
      keyPackage: { count: 0 },
    });
    expect(await claim(store, ann, bob)).toMatchObject({
      preKey: { id: 200 },
      kyberPreKey: { id: 1 },
      signedPreKey: { id: 8 },
    });
    expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  });

  test("never brings back what was handed out", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 5));
    await claim(store, ann, bob);
    await claim(store, ann, bob);
    const stocks = await store.uploadKeys(bob, signalKeys(1, 5));
    expect(stocks.preKey).toEqual({ count: 3, claimedThrough: 2 });
    expect((await claim(store, ann, bob)).preKey?.id).toBe(3);
  });

  test("of a new identity replaces all Signal keys, and what was handed out stays known", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, { ...signalKeys(1, 5), keyPackage: keysOf("keyPackage", 1, 2) });
    await claim(store, ann, bob);
    const stocks = await store.uploadKeys(bob, {
      identity: keysOf("another identity", 78, 1),
      preKey: keysOf("preKey", 1, 3),
    });
    expect(stocks).toMatchObject({
      identity: { count: 1 },
      signedPreKey: { count: 0 },
      lastResortKyber: { count: 0 },
      preKey: { count: 2, claimedThrough: 1 },
      kyberPreKey: { count: 0, claimedThrough: 1 },
      keyPackage: { count: 2 },
    });
    await expect(claim(store, ann, bob)).rejects.toMatchObject({ code: "keysMissing" });
  });

  test("of a device that nobody registered is refused, and leaves nothing", async () => {
    const store = await open(ann);
    await expect(store.uploadKeys(bob, signalKeys(1, 5))).rejects.toMatchObject({ code: "notFound" });
    expect((await checkDirectory(fixture.directory)).keys.rows).toBe(0);
  });

  test("is limited, and so is a change of identity", async () => {
    const store = await open(bob);
    const upload = (identity: number) => store.uploadKeys(bob, { identity: keysOf("identity", identity, 1) });
    for (let i = 0; i <= limits.identityChangeTokens; i++) await upload(i);
    await expect(upload(99)).rejects.toMatchObject({ code: "rateLimited", retryAfterMs: 900_000 });
    fixture.nowMs += 900_000;
    await upload(99);
    for (let i = 1; i < limits.keyUploadTokens; i++) await upload(99);
    await expect(upload(99)).rejects.toMatchObject({ code: "rateLimited", retryAfterMs: 30_000 });
    await expect(store.keyDigests(bob)).rejects.toMatchObject({ code: "rateLimited" });
  });
});

describe("limits of claims", () => {
  test("six of a pair, then one per ten minutes; another pair has its own", async () => {
    const store = await open(ann, bob, eve);
    await store.uploadKeys(bob, signalKeys(1, 100));
    for (let i = 0; i < 6; i++) await claim(store, ann, bob);
    await expect(claim(store, ann, bob)).rejects.toMatchObject({
      code: "rateLimited",
      retryAfterMs: 600_000,
    });
    expect((await claim(store, eve, bob)).preKey?.id).toBe(7);
    fixture.nowMs += 599_999;
    await expect(claim(store, ann, bob)).rejects.toMatchObject({ code: "rateLimited", retryAfterMs: 1 });
    fixture.nowMs += 1;
    expect((await claim(store, ann, bob)).preKey?.id).toBe(8);
    await expect(claim(store, ann, bob)).rejects.toMatchObject({ code: "rateLimited" });
  });

  test.each([3_600_000, -3_600_000])(
    "and uploads go by time that passes when the wall clock is set by %i ms",
    async (stepMs) => {
      const store = await open(ann, bob, eve);
      await store.uploadKeys(bob, signalKeys(1, 100));
      for (let i = 0; i < 6; i++) await claim(store, ann, bob);
      for (let i = 0; i < 3; i++) await claim(store, eve, bob);
      for (let i = 1; i < limits.keyUploadTokens; i++) await store.keyDigests(bob);
      fixture.aheadMs += stepMs;
      const refused = (retryAfterMs: number) => ({ code: "rateLimited", retryAfterMs });
      await expect(claim(store, ann, bob)).rejects.toMatchObject(refused(600_000));
      await expect(store.keyDigests(bob)).rejects.toMatchObject(refused(30_000));
      for (let i = 0; i < 3; i++) await claim(store, eve, bob);
      await expect(claim(store, eve, bob)).rejects.toMatchObject(refused(600_000));
      fixture.nowMs += 600_000;
      for (const requester of [ann, eve]) {
        await claim(store, requester, bob);
        await expect(claim(store, requester, bob)).rejects.toMatchObject(refused(600_000));
      }
    },
  );

  test("a crowd takes no more one-time keys than the device's own limit; then it gets the last resort", async () => {
    const store = await open(bob);
    await store.uploadKeys(bob, signalKeys(1, 100));
    const claimed = await claimMany(store, bob, 200);
    expect(claimed.filter((keys) => keys.preKey !== undefined).length).toBe(limits.claimTargetTokens);
    expect(claimed.filter((keys) => keys.lastResortKyber?.id === 6).length).toBe(
      200 - limits.claimTargetTokens,
    );
    expect(store.keyStocks(bob).preKey.count).toBe(100 - limits.claimTargetTokens);
  });

  test("unknown devices, closed brands and known ones cost a pair the same", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 10));
    const attempts = [
      { target: eve, mayMeet: true },
      { target: bob, mayMeet: false },
    ];
    for (const { target, mayMeet } of attempts) {
      const ask = () => store.claimKeys({ requester: ann, target, suite: "signal", mayMeet });
      for (let i = 0; i < 6; i++)
        await expect(ask()).rejects.toMatchObject({ code: "notFound", retryAfterMs: 0 });
      await expect(ask()).rejects.toMatchObject({ code: "rateLimited", retryAfterMs: 600_000 });
    }
    expect(store.keyStocks(bob).preKey.count).toBe(10);
    expect((await checkDirectory(fixture.directory)).keys).toMatchObject({ devices: 2, rows: 27 });
  });

  test("buckets that are full again make room, so that their number stays bounded", async () => {
    const store = await open(ann);
    for (let round = 0; round < 5; round++) {
      const targets = Array.from({ length: 40 }, (_, i) => testDevice(5_000 + 100 * round + i));
      await Promise.allSettled(targets.map((target) => claim(store, ann, target)));
      fixture.nowMs += 600_000;
    }
    const { keys, findings } = await checkDirectory(fixture.directory);
    expect(findings).toEqual([]);
    expect(keys.rows).toBeLessThanOrEqual(1 + 2 * 40);
  });

  test("accounts that hold a device's keys are remembered up to a number, then one goes for each new one", async () => {
    const store = await fixture.open({ quotas: { keyHoldersMax: 50 } });
    await store.registerDevice(accountOf(bob), 1);
    await store.uploadKeys(bob, signalKeys(1, 50));
    for (let wave = 0; wave < 5; wave++) await claimMany(store, bob, 20, 20 * wave);
    expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
    await store.uploadKeys(bob, { identity: keysOf("another identity", 1, 1) });
    const told = store
      .notices(0, 100)
      .slice(-4)
      .flatMap(({ recipients }) => recipients);
    expect(told.length).toBe(1 + 50);
  });

  test("a device that asks about too many others at once has to wait", async () => {
    const store = await fixture.open({ quotas: { claimPairsMax: 3 } });
    await store.registerDevice(accountOf(ann), 1);
    for (const number of [10, 11, 12]) {
      await expect(claim(store, ann, testDevice(number))).rejects.toMatchObject({ code: "notFound" });
    }
    await expect(claim(store, ann, testDevice(13))).rejects.toMatchObject({ code: "rateLimited" });
    fixture.nowMs += 600_000;
    await expect(claim(store, ann, testDevice(13))).rejects.toMatchObject({ code: "notFound" });
  });
});

describe("claims of somebody who is not named", () => {
  const sealedClaim = (store: Store, target: DeviceAddress, suite: SuiteName = "signal") =>
    store.claimKeys({ requester: undefined, target, suite, mayMeet: true });

  test("bring what a claim brings, in one order with those of others, and no key twice", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 20));
    const claims = Array.from({ length: 12 }, (_, i) =>
      i % 2 === 0 ? sealedClaim(store, bob) : claim(store, ann, bob),
    );
    const bundles = await Promise.all(claims);
    expect(bundles.map(({ preKey }) => preKey?.id)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(bundles[0]?.identity).toEqual({ id: 77, key: bytesOf("identity", 77) });
    expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  });

  test("take half of what the device gives, over an open too; then they get the last resort, and others the rest", async () => {
    let store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 100));
    const half = limits.claimTargetTokens / 2;
    const oneTime = async (count: number) =>
      (await Promise.all(Array.from({ length: count }, () => sealedClaim(store, bob)))).filter(
        ({ preKey }) => preKey,
      ).length;
    expect(await oneTime(half - 5)).toBe(half - 5);
    await store.close();
    store = await fixture.open();
    expect(await oneTime(10)).toBe(5);
    const last = await sealedClaim(store, bob);
    expect([last.preKey, last.kyberPreKey, last.lastResortKyber?.id]).toEqual([undefined, undefined, 6]);
    const crowd = await claimMany(store, bob, half + 3);
    expect(crowd.filter(({ preKey }) => preKey).length).toBe(half);
    expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  });

  test("of a device that is not there, or has no keys, are refused, and leave nothing", async () => {
    const store = await open(bob);
    await expect(sealedClaim(store, eve)).rejects.toMatchObject({ code: "notFound" });
    await expect(sealedClaim(store, bob)).rejects.toMatchObject({ code: "keysMissing" });
    expect((await checkDirectory(fixture.directory)).keys.rows).toBe(0);
  });

  test("are held against nobody: no account is told of a new identity, and all rows go with the device", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 5));
    await sealedClaim(store, bob);
    const rows = (await checkDirectory(fixture.directory)).keys.rows;
    // Its head, three single keys, four times two one-time keys, and the bucket; no mark of an account.
    expect(rows).toBe(1 + 3 + 4 * 2 + 1);
    await store.removeAccount(accountOf(bob), Date.now());
    expect((await checkDirectory(fixture.directory)).keys.rows).toBe(0);
  });
});

test("a digest is that of the keys that are left", async () => {
  const store = await open(ann, bob);
  const keys = signalKeys(1, 20);
  await store.uploadKeys(bob, keys);
  await claim(store, ann, bob);
  const digests = await store.keyDigests(bob);
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
  expect(digests.identity.digest).toEqual(sha256(keyDigestInput(bob, "identity", keys.identity)));
  expect(digests.preKey).toEqual({
    count: 19,
    claimedThrough: 1,
    digest: sha256(keyDigestInput(bob, "preKey", keys.preKey.slice(1))),
  });
  expect(digests.keyPackage.digest).toEqual(sha256(keyDigestInput(bob, "keyPackage", [])));
});

test("the keys of a removed device, or account, go in the transaction that removes it, whatever else is in it", async () => {
  const other = testDevice(2);
  other[19] = 2;
  const store = await open(ann, bob, other);
  for (const device of [ann, bob, other]) await store.uploadKeys(device, signalKeys(1, 4));
  await claim(store, ann, bob);
  await store.close();
  await fixture.tamper((database, batch) => removeKeys(database, batch, other));
  expect((await checkDirectory(fixture.directory)).keys).toMatchObject({ devices: 2 });
  await fixture.tamper((database, batch) => {
    const key = headKey(deviceKey(bob));
    batch.put("keys", headKey(deviceKey(other)), database.get("keys", key) as Uint8Array);
    removeKeys(database, batch, accountOf(bob));
  });
  expect((await checkDirectory(fixture.directory)).keys).toMatchObject({ devices: 1, keys: 11 });
});

describe("damage", () => {
  test("a damaged one-time key is reported and never handed out; the next one is", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, { ...signalKeys(1, 3), kyberPreKey: [] });
    await store.close();
    await fixture.tamper((database, batch) => {
      const row = [...database.rows("keys")].find(({ value }) => value.length === 48 && value[8] === 1) as {
        key: Uint8Array;
        value: Uint8Array;
      };
      batch.put(
        "keys",
        row.key,
        Uint8Array.from(row.value, (byte, i) => (i === 20 ? byte ^ 1 : byte)),
      );
    });
    const { findings } = await checkDirectory(fixture.directory);
    expect(findings.map(({ table, kind }) => `${kind} in ${table}`)).toContain("damaged in keys");
    const again = await fixture.open();
    expect((await claim(again, ann, bob)).preKey?.id).toBe(2);
    expect(fixture.reports).toMatchObject([{ table: "keys", address: bob }]);
    expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  });

  test("a damaged head is made again from its rows, and hands out no key a second time", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 10));
    for (let i = 0; i < 3; i++) await claim(store, ann, bob);
    await store.close();
    await fixture.tamper((database, batch) => {
      const key = headKey(deviceKey(bob));
      const row = Uint8Array.from(database.get("keys", key) as Uint8Array);
      row[64] = 0;
      batch.put("keys", key, row);
    });
    expect((await checkDirectory(fixture.directory)).findings.length).toBeGreaterThan(0);
    const again = await fixture.open();
    expect(again.keyStocks(bob).preKey).toEqual({ count: 7, claimedThrough: 3 });
    expect((await claim(again, ann, bob)).preKey?.id).toBe(4);
    await again.uploadKeys(bob, signalKeys(1, 10));
    expect((await claim(again, ann, bob)).preKey?.id).toBe(5);
    expect((await checkDirectory(fixture.directory)).findings).toEqual([]);
  });

  test("check finds a key that came back, a hole, a wrong count and rows of nobody", async () => {
    const store = await open(ann, bob);
    await store.uploadKeys(bob, signalKeys(1, 5));
    await claim(store, ann, bob);
    await store.close();
    const head = headKey(deviceKey(bob));
    const details = async () =>
      (await checkDirectory(fixture.directory)).findings.map(({ detail }) => detail);
    expect(await details()).toEqual([]);
    await fixture.tamper((database, batch) => {
      const before = decodeHead(head, database.get("keys", head) as Uint8Array);
      if (before === undefined) throw new Error("the head is damaged");
      const { preKey } = before.shelves;
      const shelves = { ...before.shelves, preKey: { ...preKey, claimedThrough: 3, next: preKey.next + 1 } };
      batch.put("keys", head, encodeHead(head, { ...before, shelves, holderCount: 9 }));
      removeKeys(database, batch, ann);
      batch.put("keys", headKey(deviceKey(eve)), database.get("keys", headKey(deviceKey(ann))) as Uint8Array);
    });
    const found = (await details()).join("\n");
    expect(found).toContain("the ids of preKeys do not rise");
    expect(found).toContain("preKeys up to 6 are missing");
    expect(found).toContain("it counts 0 pairs and 9 holders where 0 and 1 are");
    expect(found).toContain("its device is not registered");
    expect(found).toContain("the head is damaged");
  });
});

/** Delivery tokens on disk: only as digests, gone with their account, told to its devices, and held to it by `check`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { opens, tokenDigest } from "../../src/rules/sealed.js";
import { DATA_FILE } from "../../src/store/schema.js";
import { checkDirectory, type Store } from "../../src/store/store.js";
import { decodeNotice } from "../../src/wire/notices.js";
import { testDevice } from "../support/journal-record.js";
import { StoreFixture } from "../support/store-fixture.js";

const [ann, bob] = [testDevice(1), testDevice(2)].map(accountOf) as [Uint8Array, Uint8Array];
const TOKEN = new Uint8Array(16).fill(0x5e);
const NEXT = new Uint8Array(16).fill(0x5f);

let fixture: StoreFixture;
let store: Store;
beforeEach(async () => {
  fixture = new StoreFixture();
  store = await fixture.open();
  await store.registerDevice(ann, 1);
});
afterEach(() => fixture.cleanUp());

const isOpen = (token: Uint8Array, account = ann) =>
  opens(tokenDigest(token), store.deliveryTokens(account), fixture.nowMs);
const told = () => store.notices(0, 10).map(({ payload }) => decodeNotice(payload));

test("a token outlives the process, and is not on the disk", async () => {
  await store.changeDeliveryTokens(ann, { kind: "set", token: TOKEN });
  await store.changeDeliveryTokens(ann, { kind: "rotate", token: NEXT, overlapMs: 1_000 });
  await store.close();
  store = await fixture.open();
  expect([isOpen(TOKEN), isOpen(NEXT), isOpen(TOKEN, bob)]).toEqual([true, true, false]);
  fixture.nowMs += 1_000;
  expect([isOpen(TOKEN), isOpen(NEXT)]).toEqual([false, true]);
  await store.close();
  const file = readFileSync(join(fixture.directory, DATA_FILE));
  expect(file.includes(Buffer.from(tokenDigest(NEXT)))).toBe(true);
  expect([file.includes(Buffer.from(TOKEN)), file.includes(Buffer.from(NEXT))]).toEqual([false, false]);
});

test("every change is told to the account's devices, and what changes nothing is not", async () => {
  await store.changeDeliveryTokens(ann, { kind: "revoke" });
  await store.changeDeliveryTokens(ann, { kind: "set", token: TOKEN });
  await store.changeDeliveryTokens(ann, { kind: "rotate", token: TOKEN, overlapMs: 1 });
  await store.changeDeliveryTokens(ann, { kind: "revoke" });
  expect(told()).toEqual([
    { notice: "deliveryToken", isSet: true },
    { notice: "deliveryToken", isSet: false },
  ]);
});

test("nobody sets one for an account that is not there, and with an account it goes for good", async () => {
  await expect(store.changeDeliveryTokens(bob, { kind: "set", token: TOKEN })).rejects.toMatchObject({
    code: "notFound",
  });
  await store.changeDeliveryTokens(ann, { kind: "set", token: TOKEN });
  await store.removeAccount(ann, fixture.nowMs);
  expect(isOpen(TOKEN)).toBe(false);
  await store.createAccount(ann);
  expect(isOpen(TOKEN)).toBe(false);
  await expect(
    store.changeDeliveryTokens(ann, { kind: "rotate", token: NEXT, overlapMs: 1 }),
  ).rejects.toMatchObject({ code: "notFound" });
});

test("check counts them, and finds those that are damaged or of nobody", async () => {
  await store.changeDeliveryTokens(ann, { kind: "set", token: TOKEN });
  await store.close();
  expect(await checkDirectory(fixture.directory)).toMatchObject({
    findings: [],
    deliveryTokens: { accounts: 1 },
  });
  await fixture.tamper((database, batch) => {
    for (const key of database.keys("accounts")) batch.remove("accounts", key);
  });
  expect((await checkDirectory(fixture.directory)).findings).toContainEqual(
    expect.objectContaining({ table: "deliveryTokens", kind: "reference" }),
  );
  await fixture.flipBit("deliveryTokens", { row: 0, byte: 20 });
  expect((await checkDirectory(fixture.directory)).findings).toContainEqual(
    expect.objectContaining({ table: "deliveryTokens", kind: "damaged" }),
  );
  store = await fixture.open();
  expect(isOpen(TOKEN)).toBe(false);
  expect(fixture.reports).toContainEqual(expect.objectContaining({ table: "deliveryTokens" }));
});

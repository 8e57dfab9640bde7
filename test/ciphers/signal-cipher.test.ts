/** The Signal protocol under the SDK's seam: the contract, and what is its own. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountAddress, type DeviceAddress, numberedDevice } from "../../src/base/address.js";
import type { KeyStocks } from "../../src/client/client.js";
import { limits } from "../../src/rules/limits.js";
import { keyKindNames } from "../../src/wire/keys.js";
import { cipherContract, directContract, keysContract, until } from "./contract.js";
import { Parties, readWith } from "./parties.js";
import { SignalCipher } from "./signal-cipher.js";
import { SignalState } from "./signal-state.js";

const KEYS = 24;
const OPENING = 3;
const RATCHET = 2;
const make = (address: DeviceAddress) => new SignalCipher(address, KEYS);

cipherContract("libsignal", make);
directContract("libsignal", make);
keysContract("libsignal", make, "signedPreKey");

let parties: Parties<"signal">;

beforeEach(async () => {
  parties = await Parties.open(make);
});
afterEach(() => parties.close());

test("payloads cover their plaintext and have the sizes the head of signal-cipher.ts states", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  const message = "m".repeat(96);
  await ana.send(chi, message);
  await until(() => chi.shown.length === 1, "chi reads");
  await chi.send(ana, message);
  await until(() => ana.shown.length === 1, "ana reads");
  await ana.send(chi, message);
  await until(() => chi.shown.length === 2, "chi reads again");
  const [opening, ratchet] = chi.payloads.map(({ payload }) => payload) as [Uint8Array, Uint8Array];
  for (const payload of [opening, ratchet]) expect(Buffer.from(payload).includes("mmmmmmmm")).toBe(false);
  expect([opening[0], ratchet[0]]).toEqual([OPENING, RATCHET]);
  expect(opening.length - message.length).toBeGreaterThan(1700);
  expect(opening.length - message.length).toBeLessThan(1800);
  expect(ratchet.length - message.length).toBeGreaterThan(60);
  expect(ratchet.length - message.length).toBeLessThan(120);
});

test("a group's sender key goes to each device once, and is made anew only when somebody is removed", async () => {
  const [ana, chi, dov] = await Promise.all([
    parties.join("whatsapp/ana/1"),
    parties.join("instagram/chi/1"),
    parties.join("messenger/dov/1"),
  ]);
  const { group } = await ana.encrypted.groups.create([chi.account, dov.account]);
  for (const text of ["1", "2", "3"]) await ana.sendToGroup(group, text);
  await until(() => chi.shown.length === 3, "chi reads");
  expect(chi.stolen.map(({ block }) => block.length > 0)).toEqual([true, false, false]);
  const eve = await parties.join("messenger/eve/1");
  await ana.encrypted.groups.add(group, [eve.account]);
  await ana.sendToGroup(group, "4");
  await until(() => chi.shown.length === 4 && eve.shown.length === 1, "chi and eve read");
  expect(chi.stolen.at(-1)?.block.length).toBe(0);
  expect(eve.stolen.at(-1)?.block.length).toBeGreaterThan(0);
  await ana.encrypted.groups.remove(group, [dov.account]);
  await ana.sendToGroup(group, "5");
  await until(() => chi.shown.length === 5, "chi reads the last");
  expect(chi.stolen.at(-1)?.block.length).toBeGreaterThan(0);
});

test("a cipher that keeps its sender key after a removal is seen to be read by who was removed", async () => {
  class Careless extends SignalCipher {
    protected override mustReplace(): boolean {
      return false;
    }
  }
  const ana = await parties.join("whatsapp/ana/1", (address) => new Careless(address, KEYS));
  const chi = await parties.join("instagram/chi/1");
  const dov = await parties.join("messenger/dov/1");
  const { group } = await ana.encrypted.groups.create([chi.account, dov.account]);
  await ana.sendToGroup(group, "before");
  await until(() => dov.shown.length === 1, "dov reads");
  const { version } = await ana.encrypted.groups.remove(group, [dov.account]);
  await ana.sendToGroup(group, "after");
  await until(() => chi.shown.length === 2, "chi reads");
  const since = chi.stolen.filter((envelope) => envelope.version >= version);
  expect(await readWith(dov.cipher, since)).toEqual(["after"]);
});

test("who has uploaded no keys is left out of a group's message and named, and a direct one is refused", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  const keyless = await parties.join("messenger/dov/1", (address) => {
    const cipher = make(address);
    cipher.refill = async () => undefined;
    return cipher;
  });
  const { group } = await ana.encrypted.groups.create([chi.account, keyless.account]);
  expect((await ana.sendToGroup(group, "hello")).leftOut).toEqual([keyless.address]);
  await until(() => chi.shown.length === 1, "chi reads");
  await until(() => keyless.unreadable.length === 1, "it reads nothing");
  await expect(ana.send(keyless, "hello?")).rejects.toMatchObject({ code: "keysMissing" });
});

test("one-time keys that were claimed are filled up, whatever was left", async () => {
  const chi = await parties.join("instagram/chi/1");
  const before = await chi.client.keys.stock();
  expect([before.preKey.count, before.kyberPreKey.count, before.lastResortKyber.count]).toEqual([
    KEYS,
    KEYS,
    1,
  ]);
  for (let device = 1; device <= 6; device++) {
    const writer = await parties.join(`whatsapp/ana/${device}`);
    await writer.send(chi, `from ${device}`);
  }
  await until(() => chi.shown.length === 6, "chi reads all");
  let after = await chi.client.keys.stock();
  for (let waits = 0; after.preKey.count < KEYS - 1 && waits < 200; waits++)
    after = await chi.client.keys.stock();
  expect(after.preKey.claimedThrough).toBe(6);
  expect(after.preKey.count).toBeGreaterThanOrEqual(KEYS - 1);
  expect(after.kyberPreKey.count).toBe(after.preKey.count);
});

test("an app that was installed anew, under the same number, is written to again", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  const { position } = chi.client;
  await ana.send(chi, "before");
  // Else it comes again, and to the new app.
  await until(() => chi.shown.length === 1 && chi.client.position > position, "chi has read and taken it");
  await chi.client.close();
  const noticed = ana.client.once("notice");
  const anew = await parties.join("instagram/chi/1");
  expect((await noticed).body.notice).toBe("identity");
  await ana.send(anew, "after");
  await until(() => anew.shown.length === 1, "the new app reads");
  expect(anew.unreadable).toEqual([]);
});

test("one-time keys that were handed out and never used are erased when nothing can come for them any more", async () => {
  const state = SignalState.fresh();
  const cipher = new SignalCipher(
    numberedDevice(accountAddress(1, new Uint8Array(16).fill(7)), 1),
    KEYS,
    state,
  );
  const at = async (nowMs: number, claimedThrough: number) => {
    const stock = { count: 0, claimedThrough };
    const stocks = Object.fromEntries(keyKindNames.map((kind) => [kind, stock])) as KeyStocks;
    cipher.uploaded((await cipher.refill(stocks, { nowMs, ageMs: 1e9, keptMs: 1_000 })) ?? {}, nowMs);
    const ids = Array.from({ length: 2 * KEYS }, (_, i) => i + 1).filter((id) => state.oneTimeKeys.has(id));
    const kyber = await Promise.allSettled(ids.map((id) => state.kyberKeys.getKyberPreKey(id)));
    expect(kyber.every(({ status }) => status === "fulfilled")).toBe(true);
    await expect(state.kyberKeys.getKyberPreKey((ids[0] as number) - 1)).rejects.toThrow("no Kyber key");
    return [ids[0], ids.at(-1)];
  };
  expect(await at(0, 0)).toEqual([1, KEYS]);
  expect(await at(100, 3)).toEqual([1, KEYS + 3]);
  expect(await at(600, 5)).toEqual([1, KEYS + 5]);
  expect(await at(1_099, 5)).toEqual([1, KEYS + 5]);
  expect(await at(1_100, 5)).toEqual([4, KEYS + 5]);
  expect(await at(1_600, 5)).toEqual([6, KEYS + 5]);
});

test("a replaced key is by default kept for longer than a node keeps an envelope", async () => {
  const kept: number[] = [];
  class Noting extends SignalCipher {
    override refill(...[stocks, times]: Parameters<SignalCipher["refill"]>) {
      kept.push(times.keptMs - limits.retentionMs);
      return super.refill(stocks, times);
    }
  }
  await parties.join("whatsapp/ana/1", (address) => new Noting(address, KEYS));
  expect(kept.every((beyondMs) => beyondMs >= 24 * 3600_000)).toBe(true);
  expect(kept.length).toBeGreaterThan(0);
});

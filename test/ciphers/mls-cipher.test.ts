/** MLS under the SDK's seam: the contract, and what is its own. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountAddress, type DeviceAddress, formatAddress, numberedDevice } from "../../src/base/address.js";
import type { KeyStocks, MlsBundle } from "../../src/client/client.js";
import type { GroupCiphertext, GroupEnvelope } from "../../src/client/encrypted-client.js";
import { cipherContract, directContract, keysContract, until } from "./contract.js";
import { MlsCipher } from "./mls-cipher.js";
import { Parties, readWith } from "./parties.js";

const KEYS = 24;
const TIMES = { nowMs: 0, ageMs: 1, keptMs: 1 };
const make = (address: DeviceAddress) => MlsCipher.create(address, KEYS);

cipherContract("ts-mls", make);
directContract("ts-mls", make);
keysContract("ts-mls", make, "lastResortKeyPackage");

let parties: Parties<"mls">;

beforeEach(async () => {
  parties = await Parties.open(make);
});
afterEach(() => parties.close());

test("a key package is handed out once, and stocks are filled up", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  for (let n = 0; n < 6; n++) await ana.encrypted.groups.create([chi.account]);
  let stock = await chi.client.keys.stock();
  for (let waits = 0; stock.keyPackage.count < KEYS - 1 && waits < 200; waits++)
    stock = await chi.client.keys.stock();
  expect(stock.keyPackage.claimedThrough).toBe(6);
  expect(stock.keyPackage.count).toBeGreaterThanOrEqual(KEYS - 1);
  expect(stock.lastResortKeyPackage.count).toBe(1);
});

test("it seals neither for one account nor for several, and nothing goes out", async () => {
  const ana = await parties.join("whatsapp/ana/1", make, { sealed: await parties.nobody("whatsapp") });
  const chi = await parties.join("instagram/chi/1");
  await expect(ana.sendSealed(chi, "no")).rejects.toMatchObject({ code: "cipherCannot" });
  await expect(ana.sendSealedShared([chi], "no")).rejects.toMatchObject({ code: "cipherCannot" });
  await ana.send(chi, "by name");
  await until(() => chi.shown.length > 0, "chi reads");
  expect(chi.texts()).toEqual(["by name"]);
});

test("a committer that leaves the removed member's leaf is seen to be read by who was removed", async () => {
  class Careless extends MlsCipher {
    protected override isRemoved(): boolean {
      return false;
    }
  }
  const ana = await parties.join("whatsapp/ana/1", (address) => Careless.create(address, KEYS));
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

test("when who changed the group is gone before its commit, an admin's next send renews the group", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  const dov = await parties.join("messenger/dov/1");
  const { group, version } = await ana.encrypted.groups.create([chi.account, dov.account]);
  await ana.sendToGroup(group, "before");
  await until(() => dov.shown.length === 1, "dov reads");
  await ana.client.groups.remove({ group, version, accounts: [dov.account] });
  await expect(chi.sendToGroup(group, "too early")).rejects.toMatchObject({ code: "groupNotReady" });
  await ana.sendToGroup(group, "after");
  await until(() => chi.texts().includes("after"), "chi reads");
  expect(
    await readWith(
      dov.cipher,
      chi.stolen.filter((envelope) => envelope.version > version),
    ),
  ).toEqual([]);
});

test("a commit that the node handed out and did not keep gives way to that of a later version", async () => {
  const address = accountAddress(1, new Uint8Array(16).fill(9));
  const [ana, chi, dov, eve] = (await Promise.all(
    [1, 2, 3, 4].map((n) => make(numberedDevice(accountAddress(n, new Uint8Array(16).fill(n)), 1))),
  )) as [MlsCipher, MlsCipher, MlsCipher, MlsCipher];
  const bundles = new Map<string, MlsBundle>();
  for (const cipher of [chi, dov, eve]) {
    const none = { count: 0, claimedThrough: 0 };
    const keys = await cipher.refill({ keyPackage: none } as KeyStocks, TIMES);
    const keyPackage = keys?.keyPackage?.[0];
    if (keyPackage !== undefined)
      bundles.set(formatAddress(cipher.address), { keyPackage, isLastResort: false });
  }
  const claim = async (device: DeviceAddress) => bundles.get(formatAddress(device)) as MlsBundle;
  const group = (version: number, ...members: MlsCipher[]) => ({
    address,
    version,
    devices: members.map((member) => member.address),
  });
  const handTo = async (readers: MlsCipher[], from: MlsCipher, version: number, made: GroupCiphertext) => {
    const read = [];
    for (const reader of readers) {
      const block = made.blocks.find(({ device }) => device === reader.address)?.block ?? new Uint8Array(0);
      const envelope: GroupEnvelope = { address, version, from: from.address, shared: made.shared, block };
      read.push(await reader.decryptFromGroup(envelope));
    }
    return read;
  };
  const first = await ana.moveGroup(group(1, ana, chi, dov), claim);
  first.settled?.(true);
  await handTo([chi, dov], ana, 1, first);

  const lost = await ana.moveGroup(group(2, ana, chi, dov, eve), claim);
  await handTo([chi], ana, 2, lost);
  lost.settled?.(false);
  const kept = await dov.moveGroup(group(3, ana, chi, dov), claim);
  await handTo([ana, chi], dov, 3, kept);
  kept.settled?.(true);

  const all = [ana, chi, dov];
  for (const writer of all) {
    const made = await writer.encryptToGroup(new TextEncoder().encode("hello"), group(3, ...all));
    const readers = all.filter((reader) => reader !== writer);
    const read = await handTo(readers, writer, 3, made as GroupCiphertext);
    expect(read.map((plaintext) => new TextDecoder().decode(plaintext))).toEqual(["hello", "hello"]);
  }
});

test("a direct payload brings its welcome until the other side has written, and then no more", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  const message = "m".repeat(96);
  for (const _ of [1, 2]) await ana.send(chi, message);
  await until(() => chi.shown.length === 2, "chi reads");
  await chi.send(ana, message);
  await until(() => ana.shown.length === 1, "ana reads");
  await ana.send(chi, message);
  await until(() => chi.shown.length === 3, "chi reads again");
  const beyond = chi.payloads.map(({ payload }) => payload.length - message.length);
  console.log(`MLS between two devices: ${beyond} bytes beyond the plaintext`);
  const [first, second, third] = beyond as [number, number, number];
  expect([first > 900, first < 1_500, second - first, third < 300]).toEqual([true, true, 0, true]);
  for (const { payload } of chi.payloads) expect(Buffer.from(payload).includes("mmmmmmmm")).toBe(false);
});

test("it does not seal, and says so", async () => {
  const ana = await parties.join("whatsapp/ana/1", make, { sealed: await parties.nobody("whatsapp") });
  const chi = await parties.join("instagram/chi/1");
  await expect(ana.sendSealed(chi, "who am I?")).rejects.toMatchObject({ code: "cipherCannot" });
});

test("a new device is named as left out of a group's message until the group is renewed", async () => {
  const ana = await parties.join("whatsapp/ana/1");
  const chi = await parties.join("instagram/chi/1");
  const { group } = await ana.encrypted.groups.create([chi.account]);
  expect((await ana.sendToGroup(group, "one")).leftOut).toEqual([]);
  const tablet = await parties.join("instagram/chi/2");
  expect((await ana.sendToGroup(group, "two")).leftOut).toEqual([tablet.address]);
  await ana.encrypted.groups.renew(group);
  expect((await ana.sendToGroup(group, "three")).leftOut).toEqual([]);
  await until(() => tablet.texts().includes("three"), "the tablet reads");
});

/** The key directory through the SDK: what devices are given, told and refused, and what their bodies must be. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Client, KeyUpload } from "../../src/client/client.js";
import { createNode, type InterlineNode, type NodeOptions } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";
import type { MsgpackMap } from "../../src/wire/msgpack-value.js";
import { until } from "../support/until.js";

let directory: string;
let node: InterlineNode;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-keys-"));
  await start();
});

afterEach(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

async function start(options: Partial<NodeOptions> = {}): Promise<void> {
  node = await createNode({ dataDirectory: directory, listen: false, ...options });
}

interface Person {
  readonly client: Client;
  readonly address: Uint8Array;
  /** What the node told it. */
  readonly notices: MsgpackMap[];
}

async function enter(brand: string, account: string, device = 1): Promise<Person> {
  const client = node.attach({ brand, account, device });
  const notices: MsgpackMap[] = [];
  client.on("notice", ({ body }) => void notices.push(body));
  const { device: address } = await client.connect();
  return { client, address, notices };
}

const bytes = (text: string, length = 33) => new TextEncoder().encode(text.padEnd(length, "."));
const keysOf = (owner: string, kind: string, first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: first + i, key: bytes(`${owner} ${kind} ${first + i}`) }));

function signalKeys(owner: string, count = 30): KeyUpload {
  return {
    identity: keysOf(owner, "identity", 7, 1),
    signedPreKey: keysOf(owner, "signedPreKey", 3, 1),
    lastResortKyber: keysOf(owner, "lastResortKyber", 4, 1),
    preKey: keysOf(owner, "preKey", 1, count),
    kyberPreKey: keysOf(owner, "kyberPreKey", 1, count),
  };
}

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "done",
    ({ code, retryAfterMs }) => `${code} ${retryAfterMs}`,
  );

test("a bundle holds what its device has stored, across brands, and says when it is the last resort", async () => {
  const [alice, bob] = [await enter("whatsapp", "alice"), await enter("instagram", "bob")];
  const stocks = await bob.client.keys.upload(signalKeys("bob", 1));
  expect(stocks).toMatchObject({ preKey: { count: 1, claimedThrough: 0 }, keyPackage: { count: 0 } });
  const bundle = {
    identity: { id: 7, key: bytes("bob identity 7") },
    signedPreKey: { id: 3, key: bytes("bob signedPreKey 3") },
  };
  expect(await alice.client.keys.claim(bob.address, "signal")).toEqual({
    ...bundle,
    preKey: { id: 1, key: bytes("bob preKey 1") },
    kyberPreKey: { id: 1, key: bytes("bob kyberPreKey 1") },
    isLastResort: false,
  });
  expect(await alice.client.keys.claim(bob.address, "signal")).toEqual({
    ...bundle,
    kyberPreKey: { id: 4, key: bytes("bob lastResortKyber 4") },
    isLastResort: true,
  });
  await bob.client.keys.upload({
    keyPackage: keysOf("bob", "keyPackage", 1, 1),
    lastResortKeyPackage: keysOf("bob", "last", 1, 1),
  });
  const packages = [
    await alice.client.keys.claim(bob.address, "mls"),
    await alice.client.keys.claim(bob.address, "mls"),
  ];
  expect(packages).toEqual([
    { keyPackage: { id: 1, key: bytes("bob keyPackage 1") }, isLastResort: false },
    { keyPackage: { id: 1, key: bytes("bob last 1") }, isLastResort: true },
  ]);
});

test("a device compares its own records with what the node holds", async () => {
  const [alice, bob] = [await enter("whatsapp", "alice"), await enter("whatsapp", "bob")];
  const own = signalKeys("bob");
  await bob.client.keys.upload(own);
  await alice.client.keys.claim(bob.address, "signal");
  expect(await bob.client.keys.differences(own)).toEqual([]);
  expect(await bob.client.keys.differences({ ...own, keyPackage: [] })).toEqual([]);
  const other = {
    ...own,
    signedPreKey: keysOf("eve", "signedPreKey", 3, 1),
    preKey: own.preKey?.slice(0, 29) ?? [],
  };
  expect(await bob.client.keys.differences(other)).toEqual(["signedPreKey", "preKey"]);
  expect((await bob.client.keys.stock()).preKey).toEqual({ count: 29, claimedThrough: 1 });
});

test("a device is told when its keys run low and when they end, also if it was away", async () => {
  const bob = await enter("whatsapp", "bob");
  await bob.client.keys.upload(signalKeys("bob", limits.keysLow + 1));
  await bob.client.close();
  for (let i = 0; i < 4; i++) {
    const asker = await enter("instagram", `asker ${i}`);
    for (let j = 0; j < 6; j++) await asker.client.keys.claim(bob.address, "signal");
  }
  const again = await enter("whatsapp", "bob");
  await until("four notices", () => again.notices.length >= 4);
  expect(again.notices).toEqual([
    { notice: "lowKeys", kind: "preKey", count: limits.keysLow - 1 },
    { notice: "lowKeys", kind: "kyberPreKey", count: limits.keysLow - 1 },
    { notice: "lowKeys", kind: "preKey", count: 0 },
    { notice: "lowKeys", kind: "kyberPreKey", count: 0 },
  ]);
});

test("a changed identity is told to the account's devices and to the accounts that hold its keys, to nobody else", async () => {
  const [bob, phone, alice, eve, dan] = [
    await enter("whatsapp", "bob", 1),
    await enter("whatsapp", "bob", 2),
    await enter("instagram", "alice"),
    await enter("messenger", "eve"),
    await enter("whatsapp", "dan"),
  ];
  await bob.client.keys.upload({ ...signalKeys("bob"), keyPackage: keysOf("bob", "keyPackage", 1, 1) });
  await alice.client.keys.claim(bob.address, "signal");
  await eve.client.keys.claim(bob.address, "mls");
  await bob.client.keys.upload(signalKeys("bob"));
  await bob.client.keys.upload(signalKeys("robert"));
  const { kinds } = await bob.client.keys.digest();
  const told = { notice: "identity", device: bob.address, digest: kinds.identity.digest };
  const ofIdentity = ({ notices }: Person) => notices.filter(({ notice }) => notice === "identity");
  await until("three notices", () => [bob, phone, alice].every((person) => ofIdentity(person).length > 0));
  for (const person of [bob, phone, alice]) expect(ofIdentity(person)).toEqual([told]);
  for (const person of [eve, dan]) expect(ofIdentity(person)).toEqual([]);
});

describe("limits", () => {
  test("of a pair hold through a reconnect and a restart of the node, and cost the unknown the same", async () => {
    const [alice, bob] = [await enter("whatsapp", "alice"), await enter("whatsapp", "bob")];
    await bob.client.keys.upload(signalKeys("bob"));
    const stranger = bob.address.slice().fill(9, 2, 18);
    for (let i = 0; i < 6; i++) {
      await alice.client.keys.claim(bob.address, "signal");
      expect(await refusal(alice.client.keys.claim(stranger, "signal"))).toBe("notFound 0");
    }
    const isRefused = async ({ client }: Person) => {
      for (const device of [bob.address, stranger]) {
        expect(await refusal(client.keys.claim(device, "signal"))).toMatch(/^rateLimited (600000|59\d{4})$/);
      }
    };
    await isRefused(alice);
    await alice.client.close();
    await isRefused(await enter("whatsapp", "alice"));
    await node.stop();
    await start();
    await isRefused(await enter("whatsapp", "alice"));
  });

  test("what is not there, not of an open brand, and of no brand at all is refused alike", async () => {
    await node.stop();
    await start({ crossing: [{ from: "whatsapp", to: "messenger" }] });
    const [alice, bob] = [await enter("whatsapp", "alice"), await enter("instagram", "bob")];
    await bob.client.keys.upload(signalKeys("bob"));
    const nobody = bob.address.slice().fill(9, 2, 18);
    const noBrand = bob.address.slice().fill(0xee, 0, 2);
    for (const device of [bob.address, nobody, noBrand]) {
      expect(await refusal(alice.client.keys.claim(device, "signal"))).toBe("notFound 0");
    }
    const mel = await enter("messenger", "mel");
    expect(await refusal(alice.client.keys.claim(mel.address, "signal"))).toBe("keysMissing 0");
    expect((await bob.client.keys.stock()).preKey.count).toBe(30);
  });
});

test.each<[string, string, MsgpackMap, string]>([
  ["a claim of no device", "keys.claim", { suite: "signal" }, "badRequest"],
  ["a claim of an account", "keys.claim", { device: new Uint8Array(18), suite: "signal" }, "badRequest"],
  [
    "a claim of an unknown suite",
    "keys.claim",
    { device: new Uint8Array(20), suite: "toString" },
    "badRequest",
  ],
  ["an upload that is no list", "keys.upload", { preKey: { id: 1, key: new Uint8Array(3) } }, "badRequest"],
  ["a key without an id", "keys.upload", { preKey: [{ key: new Uint8Array(3) }] }, "badRequest"],
  ["a key that is no bytes", "keys.upload", { preKey: [{ id: 1, key: "abc" }] }, "badRequest"],
  ["an empty key", "keys.upload", { preKey: [{ id: 1, key: new Uint8Array() }] }, "badRequest"],
  ["ids that fall", "keys.upload", { preKey: keysOf("x", "y", 5, 2).reverse() }, "badRequest"],
  ["101 keys", "keys.upload", { preKey: keysOf("x", "y", 1, 101) }, "tooManyKeys"],
  ["two identities", "keys.upload", { identity: keysOf("x", "y", 1, 2) }, "tooManyKeys"],
  [
    "a key that is too large",
    "keys.upload",
    { preKey: [{ id: 1, key: new Uint8Array(limits.keyBytesMax + 1) }] },
    "keyTooLarge",
  ],
])("%s is refused", async (_name, method, body, code) => {
  const { client } = await enter("whatsapp", "alice");
  await expect(client.request({ method, body })).rejects.toMatchObject({ code });
  expect((await client.keys.stock()).preKey.count).toBe(0);
});

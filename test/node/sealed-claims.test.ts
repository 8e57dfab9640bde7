/** Claims of keys by somebody who is not named, over a real node and its sockets. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Client, createClient, createSealedClient, type SealedClient } from "../../src/client/client.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";
import { checkDirectory } from "../../src/store/store.js";
import type { MsgpackMap } from "../../src/wire/msgpack-value.js";
import { Stranger } from "../support/stranger.js";
import { bin, map, text } from "../support/stranger-codec.js";
import { until } from "../support/until.js";

let directory: string;
let node: InterlineNode;
const clients: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-sealed-claims-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

const bob = { brand: "instagram", account: "bob", device: 1 };
const carol = { brand: "messenger", account: "carol", device: 2 };

async function device(name: typeof bob): Promise<{ client: Client; notices: MsgpackMap[] }> {
  const client = createClient({ url: node.url as string, token: () => node.mintToken(name) });
  const notices: MsgpackMap[] = [];
  client.on("notice", ({ body }) => notices.push({ ...body }));
  clients.push(client);
  await client.connect();
  return { client, notices };
}

async function nobody(): Promise<SealedClient> {
  const token = () => node.mintAnonymousToken({ brand: "whatsapp" });
  const client = createSealedClient({ url: node.url as string, token });
  clients.push(client);
  await client.connect();
  return client;
}

const key = (id: number) => ({ id, key: Uint8Array.of(id, 7) });
const keysOf = (first: number, count: number) => Array.from({ length: count }, (_, i) => key(first + i));
const upload = (client: Client, count: number) =>
  client.keys.upload({
    ...{ identity: [key(1)], signedPreKey: [key(2)], lastResortKyber: [key(3)] },
    ...{ preKey: keysOf(11, count), kyberPreKey: keysOf(11, count) },
  });
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "done",
    ({ code }) => code as string,
  );

test("who holds the token begins a conversation: claims keys, sends, and has said to the node who it is in neither", async () => {
  const { client: phone } = await device(bob);
  const token = phone.deliveryToken.make();
  await phone.deliveryToken.set(token);
  await upload(phone, 2);
  const alice = await nobody();
  const claim = () => alice.claimKeys({ device: node.address(bob), suite: "signal", deliveryToken: token });
  expect(await claim()).toEqual({
    ...{ identity: key(1), signedPreKey: key(2), preKey: key(11), kyberPreKey: key(11) },
    isLastResort: false,
  });
  const named = (await device(carol)).client;
  expect((await named.keys.claim(node.address(bob), "signal")).preKey).toEqual(key(12));
  expect(await claim()).toEqual({
    ...{ identity: key(1), signedPreKey: key(2), kyberPreKey: key(3) },
    isLastResort: true,
  });
  await phone.keys.upload({ keyPackage: [key(5)] });
  const mls = { device: node.address(bob), suite: "mls", deliveryToken: token } as const;
  expect(await alice.claimKeys(mls)).toEqual({ keyPackage: key(5), isLastResort: false });
  expect(await codeOf(alice.claimKeys(mls))).toBe("keysMissing");
  const sealed = phone.once("sealed");
  const devices = [{ device: 1, payload: Buffer.from("hello") }];
  await alice.send({ account: node.address(bob).slice(0, 18), deliveryToken: token, version: 1, devices });
  expect(Buffer.from((await sealed).payload).toString()).toBe("hello");
});

test("who does not is told the same for every reason, and takes no key", async () => {
  const { client: phone } = await device(bob);
  const { client: other } = await device(carol);
  const token = phone.deliveryToken.make();
  await upload(phone, 5);
  await upload(other, 5);
  const alice = await nobody();
  const claim = (name: typeof bob, deliveryToken = token) =>
    codeOf(alice.claimKeys({ device: node.address(name), suite: "signal", deliveryToken }));
  const refused = "deliveryTokenRefused";
  expect([await claim(bob), await claim(carol), await claim({ ...bob, account: "nobody at all" })]).toEqual([
    ...[refused, refused, refused],
  ]);
  await phone.deliveryToken.set(token);
  expect([
    await claim(bob),
    await claim(bob, new Uint8Array(16)),
    await claim({ ...bob, device: 9 }),
  ]).toEqual([...["done", refused, "notFound"]]);
  const second = phone.deliveryToken.make();
  await phone.deliveryToken.rotate(second, { overlapMs: 60_000 });
  expect([await claim(bob), await claim(bob, second)]).toEqual(["done", "done"]);
  await phone.deliveryToken.revoke();
  expect([await claim(bob), await claim(bob, second)]).toEqual([refused, refused]);
  expect([(await phone.keys.stock()).preKey.count, (await other.keys.stock()).preKey.count]).toEqual([2, 5]);
  expect(
    await codeOf(
      alice.claimKeys({ device: node.address(bob), suite: "signal", deliveryToken: new Uint8Array(3) }),
    ),
  ).toBe("badArgument");
});

test("all of them together take half of a device's keys, over connections and a restart, and nobody is told of a new identity", async () => {
  let { client: phone, notices } = await device(bob);
  const token = phone.deliveryToken.make();
  await phone.deliveryToken.set(token);
  await upload(phone, 100);
  const taken = async (count: number) => {
    const alice = await nobody();
    let oneTime = 0;
    for (let i = 0; i < count; i++) {
      const bundle = await alice.claimKeys({
        device: node.address(bob),
        suite: "signal",
        deliveryToken: token,
      });
      if (bundle.preKey !== undefined) oneTime++;
    }
    return oneTime;
  };
  const half = limits.claimTargetTokens / 2;
  expect(await taken(half - 10)).toBe(half - 10);
  for (const client of clients.splice(0)) await client.close();
  await node.stop();
  expect((await checkDirectory(directory)).findings).toEqual([]);
  node = await createNode({ dataDirectory: directory, port: 0 });
  expect(await taken(15)).toBe(10);
  const { client: named } = await device(carol);
  expect((await named.keys.claim(node.address(bob), "signal")).preKey).toEqual(key(11 + half));
  ({ client: phone, notices } = await device(bob));
  await phone.keys.upload({ identity: [key(99)], signedPreKey: [key(2)] });
  await until("the own account was told", () => notices.some(({ notice }) => notice === "identity"));
});

test("one connection asks for so many and then waits, and is not ended", async () => {
  await node.stop();
  node = await createNode({ dataDirectory: directory, port: 0, limits: { sealedClaimTokens: 4 } });
  const { client: phone } = await device(bob);
  const token = phone.deliveryToken.make();
  await phone.deliveryToken.set(token);
  await upload(phone, 20);
  const alice = await nobody();
  const codes: string[] = [];
  for (let i = 0; i < 6; i++)
    codes.push(
      await codeOf(alice.claimKeys({ device: node.address(bob), suite: "signal", deliveryToken: token })),
    );
  expect(codes).toEqual([...Array(4).fill("done"), "rateLimited", "rateLimited"]);
  expect(alice.state).toBe("live");
});

test("what a device may ask is unknown here, and a claim without a token is none", async () => {
  const token = await node.mintAnonymousToken({ brand: "whatsapp" });
  const stranger = await Stranger.open({ port: Number(new URL(node.url as string).port), token });
  const device = bin(node.address(bob));
  const claim = map({ device, suite: text("signal") });
  const codes: number[] = [];
  for (const [method, body] of [
    ["devices.list", map({})],
    ["deliveryToken.revoke", map({})],
    ["keys.claim", claim],
  ] as const)
    codes.push((await stranger.request(method, body)).code);
  expect(codes).toEqual([601, 601, 610]);
  stranger.drop();
});

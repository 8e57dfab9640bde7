/** Sealed senders over a real node and its sockets: the SDK on both sides, tokens, changes of delivery tokens, restarts. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Client,
  createClient,
  createSealedClient,
  type InterlineError,
  type SealedClient,
  type SealedEnvelope,
} from "../../src/client/client.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { checkDirectory } from "../../src/store/store.js";
import { until } from "../support/until.js";

let directory: string;
let node: InterlineNode;
const clients: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-sealed-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

const bob = (device: number) => ({ brand: "instagram", account: "bob", device });
const account = () => node.address(bob(1)).slice(0, 18);

async function device(number: number, heard: SealedEnvelope[] = []): Promise<Client> {
  const token = () => node.mintToken(bob(number));
  const client = createClient({ url: node.url as string, token });
  clients.push(client);
  client.on("sealed", (envelope) => heard.push(envelope));
  const live = client.once("live");
  await client.connect();
  await live;
  return client;
}

async function nobody(): Promise<SealedClient> {
  const token = () => node.mintAnonymousToken({ brand: "whatsapp" });
  const client = createSealedClient({ url: node.url as string, token });
  clients.push(client);
  await client.connect();
  return client;
}

const textOf = ({ payload }: SealedEnvelope) => Buffer.from(payload).toString();
const payloads = (text: string, ...devices: number[]) =>
  devices.map((number) => ({ device: number, payload: Buffer.from(text) }));
const errorOf = (promise: Promise<unknown>): Promise<InterlineError> =>
  promise.then(
    () => {
      throw new Error("it was not refused");
    },
    (error) => error,
  );

test("somebody who is not named reaches every device, learning the devices from the refusal", async () => {
  const onPhone: SealedEnvelope[] = [];
  const onTablet: SealedEnvelope[] = [];
  const [phone, tablet] = [await device(1, onPhone), await device(2, onTablet)];
  const notices: unknown[] = [];
  tablet.on("notice", ({ body }) => notices.push({ ...body }));
  const deliveryToken = phone.deliveryToken.make();
  expect(await phone.deliveryToken.status()).toEqual({ isSet: false, previousForMs: 0 });
  expect(await phone.deliveryToken.set(deliveryToken)).toEqual({ isSet: true, previousForMs: 0 });
  const alice = await nobody();
  const to = { account: account(), deliveryToken };
  const stale = await errorOf(alice.send({ ...to, version: 0, devices: [] }));
  const [roster] = stale.detail.rosters ?? [];
  expect([stale.code, roster?.missing]).toEqual(["rosterStale", [1, 2]]);
  const version = roster?.version as number;
  const receipt = await alice.send({ ...to, version, devices: payloads("psst", 1, 2) });
  expect(receipt.durability).toBe("disk");
  await until("both have it", () => onPhone.length === 1 && onTablet.length === 1);
  expect([...onPhone, ...onTablet].map(textOf)).toEqual(["psst", "psst"]);
  expect(onPhone[0]?.id).not.toEqual(receipt.id);
  await until("the tablet was told", () =>
    notices.some((body) => (body as { isSet?: boolean }).isSet === true),
  );
});

test("a new token with an overlap, one without, none: each counts from its answer on", async () => {
  const envelopes: SealedEnvelope[] = [];
  const phone = await device(1, envelopes);
  const [first, second, third] = [1, 2, 3].map(() => phone.deliveryToken.make()) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const alice = await nobody();
  const send = (deliveryToken: Uint8Array, text: string) =>
    alice.send({ account: account(), deliveryToken, version: 1, devices: payloads(text, 1) });
  const isRefused = async (token: Uint8Array) => (await errorOf(send(token, "no"))).code;
  expect((await errorOf(phone.deliveryToken.rotate(first))).code).toBe("notFound");
  await phone.deliveryToken.set(first);
  await send(first, "1");
  expect((await phone.deliveryToken.rotate(second, { overlapMs: 60_000 })).previousForMs).toBeGreaterThan(
    59_000,
  );
  await send(first, "2");
  await send(second, "3");
  await phone.deliveryToken.set(third);
  expect([await isRefused(first), await isRefused(second)]).toEqual([
    ...["deliveryTokenRefused", "deliveryTokenRefused"],
  ]);
  await send(third, "4");
  await phone.deliveryToken.rotate(third, { overlapMs: 0 });
  await send(third, "5");
  expect(await phone.deliveryToken.revoke()).toEqual({ isSet: false, previousForMs: 0 });
  expect(await isRefused(third)).toBe("deliveryTokenRefused");
  await until("all have come", () => envelopes.length === 5);
  expect(envelopes.map(textOf)).toEqual(["1", "2", "3", "4", "5"]);
});

test("what was receipted waits for a device that is away, over a restart of the node, and the token outlives it", async () => {
  const phone = await device(1);
  const deliveryToken = phone.deliveryToken.make();
  await phone.deliveryToken.set(deliveryToken);
  await phone.close();
  const alice = await nobody();
  const to = { account: account(), deliveryToken, version: 1 };
  for (const text of ["a", "b", "c"]) await alice.send({ ...to, devices: payloads(text, 1) });
  await alice.close();
  await node.stop();
  expect(await checkDirectory(directory)).toMatchObject({
    findings: [],
    deliveryTokens: { accounts: 1 },
  });
  node = await createNode({ dataDirectory: directory, port: 0 });
  await (await nobody()).send({ ...to, devices: payloads("d", 1) });
  const envelopes: SealedEnvelope[] = [];
  await device(1, envelopes);
  await until("all have come", () => envelopes.length === 4);
  expect(envelopes.map(textOf)).toEqual(["a", "b", "c", "d"]);
});

test("more than a connection may send waits in the client, in order", async () => {
  await node.stop();
  const limits = { sealedConnectionMessages: 20, sealedConnectionMessageRefillMs: 20 };
  node = await createNode({ dataDirectory: directory, port: 0, limits });
  const envelopes: SealedEnvelope[] = [];
  const phone = await device(1, envelopes);
  const deliveryToken = phone.deliveryToken.make();
  await phone.deliveryToken.set(deliveryToken);
  const alice = await nobody();
  const refused: string[] = [];
  alice.on("refused", ({ error }) => refused.push(error.code));
  const texts = Array.from({ length: 50 }, (_, i) => String(i));
  await Promise.all(
    texts.map((text) =>
      alice.send({ account: account(), deliveryToken, version: 1, devices: payloads(text, 1) }),
    ),
  );
  await until("all have come", () => envelopes.length === 50);
  expect(envelopes.map(textOf)).toEqual(texts);
  expect(new Set(refused)).toEqual(new Set(["sealedTooFast"]));
});

describe("to several accounts", () => {
  const carol = { brand: "messenger", account: "carol", device: 3 };

  async function both() {
    const heard: Record<string, string[]> = { phone: [], tablet: [], carol: [] };
    const listen = (client: Client, name: string) =>
      client.on("sealed", ({ payload, block, id }) =>
        heard[name]?.push(
          `${Buffer.from(payload)}+${Buffer.from(block ?? [])} ${Buffer.from(id).toString("hex")}`,
        ),
      );
    const phone = await device(1);
    const other = createClient({ url: node.url as string, token: () => node.mintToken(carol) });
    clients.push(other);
    listen(phone, "phone");
    listen(await device(2), "tablet");
    listen(other, "carol");
    await other.connect();
    const tokens = [phone.deliveryToken.make(), other.deliveryToken.make()] as const;
    await phone.deliveryToken.set(tokens[0]);
    await other.deliveryToken.set(tokens[1]);
    const to = (text: string, version = 2, numbers = [1, 2]) => [
      { account: account(), deliveryToken: tokens[0], version, devices: blocks(text, ...numbers) },
      {
        account: node.address(carol).slice(0, 18),
        deliveryToken: tokens[1],
        version: 1,
        devices: blocks(text, 3),
      },
    ];
    return { heard, phone, other, tokens, to };
  }
  const blocks = (text: string, ...devices: number[]) =>
    devices.map((number) => ({ device: number, block: Buffer.from(`${text}${number}`) }));
  const shared = Buffer.from("all");

  test("every device gets the shared part and its block under one id, made anew for the rosters of now", async () => {
    const { heard, to } = await both();
    const alice = await nobody();
    const stales: number[][] = [];
    const receipt = await alice.sendShared({
      shared,
      to: to("x", 0, []),
      renew: (stale) => {
        stales.push(...stale.map(({ missing }) => [...missing]));
        return to("x");
      },
    });
    expect([receipt.durability, stales]).toEqual(["disk", [[1, 2]]]);
    await until("all have it", () => Object.values(heard).every((texts) => texts.length === 1));
    const [id = ""] = (heard.carol?.[0] ?? "").split(" ").slice(1);
    expect(heard).toEqual({ phone: [`all+x1 ${id}`], tablet: [`all+x2 ${id}`], carol: [`all+x3 ${id}`] });
    expect(id).not.toBe(Buffer.from(receipt.id).toString("hex"));
  });

  test("who is refused is named, and the rest is sent to without them under the same id, once", async () => {
    const { heard, other, to } = await both();
    const alice = await nobody();
    await other.deliveryToken.revoke();
    const [first, second] = to("x");
    const id = crypto.getRandomValues(new Uint8Array(16));
    const refused = await errorOf(alice.sendShared({ id, shared, to: to("x") }));
    expect([refused.code, refused.detail.accounts]).toEqual(["deliveryTokenRefused", [second?.account]]);
    await alice.sendShared({ id, shared, to: [first as NonNullable<typeof first>] });
    await alice.sendShared({ id, shared, to: [first as NonNullable<typeof first>] });
    await alice.sendShared({
      shared,
      to: [{ ...(first as NonNullable<typeof first>), devices: blocks("y", 1, 2) }],
    });
    await until("the phone has both", () => heard.phone?.length === 2);
    expect(heard.phone?.map((text) => text.split(" ")[0])).toEqual(["all+x1", "all+y1"]);
    expect(heard.carol).toEqual([]);
  });

  test("what was receipted waits for all of them over a restart of the node", async () => {
    const { to } = await both();
    const alice = await nobody();
    for (const client of clients.splice(0)) if (client !== alice) await client.close();
    for (const text of ["a", "b"])
      await alice.sendShared({ shared: Buffer.from(text.repeat(9)), to: to(text) });
    await alice.close();
    await node.stop();
    expect((await checkDirectory(directory)).findings).toEqual([]);
    node = await createNode({ dataDirectory: directory, port: 0 });
    const envelopes: SealedEnvelope[] = [];
    await device(2, envelopes);
    await until("both have come", () => envelopes.length === 2);
    const texts = envelopes.map(
      ({ payload, block }) => `${Buffer.from(payload)}+${Buffer.from(block ?? [])}`,
    );
    expect(texts).toEqual(["aaaaaaaaa+a2", "bbbbbbbbb+b2"]);
  });
});

test("a device of the node's own process may send as nobody too", async () => {
  const envelopes: SealedEnvelope[] = [];
  const phone = await device(1, envelopes);
  const deliveryToken = phone.deliveryToken.make();
  await phone.deliveryToken.set(deliveryToken);
  const alice = node.attachSealed("messenger");
  clients.push(alice);
  await alice.connect();
  await alice.send({ account: account(), deliveryToken, version: 1, devices: payloads("near", 1) });
  await until("it has come", () => envelopes.length === 1);
  expect(node.stats().unidentified).toBe(1);
});

test("the SDK refuses what cannot be a delivery token", async () => {
  const phone = await device(1);
  expect(() => phone.deliveryToken.set(new Uint8Array(15))).toThrow("16 bytes");
  const alice = await nobody();
  const opened = { account: account(), deliveryToken: new Uint8Array(17), version: 1, devices: [] };
  expect((await errorOf(alice.send(opened))).code).toBe("badArgument");
  const shared = new Uint8Array(1);
  expect((await errorOf(alice.sendShared({ shared, to: [opened] }))).code).toBe("badArgument");
  expect((await errorOf(alice.sendShared({ shared, to: [] }))).code).toBe("badArgument");
});

/**
 * Devices that are away are woken: a real node, devices over sockets, and a push service of the test that receives
 * real requests and checks what they are signed with.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import webPush from "web-push";
import { type Client, type ClientOptions, createClient } from "../../src/client/client.js";
import { createNode, type InterlineNode, type NodeOptions, type PushOutcome } from "../../src/index.js";
import { checkDirectory } from "../../src/store/store.js";
import { freshAccount, requestTo, Taken } from "../client/contract.js";
import { PushEndpoint, verifyWebhook, verifyWebPush } from "../support/push-endpoint.js";
import { until } from "../support/until.js";

const keys = { subject: "mailto:ops@example.net", ...webPush.generateVAPIDKeys() };
const secret = "a secret of the brand";
const SPILL_MS = 100;

let directory: string;
let endpoint: PushEndpoint;
let node: InterlineNode;
const clients: Client[] = [];
let alice: ReturnType<typeof freshAccount>;
let bob: ReturnType<typeof freshAccount>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-push-"));
  endpoint = await PushEndpoint.start();
  alice = freshAccount("whatsapp");
  bob = freshAccount("instagram");
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await node.stop();
  await endpoint.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function startNode(limits: NodeOptions["limits"] = {}, push?: NodeOptions["push"]): Promise<void> {
  const webhooks = [{ brand: "instagram", url: `${endpoint.origin}/gateway`, secret }];
  node = await createNode({
    dataDirectory: directory,
    port: 0,
    push: push ?? { webPush: { ...keys, hosts: ["127.0.0.1"], allowPrivateEndpoints: true }, webhooks },
    limits: { spillAgeMs: SPILL_MS, pushRetryBaseMs: 100, ...limits },
  });
}

async function come(account: typeof bob, options: Partial<ClientOptions> = {}): Promise<Client> {
  const name = { ...account, device: 1 };
  const client = createClient({ url: node.url as string, token: () => node.mintToken(name), ...options });
  clients.push(client);
  await client.connect();
  return client;
}

async function registerAndLeave(target = `${endpoint.origin}/bob`, kind = "webPush"): Promise<void> {
  const client = await come(bob);
  await client.push.register({ kind, target });
  await client.close();
  await until("the device is away", () => node.stats().connections === 0);
}

async function sendTo(sender: Client, payload: Uint8Array): Promise<void> {
  await sender.send(await requestTo(sender, bob.text, payload));
}

async function sendOne(payload: Uint8Array = randomBytes(32)): Promise<void> {
  const sender = await come(alice);
  await sendTo(sender, payload);
  await sender.close();
}

/** Everything that the node has to say by now about what was sent so far has been said. */
async function spilled(entries: number): Promise<void> {
  await until(`${entries} entries are queued`, () => node.stats().store.spilledEntries >= entries);
  await new Promise((resolve) => setTimeout(resolve, 150));
}

test("a device that is away is woken by web push, once, and not told what or who", async () => {
  await startNode();
  await registerAndLeave();
  const payload = Buffer.from(`canary-${randomBytes(16).toString("hex")}`);
  const sender = await come(alice);
  for (let i = 0; i < 5; i++) {
    await sendTo(sender, payload);
    await new Promise((resolve) => setTimeout(resolve, SPILL_MS));
  }
  await spilled(5);
  expect(endpoint.requests.length).toBe(1);
  const [request] = endpoint.requests;
  if (request === undefined) throw new Error("one request");
  const pushed = await verifyWebPush(request, { origin: endpoint.origin, publicKey: keys.publicKey });
  expect(pushed).toMatchObject({ method: "POST", urgency: "high" });
  expect(request.path).toBe("/bob");
  expect(pushed.body.length).toBe(0);
  const named = ["authorization", "connection", "content-length", "host", "topic", "ttl", "urgency"];
  expect(Object.keys(request.headers).sort()).toEqual(named);
  const [, claims = ""] = String(request.headers.authorization).split(".");
  const all = JSON.stringify(request.headers) + request.path + Buffer.from(claims, "base64url").toString();
  for (const secretText of [payload.toString(), payload.toString("base64url"), alice.account, bob.account])
    expect(all).not.toContain(secretText);
  await until("it is counted", () => node.stats().push?.sent === 1);
  expect(node.stats().push).toMatchObject({ failed: 0, gone: 0, waiting: 0 });
  expect(node.stats().push?.coalesced).toBeGreaterThan(0);
});

test("once it has come and left again it is woken anew", async () => {
  await startNode();
  await registerAndLeave();
  await sendOne();
  await endpoint.received("/bob", 1);
  await until("the wake-up is settled", () => node.stats().push?.sent === 1);
  const client = await come(bob);
  await new Taken(client).count(1);
  await client.close();
  await sendOne();
  await endpoint.received("/bob", 2);
});

test("a device that is connected is not woken although it acks nothing, but when its connection breaks", async () => {
  await startNode({ pushIntervalMs: 1_000 });
  const client = await come(bob, { acks: "manual" });
  await client.push.register({ kind: "webPush", target: `${endpoint.origin}/bob` });
  const taken = new Taken(client);
  await sendOne();
  await taken.count(1);
  await spilled(1);
  expect(endpoint.requests).toEqual([]);
  await client.close();
  await endpoint.received("/bob", 1);
});

test("an attempt that fails is repeated", async () => {
  endpoint.answer = (_, count) => ({ status: count < 3 ? 503 : 201 });
  await startNode();
  await registerAndLeave();
  await sendOne();
  await endpoint.received("/bob", 3);
  await until("it got through", () => node.stats().push?.sent === 1);
  expect(node.stats().push).toMatchObject({ retried: 2, failed: 0, waiting: 0 });
});

test("a dead target is forgotten, and a new one is used", async () => {
  endpoint.answer = (path) => ({ status: path === "/dead" ? 410 : 201 });
  await startNode();
  await registerAndLeave(`${endpoint.origin}/dead`);
  await sendOne();
  await endpoint.received("/dead", 1);
  await until("it is forgotten", () => node.stats().push?.gone === 1);
  await sendOne();
  await spilled(2);
  expect(endpoint.requests.length).toBe(1);
  await registerAndLeave(`${endpoint.origin}/new`);
  await sendOne();
  await endpoint.received("/new", 1);
  expect(endpoint.to("/dead").length).toBe(1);
});

test("no more after unregister", async () => {
  await startNode();
  await registerAndLeave();
  const client = await come(bob);
  await client.push.unregister();
  await client.push.unregister();
  await client.close();
  await sendOne();
  await spilled(1);
  expect(endpoint.requests).toEqual([]);
});

describe("over a restart", () => {
  test("a target is still there", async () => {
    await startNode();
    await registerAndLeave();
    await node.stop();
    expect(await checkDirectory(directory)).toMatchObject({ ok: true, push: { targets: 1 } });
    await startNode();
    await sendOne();
    await endpoint.received("/bob", 1);
  });

  test("what was accepted right before the end, and moved to its queue by no run, wakes too", async () => {
    await startNode({ spillAgeMs: 60_000 });
    await registerAndLeave();
    await sendOne();
    await node.stop();
    expect(endpoint.requests).toEqual([]);
    await startNode({ pushScanDelayMs: 0 });
    await endpoint.received("/bob", 1);
  });

  test("a wake-up that was not sent is sent by the next run, and not by the one after it", async () => {
    endpoint.answer = () => ({ status: 503 });
    await startNode({ pushRetryBaseMs: 60_000 });
    await registerAndLeave();
    await sendOne();
    await endpoint.received("/bob", 1);
    await node.stop();
    endpoint.answer = () => ({ status: 201 });
    await startNode({ pushScanDelayMs: 0 });
    await endpoint.received("/bob", 2);
    await until("the wake-up is settled", () => node.stats().push?.sent === 1);
    await node.stop();
    await startNode({ pushScanDelayMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(endpoint.requests.length).toBe(2);
  });
});

test("a brand's gateway gets what the device registered, signed", async () => {
  await startNode();
  await registerAndLeave("a token of the brand's", "webhook");
  await sendOne();
  const [request] = await endpoint.received("/gateway", 1);
  if (request === undefined) throw new Error("one request");
  const target = Buffer.from("a token of the brand's").toString("base64url");
  expect(verifyWebhook(request, secret)).toEqual({ target, urgency: "high" });
});

test("what may be registered is told, and nothing else is taken", async () => {
  await startNode();
  const whatsapp = await come(alice);
  const instagram = await come(bob);
  const ofWebPush = { kind: "webPush", publicKey: keys.publicKey };
  expect(await whatsapp.push.describe()).toEqual([ofWebPush]);
  expect(await instagram.push.describe()).toEqual([ofWebPush, { kind: "webhook" }]);
  const refused = async (client: Client, kind: string, target: string) =>
    client.push.register({ kind, target }).then(
      () => "taken",
      ({ code }) => code,
    );
  expect(await refused(whatsapp, "webhook", "x")).toBe("notAllowed");
  expect(await refused(whatsapp, "toString", "x")).toBe("notAllowed");
  expect(await refused(instagram, "webhook", "")).toBe("badRequest");
  expect(await refused(instagram, "webhook", "x".repeat(2049))).toBe("badRequest");
  expect(await refused(instagram, "webhook", "x".repeat(2048))).toBe("taken");
  for (const target of [
    "https://evil.example/x",
    "http://localhost/x",
    "http://169.254.169.254/x",
    "nothing",
  ])
    expect(await refused(whatsapp, "webPush", target)).toBe("badRequest");
});

test("an embedder's own sender is asked, and may throw", async () => {
  const asked: unknown[] = [];
  await startNode(
    {},
    {
      kinds: (brand) => (brand === "instagram" ? [{ kind: "bell" }, { kind: "x".repeat(33) }] : []),
      send: async (wakeUp): Promise<PushOutcome> => {
        asked.push(wakeUp);
        if (asked.length === 1) throw new Error("not now");
        return { result: "sent" };
      },
    },
  );
  await expect(registerAndLeave("ring", "x".repeat(33))).rejects.toMatchObject({ code: "notAllowed" });
  await registerAndLeave("ring", "bell");
  await sendOne();
  await until("it got through", () => node.stats().push?.sent === 1);
  const expected = { kind: "bell", target: Buffer.from("ring"), brand: "instagram", urgency: "high" };
  expect(asked.map((wakeUp) => ({ ...(wakeUp as object), target: Buffer.from("ring") }))).toEqual([
    expected,
    expected,
  ]);
});

test("a node without push has no such methods", async () => {
  node = await createNode({ dataDirectory: directory, port: 0 });
  const client = await come(bob);
  await expect(client.push.describe()).rejects.toMatchObject({ code: "requestUnknown" });
});

/** The client against a real node, over a socket and inside the process; and what only a socket can show. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ClientOptions, createClient } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { createNode, type DeviceName, type InterlineNode } from "../../src/index.js";
import { describeContract, freshAccount, payloadOf, requestTo, Taken } from "./contract.js";

let directory: string;
let node: InterlineNode;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-client-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});

afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

function overSocket(name: DeviceName, options: Partial<ClientOptions> = {}) {
  const backOff = { baseMs: 20, capMs: 100 };
  const token = () => node.mintToken(name);
  return createClient({ url: node.url as string, token, backOff, ...options });
}

const transport = nodeTransport();
const hasOwnWebSocket = typeof globalThis.WebSocket === "function";

describeContract(`the default transport (${hasOwnWebSocket ? "the platform's" : "ours"})`, () => ({
  client: overSocket,
}));
// Where the platform has a WebSocket of its own, the default is not ours.
if (hasOwnWebSocket) {
  describeContract("our own WebSocket", () => ({
    client: (name, options) => overSocket(name, { transport, ...options }),
  }));
}
describeContract("the node's own process", () => ({ client: (name, options) => node.attach(name, options) }));

test("a token of another brand's key, an expired one and garbage are refused, and a good one then helps", async () => {
  const name = { ...freshAccount("whatsapp"), device: 1 };
  const good = await node.mintToken(name);
  const expired = await node.mintToken({ ...name, ttlMs: -60_000 });
  const [head, , signature] = (await node.mintToken({ ...name, brand: "instagram" })).split(".");
  const [, claims] = good.split(".");
  const tokens = [`${head}.${claims}.${signature}`, expired, "garbage"];
  const refused: string[] = [];
  const client = overSocket(name, { token: () => tokens.shift() ?? good });
  client.on("disconnected", ({ error }) => refused.push(error.code));
  await client.connect();
  expect(refused).toEqual(["tokenInvalid", "tokenExpired", "tokenInvalid"]);
  await client.close();
});

test("a node that stops and starts again loses nothing, and sends made meanwhile arrive once and in order", async () => {
  const own = mkdtempSync(join(tmpdir(), "interline-restart-"));
  const settings = { dataDirectory: own, port: 0, limits: { drainRetryMinMs: 10, drainRetryMaxMs: 50 } };
  let running = await createNode(settings);
  const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
  // The second run has a port of its own, so the client's way to the node is looked up at each attempt.
  const transport = {
    connect: (_url: string, subprotocol: string) =>
      nodeTransport().connect(running.url as string, subprotocol),
  };
  const options = { url: "ws://node", transport, backOff: { baseMs: 20, capMs: 100 } };
  const alice = createClient({ ...options, token: () => running.mintToken({ ...from, device: 1 }) });
  const bob = createClient({ ...options, token: () => running.mintToken({ ...to, device: 1 }) });
  const taken = new Taken(bob);
  await Promise.all([alice.connect(), bob.connect()]);
  const request = await requestTo(alice, to.text, payloadOf(0));
  const send = (number: number) =>
    alice.send({
      to: request.to.map((entry) => ({ ...entry, devices: [{ device: 1, payload: payloadOf(number) }] })),
    });

  const sends = Array.from({ length: 100 }, (_, i) => send(i));
  await sends[0];
  const lost = alice.once("disconnected");
  await running.stop();
  expect(await lost).toMatchObject({ error: { code: "draining" } });
  for (let i = 100; i < 200; i++) sends.push(send(i));
  running = await createNode(settings);
  await Promise.all(sends);
  await taken.count(200);
  expect(taken.numbers).toEqual(Array.from({ length: 200 }, (_, i) => i));

  await Promise.all([alice.close(), bob.close()]);
  await running.stop();
  rmSync(own, { recursive: true });
});

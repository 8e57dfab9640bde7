/**
 * A client in another language, written from docs/protocol.md alone, against a
 * real node and the SDK. Runs where Debian's python3-websockets and
 * python3-msgpack are installed; elsewhere it says that it does not run.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { type Client, createClient } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { accountOf, createNode, type DeviceName, type InterlineNode } from "../../src/index.js";
import { requestTo, Taken } from "../client/contract.js";

const python = "/usr/bin/python3";
const program = fileURLToPath(new URL("client.py", import.meta.url));
const isPresent = spawnSync(python, ["-c", "import websockets, msgpack"]).status === 0;

interface PythonEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** The Python program: commands in, events out. */
class PythonClient {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #events: PythonEvent[] = [];
  #errors = "";
  #wake: (() => void) | undefined;

  constructor() {
    this.#process = spawn(python, [program], { stdio: "pipe" });
    this.#ended = once(this.#process, "close");
    this.#process.stderr?.on("data", (bytes: Buffer) => {
      this.#errors += bytes.toString();
    });
    createInterface({ input: this.#process.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#events.push(JSON.parse(line) as PythonEvent);
      this.#wake?.();
    });
    this.#process.on("close", () => this.#wake?.());
  }

  do(command: { readonly do: string; readonly [field: string]: unknown }): void {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** The next event, which must be one of these. */
  async expect(...events: string[]): Promise<PythonEvent> {
    while (this.#events.length === 0) {
      if (this.#process.exitCode !== null) throw new Error(`the Python client ended: ${this.#errors}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const next = this.#events.shift() as PythonEvent;
    if (!events.includes(next.event)) throw new Error(`expected ${events}, not ${JSON.stringify(next)}`);
    return next;
  }

  async close(): Promise<string> {
    this.do({ do: "close" });
    this.#process.stdin?.end();
    await this.#ended;
    return this.#errors;
  }
}

describe("the Python client", () => {
  if (!isPresent) {
    test("is NOT RUN here", () => {
      console.warn(`not run: ${python} with python3-websockets and python3-msgpack is not installed`);
    });
    return;
  }

  let directory: string;
  let node: InterlineNode;
  const open: { close(): Promise<unknown> }[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "interline-python-"));
    node = await createNode({ dataDirectory: directory, port: 0 });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()));
  });
  afterAll(async () => {
    await node.stop();
    rmSync(directory, { recursive: true });
  });

  async function sdk(name: DeviceName): Promise<Client> {
    const client = createClient({
      url: node.url as string,
      token: () => node.mintToken(name),
      transport: nodeTransport(),
    });
    open.push(client);
    await client.connect();
    return client;
  }

  function startPython(): PythonClient {
    const client = new PythonClient();
    open.push(client);
    return client;
  }

  async function connectPython(client: PythonClient, name: DeviceName): Promise<PythonEvent> {
    client.do({ do: "connect", url: node.url, token: await node.mintToken(name) });
    return client.expect("welcome");
  }

  const accountHex = (name: DeviceName) => toHex(accountOf(node.address(name)));

  test("signs in, sends to a device of another brand, receives and acks", async () => {
    const [alice, bob] = [
      { brand: "whatsapp", account: "alice", device: 1 },
      { brand: "instagram", account: "bob", device: 3 },
    ];
    const other = await sdk(bob);
    const taken = new Taken(other);
    const client = startPython();
    expect(await connectPython(client, alice)).toMatchObject({
      device: toHex(node.address(alice)),
      position: 0,
      durability: "disk",
      payloadBytesMax: 98_304,
    });
    await client.expect("live");

    client.do({ do: "send", to: [accountHex(bob)], payload: "c0ffee" });
    const receipt = await client.expect("receipt");
    expect(receipt).toMatchObject({ durability: 2 });
    const [envelope] = await taken.count(1);
    expect(toHex(envelope?.id as Uint8Array)).toBe(receipt.id);
    expect(toHex(envelope?.sender as Uint8Array)).toBe(toHex(node.address(alice)));
    expect(toHex(envelope?.payload as Uint8Array)).toBe("c0ffee");

    await other.send(await requestTo(other, `1/${accountHex(alice).slice(4)}`, Uint8Array.of(0xbe, 0xef)));
    const received = await client.expect("envelope");
    expect(received).toMatchObject({ sender: toHex(node.address(bob)), payload: "beef" });
    client.do({ do: "ack", sequence: received.sequence });
    expect(await client.close()).toBe("");
  });

  test("corrects a stale roster from the refusal and sends again under the same id", async () => {
    const [carol, dave] = [
      { brand: "messenger", account: "carol", device: 1 },
      { brand: "whatsapp", account: "dave", device: 1 },
    ];
    const first = new Taken(await sdk(dave));
    const client = startPython();
    await connectPython(client, carol);
    await client.expect("live");
    client.do({ do: "send", to: [accountHex(dave)], payload: "01" });
    await client.expect("receipt");

    const second = new Taken(await sdk({ ...dave, device: 2 }));
    client.do({ do: "send", to: [accountHex(dave)], payload: "02" });
    const refused = await client.expect("refused");
    expect(refused).toMatchObject({
      code: 301,
      rosters: [{ account: accountHex(dave), version: 2, missing: [2], surplus: [] }],
    });
    expect(await client.expect("receipt")).toMatchObject({ id: refused.id });
    expect((await first.count(2)).map(({ payload }) => payload[0])).toEqual([1, 2]);
    expect((await second.count(1)).map(({ payload }) => payload[0])).toEqual([2]);
  });

  test("resumes after a cut: what it did not ack comes again in order, what it sent arrives once", async () => {
    const [erin, frank] = [
      { brand: "instagram", account: "erin", device: 1 },
      { brand: "messenger", account: "frank", device: 1 },
    ];
    const other = await sdk(frank);
    const taken = new Taken(other);
    const client = startPython();
    await connectPython(client, erin);
    await client.expect("live");
    const toErin = async (byte: number) =>
      other.send(await requestTo(other, `2/${accountHex(erin).slice(4)}`, Uint8Array.of(byte)));

    for (const byte of [1, 2, 3]) await toErin(byte);
    const before = [];
    for (let i = 0; i < 3; i++) before.push(await client.expect("envelope"));
    client.do({ do: "ack", sequence: before[0]?.sequence });
    // The receipt of a later send shows that the ack was read.
    client.do({ do: "send", to: [accountHex(frank)], payload: "0a" });
    await client.expect("receipt");

    client.do({ do: "send", to: [accountHex(frank)], payload: "0b" });
    client.do({ do: "cut" });
    let event = await client.expect("receipt", "ended");
    const receiptedEarly = event.event === "receipt";
    if (receiptedEarly) event = await client.expect("ended");
    for (const byte of [4, 5]) await toErin(byte);

    expect(await connectPython(client, erin)).toMatchObject({ position: before[0]?.sequence });
    const after: unknown[] = [];
    let receipts = receiptedEarly ? 1 : 0;
    while (after.length < 5 || receipts < 1) {
      const next = await client.expect("repeated", "envelope", "live", "receipt");
      if (next.event === "receipt") receipts += 1;
      else if (next.event === "envelope") after.push(next.payload);
      else if (next.event === "live") after.push("live");
    }
    expect(after).toEqual(["02", "03", "04", "05", "live"]);
    // Everything between the brands has passed: nothing came twice.
    client.do({ do: "send", to: [accountHex(frank)], payload: "0c" });
    await client.expect("receipt");
    expect((await taken.count(3)).map(({ payload }) => payload[0])).toEqual([10, 11, 12]);
  });

  test("is told why a bad token does not sign it in", async () => {
    const client = startPython();
    client.do({ do: "connect", url: node.url, token: "not a token" });
    expect(await client.expect("ended")).toMatchObject({ code: 201, closeCode: 4201 });
  });

  test("is told when a newer connection of the same device takes over", async () => {
    const name = { brand: "whatsapp", account: "grace", device: 1 };
    const client = startPython();
    await connectPython(client, name);
    await client.expect("live");
    await sdk(name);
    expect(await client.expect("ended")).toMatchObject({ code: 501, closeCode: 4501 });
  });
});

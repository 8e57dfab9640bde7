/**
 * The Python program of this folder, driven from tests, and what a test has beside it: a real node, and devices with the SDK.
 * It runs where Debian's python3-websockets and python3-msgpack are installed; elsewhere it says that it does not run.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { type Client, createClient } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { accountOf, createNode, type DeviceName, type InterlineNode } from "../../src/index.js";

/** Where it is installed. */
export const python = "/usr/bin/python3";
const program = fileURLToPath(new URL("client.py", import.meta.url));
const isPresent = spawnSync(python, ["-c", "import websockets, msgpack"]).status === 0;

export interface PythonEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** The Python program: commands in, events out. */
export class PythonClient {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #events: PythonEvent[] = [];
  #errors = "";
  #wake: (() => void) | undefined;

  constructor() {
    this.#process = spawn(python, ["-B", program], { stdio: "pipe" });
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

export interface World {
  readonly node: InterlineNode;
  /** A device with the SDK, connected. */
  readonly sdk: (name: DeviceName) => Promise<Client>;
  readonly startPython: () => PythonClient;
  /** Signed in; the answer is the welcome. */
  readonly connectPython: (client: PythonClient, name: DeviceName) => Promise<PythonEvent>;
  /** Signed in as nobody, and live. */
  readonly connectAsNobody: (client: PythonClient, brand: string) => Promise<PythonEvent>;
  readonly accountHex: (name: DeviceName) => string;
}

/** `tests` may use what it is given when they run, not before. */
export function withPython(name: string, tests: (world: World) => void): void {
  describe(name, () => {
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

    const connect = (client: PythonClient, token: string) => {
      client.do({ do: "connect", url: node.url, token });
      return client.expect("welcome");
    };

    tests({
      get node() {
        return node;
      },
      async sdk(device) {
        const client = createClient({
          url: node.url as string,
          token: () => node.mintToken(device),
          transport: nodeTransport(),
        });
        open.push(client);
        await client.connect();
        return client;
      },
      startPython() {
        const client = new PythonClient();
        open.push(client);
        return client;
      },
      connectPython: async (client, device) => connect(client, await node.mintToken(device)),
      async connectAsNobody(client, brand) {
        const welcome = await connect(client, await node.mintAnonymousToken({ brand }));
        await client.expect("live");
        return welcome;
      },
      accountHex: (device) => toHex(accountOf(node.address(device))),
    });
  });
}

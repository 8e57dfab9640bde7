/** The client in a browser: small, self-contained, and running with nothing but what browsers have. */
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { encodeWelcome } from "../../src/wire/control.js";
import { decodeHello } from "../../src/wire/hello.js";
import { welcomeBody } from "./scripted-transport.js";

const GZIPPED_BYTES_MAX = 20 * 1024;
const TRANSFER_GZIPPED_BYTES_MAX = 10 * 1024;

async function bundle(format: "esm" | "iife", entry = "client"): Promise<string> {
  const result = await build({
    entryPoints: [`src/client/${entry}.ts`],
    bundle: true,
    minify: true,
    write: false,
    platform: "browser",
    format,
    globalName: "interline",
    logLevel: "silent",
  });
  expect(result.warnings).toEqual([]);
  return result.outputFiles[0]?.text as string;
}

test("the bundle for browsers is at most 20 KB gzipped", async () => {
  const bytes = gzipSync(await bundle("esm")).length;
  console.log(`client bundle: ${bytes} bytes gzipped`);
  expect(bytes).toBeLessThanOrEqual(GZIPPED_BYTES_MAX);
  expect(bytes).toBeGreaterThan(1_000);
});

test("transfers are an entry of their own, which holds no client and no Node", async () => {
  const text = await bundle("esm", "transfer");
  const bytes = gzipSync(text).length;
  console.log(`transfer bundle: ${bytes} bytes gzipped`);
  expect(bytes).toBeLessThanOrEqual(TRANSFER_GZIPPED_BYTES_MAX);
  for (const trace of [/node:/, /require\(/, /\bprocess\b/, /\bBuffer\b/, /WebSocket/])
    expect(text).not.toMatch(trace);
  expect(await bundle("esm")).not.toContain("interline-transfer");
});

test.each(["client", "encrypted-client"])(
  "the bundle of %s holds nothing of Node and no dependency",
  async (entry) => {
    const text = await bundle("esm", entry);
    for (const trace of [/node:/, /require\(/, /\bprocess\b/, /\bBuffer\b/, /msgpackr/, /Sec-WebSocket/]) {
      expect(text).not.toMatch(trace);
    }
  },
);

test("the bundle signs in with a browser's globals only", async () => {
  const written: Uint8Array[] = [];
  class FakeWebSocket {
    binaryType = "blob";
    bufferedAmount = 0;
    onopen: (() => void) | undefined;
    onmessage: ((event: { data: ArrayBuffer }) => void) | undefined;
    onclose: ((event: { code: number; reason: string }) => void) | undefined;
    constructor() {
      setTimeout(() => this.onopen?.(), 0);
    }
    send(bytes: Uint8Array): void {
      written.push(Uint8Array.from(bytes));
      const { buffer } = Uint8Array.from(encodeWelcome(welcomeBody()));
      setTimeout(() => this.onmessage?.({ data: buffer }), 0);
    }
    close(code: number): void {
      setTimeout(() => this.onclose?.({ code, reason: "" }), 0);
    }
  }
  const globals = {
    WebSocket: FakeWebSocket,
    ArrayBuffer,
    Uint8Array,
    DataView,
    TextEncoder,
    TextDecoder,
    crypto,
    performance,
    queueMicrotask,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
  };
  const result = runInNewContext(
    `${await bundle("iife")}
    const client = interline.createClient({ url: "wss://example", token: () => "a token" });
    client.connect().then(async (welcome) => {
      await client.close();
      return [welcome.durability, client.state];
    });`,
    globals,
  ) as Promise<unknown>;
  expect(Array.from((await result) as unknown[])).toEqual(["disk", "closed"]);
  expect(decodeHello(written[0] as Uint8Array, 4096).token).toBe("a token");
});

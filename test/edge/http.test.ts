import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { describe, expect, test } from "vitest";
import { startEdge } from "../../src/edge/edge.js";
import { RawWebSocket } from "../support/raw-web-socket.js";
import { bench, hello, StubNode, until } from "./stub-node.js";

function fetchText(port: number, path: string, method = "GET") {
  return new Promise<{ status: number; type: string; text: string; upgrade: string | undefined }>(
    (resolve, reject) => {
      const request = get({ host: "127.0.0.1", port, path, method, agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers["content-type"] ?? "",
            text,
            upgrade: response.headers.upgrade,
          }),
        );
      });
      request.on("error", reject);
    },
  );
}

describe("HTTP", () => {
  test("liveness answers while the process turns, readiness says what the node says", async () => {
    const { edge, node } = await bench();
    expect(await fetchText(edge.port, "/health/live")).toMatchObject({
      status: 200,
      text: '{"live":true}\n',
    });
    expect(await fetchText(edge.port, "/health/ready")).toMatchObject({
      status: 200,
      type: "application/json",
    });
    node.isReady = false;
    const answer = await fetchText(edge.port, "/health/ready");
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toEqual({ ready: false });
    expect((await fetchText(edge.port, "/health/live")).status).toBe(200);
    expect(await fetchText(edge.port, "/health/ready", "HEAD")).toMatchObject({ status: 503, text: "" });
    node.isReady = true;
    expect(await fetchText(edge.port, "/health/ready", "HEAD")).toMatchObject({ status: 200, text: "" });
    expect(await fetchText(edge.port, "/health/live", "HEAD")).toMatchObject({ status: 200, text: "" });
  });

  test("metrics come from the node, and there is no such path without it", async () => {
    const { edge } = await bench();
    expect(await fetchText(edge.port, "/metrics")).toMatchObject({ status: 200, text: "interline_up 1\n" });
    const bare = new StubNode();
    Object.assign(bare, { metrics: undefined });
    const second = await startEdge({ host: "127.0.0.1", port: 0 }, bare);
    expect((await fetchText(second.port, "/metrics")).status).toBe(404);
    await second.stop();
  });

  test("metrics that cannot be read are a 500, and a peer that leaves meanwhile harms nothing", async () => {
    const { edge, node } = await bench();
    node.metrics = () => Promise.reject(new Error("no"));
    expect((await fetchText(edge.port, "/metrics")).status).toBe(500);
    let answer: (text: string) => void = () => undefined;
    node.metrics = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const raw = await RawWebSocket.dial({ port: edge.port });
    raw.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    await until(() => edge.stats().heads === 1, "the request is there");
    raw.destroy();
    await until(() => edge.stats().heads === 0, "the peer has left");
    answer("late\n");
    await new Promise((resolve) => setImmediate(resolve));
    expect((await fetchText(edge.port, "/health/live")).status).toBe(200);
  });

  test.each([
    ["GET", "/", 426],
    ["GET", "/nothing", 404],
    ["POST", "/", 404],
    ["POST", "/health/live", 404],
    ["GET", "/health", 404],
    ["DELETE", "/metrics", 404],
  ])("%s %s is answered with %i", async (method, path, status) => {
    const { edge } = await bench();
    expect((await fetchText(edge.port, path, method)).status).toBe(status);
  });

  test("every answer closes its connection", async () => {
    const { edge } = await bench();
    for (const path of ["/health/live", "/health/ready", "/metrics", "/", "/x"]) {
      const raw = await RawWebSocket.dial({ port: edge.port });
      raw.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      await raw.ended;
    }
    expect(edge.stats().heads).toBe(0);
  });
});

describe("upgrading", () => {
  const cases: [string, Record<string, string | undefined>, string | undefined][] = [
    ["a plain request for the protocol", {}, undefined],
    ["one that offers others too", { "sec-websocket-protocol": "chat, interline.v1 ,x" }, undefined],
    ["header values in other cases", { upgrade: "WebSocket", connection: "keep-alive, Upgrade" }, undefined],
    ["no subprotocol", { "sec-websocket-protocol": undefined }, "400"],
    ["another subprotocol", { "sec-websocket-protocol": "interline.v2, interline" }, "400"],
    ["another version", { "sec-websocket-version": "8" }, "426"],
    ["no version", { "sec-websocket-version": undefined }, "426"],
    ["no Upgrade header", { upgrade: undefined }, "426"],
    ["another Upgrade header", { upgrade: "h2c" }, "426"],
    ["no Connection header", { connection: undefined }, "426"],
    ["no key", { "sec-websocket-key": undefined }, "426"],
    ["a short key", { "sec-websocket-key": "c2hvcnQ=" }, "426"],
  ];
  test.each(cases)("%s", async (_, headers, status) => {
    const { open } = await bench();
    const opening = open({ headers });
    if (status === undefined) {
      expect((await (await opening).head).toLowerCase()).toContain("sec-websocket-protocol: interline.v1");
    } else {
      await expect(opening).rejects.toThrow(status);
    }
  });

  test("another path is not the protocol's", async () => {
    const { open } = await bench();
    await expect(open({ path: "/chat" })).rejects.toThrow("404");
  });

  test("garbage instead of a request ends that socket and nothing else", async () => {
    const { edge, join } = await bench();
    for (const bytes of [
      "\x16\x03\x01\x02\x00garbage\r\n\r\n",
      "GET / HTTP/9\r\n\r\n",
      `GET /${"x".repeat(70_000)}`,
    ]) {
      const raw = await RawWebSocket.dial({ port: edge.port });
      raw.write(bytes);
      raw.socket.end();
      await raw.ended;
    }
    await join();
    expect(edge.stats().heads).toBe(0);
  });
});

describe("bounds", () => {
  test("above connectionsMax an upgrade is refused with 503, and one place that is given up can be taken", async () => {
    const { edge, join, open } = await bench({ limits: { connectionsMax: 3 } });
    const sockets = [await join("device-1"), await join("device-2"), await open()];
    await expect(open()).rejects.toThrow("503");
    expect(edge.stats().upgradesRefused.get("full")).toBe(1);
    sockets[0]?.destroy();
    await until(() => edge.stats().connections === 2, "one is gone");
    await join("device-3");
  });

  test("connections that have not signed in have a bound of their own", async () => {
    const { edge, join, open } = await bench({ limits: { unauthenticatedConnectionsMax: 2 } });
    for (let i = 1; i <= 5; i++) await join(`device-${i}`);
    const silent = [await open(), await open()];
    await expect(open()).rejects.toThrow("503");
    silent[0]?.destroy();
    await until(() => edge.stats().unauthenticated === 1, "one is gone");
    await join("device-6");
  });

  test("sockets that never finish a head have a bound, and beyond it are closed at once", async () => {
    const { edge, node, join } = await bench({ limits: { headConnectionsMax: 10 } });
    const device = await join();
    const halves = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const raw = await RawWebSocket.dial({ port: edge.port });
        raw.write("GET / HTTP/1.1\r\n");
        return raw;
      }),
    );
    await until(() => edge.stats().headsRefused === 20, "twenty were refused");
    expect(edge.stats().heads).toBe(10);
    node.connections.get(1)?.send(Uint8Array.of(1));
    expect((await device.next())?.payload[0]).toBe(1);
    for (const half of halves) half.destroy();
    await until(() => edge.stats().heads === 0, "all are gone");
    await join("device-2");
  });
});

describe("TLS", () => {
  test("with a key and a certificate the edge speaks TLS, and says plainly when it cannot use them", async () => {
    const directory = mkdtempSync(joinPath(tmpdir(), "interline-tls-"));
    try {
      const keyFile = joinPath(directory, "key.pem");
      const certFile = joinPath(directory, "cert.pem");
      execFileSync(
        "openssl",
        [
          ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
          ...["-keyout", keyFile, "-out", certFile, "-subj", "/CN=localhost", "-days", "2"],
        ],
        { stdio: "ignore" },
      );
      const { edge, open } = await bench({ tls: { certFile, keyFile } });
      expect(edge.url).toBe(`wss://127.0.0.1:${edge.port}`);
      const socket = await open({ tls: true });
      socket.send(hello("good"));
      expect((await socket.next())?.payload).toEqual(Buffer.of(0x92, 0x20, 0x80));
      writeFileSync(certFile, "nothing");
      await expect(
        startEdge({ host: "127.0.0.1", port: 0, tls: { certFile, keyFile } }, new StubNode()),
      ).rejects.toMatchObject({ code: "badConfiguration" });
      await expect(
        startEdge({ host: "127.0.0.1", port: 0, tls: { certFile, keyFile: "/nowhere" } }, new StubNode()),
      ).rejects.toThrow("/nowhere");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

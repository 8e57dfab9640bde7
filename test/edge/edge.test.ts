import { describe, expect, test } from "vitest";
import { type Connection, platformAdvice, startEdge } from "../../src/edge/edge.js";
import { opcodes } from "../support/raw-web-socket.js";
import { bench, farewell, hello, StubNode, until } from "./stub-node.js";

describe("signing in", () => {
  test("a hello that is accepted is answered by what the path sends, and later messages reach the path unchanged", async () => {
    const { node, join, edge } = await bench();
    const socket = await join("device-7");
    expect(edge.stats()).toMatchObject({
      connections: 1,
      attached: 1,
      unauthenticated: 0,
      heads: 0,
      opened: 1,
    });
    socket.send(Uint8Array.of(0x92, 3, 9));
    socket.send(Buffer.alloc(70_000, 7));
    await until(() => node.received.length === 2, "both messages are there");
    expect(node.received[0]).toEqual({ slot: 7, bytes: Buffer.of(0x92, 3, 9) });
    expect(node.received[1]?.bytes.equals(Buffer.alloc(70_000, 7))).toBe(true);
  });

  test("accept, upgrade, hello, sign-in and leaving each let the path have its turn", async () => {
    const { node, open } = await bench();
    const socket = await open();
    expect(node.turnsOffered).toBe(2);
    socket.send(hello("good"));
    await socket.next();
    expect(node.turnsOffered).toBe(4);
    socket.destroy();
    await until(() => node.detached.length === 1, "the device is gone");
    expect(node.turnsOffered).toBe(5);
  });

  test("whoever ends a connection is not interrupted by a turn, nor is one who sends what breaks it", async () => {
    const { node, join } = await bench({ limits: { backpressureBytesMax: 1_000 } });
    await join("device-1");
    await join("device-2");
    const [ended, full] = [1, 2].map((slot) => node.connections.get(slot) as Connection);
    const offered = node.turnsOffered;
    ended?.end("replaced", 0);
    while (full?.send(new Uint8Array(100_000)) !== 2);
    expect(node.turnsOffered).toBe(offered);
    await until(() => node.turnsOffered > offered, "the one that broke lets the path have its turn");
    expect(node.turnsOffered).toBe(offered + 1);
  });

  test("a fragmented hello is one message", async () => {
    const { open } = await bench();
    const socket = await open();
    const bytes = hello("good");
    socket.send(bytes.subarray(0, 5), { fin: false });
    socket.send(bytes.subarray(5), { opcode: opcodes.continuation });
    expect((await socket.next())?.payload).toEqual(Buffer.of(0x92, 0x20, 0x80));
  });

  const first: [string, Uint8Array, string, number][] = [
    ["a frame that is not hello", Uint8Array.of(0x92, 5, 1), "helloExpected", 4105],
    ["garbage", Uint8Array.of(0xff, 0xff), "badFrame", 4101],
    ["an empty message", Uint8Array.of(), "badFrame", 4101],
    [
      "a hello with bytes after it",
      Buffer.concat([hello("good"), Buffer.of(0x92, 5, 1)]),
      "helloExpected",
      4105,
    ],
    ["a nest of arrays", Buffer.alloc(100_000, 0x91), "badFrame", 4101],
    ["an array that claims 4 billion elements", Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff, 1), "badFrame", 4101],
    ["a token above the bound", hello("x".repeat(4097)), "badFrame", 4101],
    ["a token that is not accepted", hello("nonsense"), "tokenInvalid", 4201],
  ];
  test.each(first)("%s as first message ends the connection with its code", async (_, bytes, code, close) => {
    const { open, node } = await bench();
    const socket = await open();
    socket.send(bytes);
    expect(await farewell(socket)).toMatchObject({ error: code, closeCode: close });
    expect(node.connections.size).toBe(0);
  });

  test("a text message ends the connection, before hello and after it", async () => {
    const { open, join, node } = await bench();
    const stranger = await open();
    stranger.send(Buffer.from("hello"), { opcode: opcodes.text });
    expect(await farewell(stranger)).toMatchObject({ error: "badFrame", closeCode: 4101 });
    const device = await join();
    device.send(Buffer.from("hello"), { opcode: opcodes.text });
    expect(await farewell(device)).toMatchObject({ error: "badFrame", closeCode: 4101 });
    expect(node.received).toEqual([]);
    expect(node.detached).toHaveLength(1);
  });

  test("nothing may come between hello and welcome", async () => {
    const { open, node } = await bench();
    const socket = await open();
    socket.send(hello("later-1"));
    socket.send(Uint8Array.of(0x92, 5, 1));
    expect(await farewell(socket)).toMatchObject({ error: "helloExpected", closeCode: 4105 });
    node.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(node.connections.size).toBe(0);
  });

  test("a refusal to enter ends the connection with its code and delay", async () => {
    const { open, node } = await bench();
    node.refusal = { refused: "tooManyDevices", retryAfterMs: 1234 };
    const socket = await open();
    socket.send(hello("good"));
    expect(await farewell(socket)).toEqual({ error: "tooManyDevices", retryAfterMs: 1234, closeCode: 4204 });
  });

  test("a peer that leaves during sign-in never enters", async () => {
    const { open, node, edge } = await bench();
    const socket = await open();
    socket.send(hello("later-1"));
    await until(() => node.signIns.length === 1, "sign-in is under way");
    socket.destroy();
    await until(() => edge.stats().connections === 0, "the socket is gone");
    node.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(node.connections.size).toBe(0);
    expect(node.detached).toEqual([]);
  });
});

describe("an attached connection", () => {
  test("what the path sends arrives, whole and in order, and a peer that reads late is reported writable", async () => {
    const { node, join } = await bench({ limits: { stallMs: 60_000 } });
    const socket = await join();
    socket.socket.pause();
    const connection = node.connections.get(1);
    const chunk = Buffer.alloc(256 * 1024);
    let count = 0;
    let status: number | undefined = 1;
    while (status === 1) {
      chunk.writeUInt32BE(count++);
      status = connection?.send(chunk);
    }
    expect(status).toBe(0);
    expect(node.writableSlots).toEqual([]);
    socket.socket.resume();
    for (let i = 0; i < count; i++) expect((await socket.next())?.payload.readUInt32BE(0)).toBe(i);
    await until(() => node.writableSlots.length > 0, "the slot is writable");
    expect(new Set(node.writableSlots)).toEqual(new Set([1]));
  });

  test("above the backpressure bound a send says dropped and the connection is closed", async () => {
    const { node, join, edge } = await bench({ limits: { backpressureBytesMax: 512 * 1024 } });
    const socket = await join();
    socket.socket.pause();
    const connection = node.connections.get(1);
    let status: number | undefined = 1;
    for (let i = 0; i < 200 && status !== 2; i++) status = connection?.send(Buffer.alloc(128 * 1024));
    expect(status).toBe(2);
    await until(() => node.detached.length === 1, "the path is told");
    expect(edge.stats().connections).toBe(0);
    socket.destroy();
  });

  test("ending it tells the peer why, and tells the path once, after the call", async () => {
    const { node, join, edge } = await bench();
    const socket = await join();
    const connection = node.connections.get(1);
    connection?.end("replaced", 0);
    expect(node.detached).toEqual([]);
    expect(connection?.send(Uint8Array.of(1))).toBe(2);
    connection?.end("overloaded", 5);
    await Promise.resolve();
    expect(node.detached).toEqual([{ slot: 1, connection }]);
    expect(await farewell(socket)).toMatchObject({ error: "replaced", closeCode: 4501 });
    expect(edge.stats().ended).toEqual(new Map([["replaced", 1]]));
    expect(node.detached).toHaveLength(1);
  });

  test("one that is ended with bytes waiting gets them and then the reason", async () => {
    const { node, join } = await bench();
    const socket = await join();
    socket.socket.pause();
    const connection = node.connections.get(1);
    let count = 0;
    let status: number | undefined = 1;
    for (; status === 1; count++) status = connection?.send(Buffer.alloc(256 * 1024));
    connection?.end("replaced", 0);
    socket.socket.resume();
    for (let i = 0; i < count; i++) expect((await socket.next())?.payload.length).toBe(256 * 1024);
    expect(await farewell(socket)).toMatchObject({ error: "replaced", closeCode: 4501 });
  });

  test("a message the path cannot take ends it with overloaded and a delay", async () => {
    const { node, join } = await bench();
    const socket = await join();
    node.takes = false;
    socket.send(Uint8Array.of(0x92, 5, 1));
    const end = await farewell(socket);
    expect(end).toMatchObject({ error: "overloaded", closeCode: 4401 });
    expect(end.retryAfterMs).toBeGreaterThan(0);
    expect(node.detached).toHaveLength(1);
  });

  test("a peer that goes without a word is detached at once", async () => {
    const { node, join, edge } = await bench();
    const socket = await join();
    socket.socket.resetAndDestroy();
    await until(() => node.detached.length === 1, "the path is told");
    expect(node.detached[0]?.slot).toBe(1);
    expect(edge.stats().connections).toBe(0);
    expect(node.connections.get(1)?.send(Uint8Array.of(1))).toBe(2);
    node.connections.get(1)?.end("replaced", 0);
  });

  test("a message above messageBytesMax closes the connection", async () => {
    const { node, join } = await bench({ limits: { messageBytesMax: 10_000 } });
    const socket = await join();
    socket.send(Buffer.alloc(10_001));
    await socket.ended;
    expect(node.received).toEqual([]);
    expect(node.detached).toHaveLength(1);
  });
});

describe("many connections", () => {
  test("any of them may leave in any order without harm to the others", async () => {
    const { node, join, edge } = await bench();
    const sockets = await Promise.all(Array.from({ length: 60 }, (_, i) => join(`device-${i + 1}`)));
    sockets.forEach((socket, i) => {
      if (i % 3 === 0) socket.destroy();
      if (i % 3 === 1) node.connections.get(i + 1)?.end("replaced", 0);
    });
    await until(() => edge.stats().connections === 20, "forty are gone");
    await until(() => node.detached.length === 40, "the path knows of all");
    for (let i = 2; i < 60; i += 3) node.connections.get(i + 1)?.send(Uint8Array.of(i));
    for (let i = 2; i < 60; i += 3) expect((await sockets[i]?.next())?.payload[0]).toBe(i);
  });
});

describe("starting and stopping", () => {
  test("a port that another node has is refused with a sentence that names it", async () => {
    const { edge } = await bench();
    await expect(startEdge({ host: "127.0.0.1", port: edge.port }, new StubNode())).rejects.toThrow(
      `127.0.0.1 port ${edge.port}`,
    );
  });

  test("a node that starts again on its port gets it, though its old connections are not gone for good", async () => {
    const { edge, join } = await bench();
    const sockets = await Promise.all([join("device-1"), join("device-2")]);
    await edge.stop();
    const again = await startEdge({ host: "127.0.0.1", port: edge.port }, new StubNode());
    expect(again.port).toBe(edge.port);
    await again.stop();
    for (const socket of sockets) socket.destroy();
  });

  test("stop tells every device to come back later, each at its own time, and is done in time", async () => {
    const { edge, join, open } = await bench({ limits: { drainRetryMinMs: 100, drainRetryMaxMs: 5_000 } });
    const sockets = await Promise.all(Array.from({ length: 20 }, (_, i) => join(`device-${i + 1}`)));
    sockets.push(await open());
    const [ends] = await Promise.all([Promise.all(sockets.map(farewell)), edge.stop(), edge.stop()]);
    for (const end of ends) {
      expect(end).toMatchObject({ error: "draining", closeCode: 4502 });
      expect(end.retryAfterMs).toBeGreaterThanOrEqual(100);
      expect(end.retryAfterMs).toBeLessThanOrEqual(5_000);
    }
    expect(new Set(ends.map((end) => end.retryAfterMs)).size).toBeGreaterThan(10);
    await expect(open()).rejects.toThrow("ECONNREFUSED");
  });

  test("stop gives a slow peer a bounded time and then cuts it", async () => {
    const { edge, join, node } = await bench({ limits: { drainMs: 500, endingMs: 60_000 } });
    const socket = await join();
    socket.socket.pause();
    const connection = node.connections.get(1);
    let status: number | undefined = 1;
    while (status === 1) status = connection?.send(Buffer.alloc(256 * 1024));
    const start = performance.now();
    await edge.stop();
    expect(performance.now() - start).toBeLessThan(3_000);
    socket.socket.resume();
    expect((await socket.ended).code).toBeUndefined();
  });

  test("refuseNew keeps what is connected and takes nobody new", async () => {
    const { edge, join, open, node } = await bench();
    const socket = await join();
    edge.refuseNew();
    await expect(open()).rejects.toThrow("ECONNREFUSED");
    node.connections.get(1)?.send(Uint8Array.of(5));
    expect((await socket.next())?.payload[0]).toBe(5);
  });

  test("on a Node.js without a build of the addon the advice is one line that says what to install", () => {
    expect(platformAdvice("137", "v24.1.0")).toMatch(/v24\.1\.0: install Node\.js 22 .*$/);
    expect(platformAdvice("115", "v20.19.0")).toBeUndefined();
    expect(platformAdvice("127", "v22.0.0")).toBeUndefined();
  });
});

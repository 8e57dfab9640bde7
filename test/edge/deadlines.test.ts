/**
 * Promises B6 and B7 at a small scale and with short limits: what owes
 * something and does not deliver is gone in time, and costs the others nothing.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { Deadlines } from "../../src/edge/deadlines.js";
import type { EdgeLimits } from "../../src/edge/edge.js";
import { Link, type Socket } from "../../src/edge/link.js";
import { LinkTable } from "../../src/edge/table.js";
import type { RawWebSocket } from "../support/raw-web-socket.js";
import { opcodes, RawWebSocket as Raw, rawFrame, upgradeRequest } from "../support/raw-web-socket.js";
import { type Bench, bench, farewell, hello, until } from "./stub-node.js";

const quick = (limits: Partial<EdgeLimits>): Promise<Bench> =>
  bench({ limits: { edgeSweepMs: 25, ...limits } });

/** While the test lasts. */
function every(ms: number, act: () => void): void {
  const timer = setInterval(act, ms);
  onTestFinished(() => clearInterval(timer));
}

describe("before sign-in", () => {
  test("silent upgrades are told helloTimeout and are gone, while a device that is signed in stays", async () => {
    const { edge, open, join } = await quick({ helloTimeoutMs: 300 });
    await join();
    const silent = await Promise.all(Array.from({ length: 200 }, () => open()));
    const start = performance.now();
    for (const socket of silent) {
      expect(await farewell(socket)).toMatchObject({ error: "helloTimeout", closeCode: 4106 });
    }
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(edge.stats()).toMatchObject({ connections: 1, unauthenticated: 0 });
    expect(edge.stats().ended.get("helloTimeout")).toBe(200);
  });

  test("a hello that trickles in, and pings without a hello, do not move the deadline", async () => {
    const { edge, open } = await quick({ helloTimeoutMs: 400 });
    const trickler = await open();
    const bytes = rawFrame(hello("x".repeat(1_000)));
    let at = 0;
    every(20, () => trickler.write(bytes.subarray(at, ++at)));
    const pinger = await open();
    every(20, () => pinger.send(Buffer.from("x"), { opcode: opcodes.ping }));
    await Promise.all([trickler.ended, pinger.ended]);
    expect(edge.stats().ended.get("helloTimeout")).toBe(2);
  });

  test("a sign-in that does not come through in time ends with overloaded", async () => {
    const { open, node, edge } = await quick({ helloTimeoutMs: 100, welcomeTimeoutMs: 400 });
    const socket = await open();
    socket.send(hello("later-1"));
    const end = await farewell(socket);
    expect(end).toMatchObject({ error: "overloaded", closeCode: 4401 });
    node.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(node.connections.size).toBe(0);
    expect(edge.stats().connections).toBe(0);
  });

  test("half-open heads and TCP connections that say nothing are gone within 12 s, trickling or not", async () => {
    const { edge } = await quick({});
    const dial = () => Raw.dial({ port: edge.port });
    const [mute, half, trickling] = await Promise.all([dial(), dial(), dial()]);
    half.write("GET / HTTP/1.1\r\nhost: x\r\n");
    const request = Buffer.from(upgradeRequest({ port: edge.port, headers: { cookie: "x".repeat(2_000) } }));
    let at = 0;
    every(100, () => trickling.write(request.subarray(at, ++at)));
    const start = performance.now();
    await Promise.all([mute.ended, half.ended, trickling.ended]);
    expect(performance.now() - start).toBeLessThan(12_500);
    expect(edge.stats().heads).toBe(0);
  }, 20_000);
});

describe("after sign-in", () => {
  test("a device that sends nothing for silenceMs is ended; one that does is not", async () => {
    const { join, node, edge } = await quick({ silenceMs: 400 });
    const quiet = await join("device-1");
    const lively = await join("device-2");
    every(50, () => lively.send(Uint8Array.of(0x92, 5, 1)));
    expect(await farewell(quiet)).toMatchObject({ error: "silent", closeCode: 4504 });
    await until(() => node.received.length > 30, "the other went on for long");
    expect(edge.stats().attached).toBe(1);
    expect(node.detached.map(({ slot }) => slot)).toEqual([1]);
  });

  test("single bytes and control frames are not a message: a device that only trickles is silent", async () => {
    const { join } = await quick({ silenceMs: 400 });
    const trickler = await join("device-1");
    const frame = rawFrame(Buffer.alloc(5_000));
    let at = 0;
    every(20, () => trickler.write(frame.subarray(at, ++at)));
    const pinger = await join("device-2");
    every(20, () => pinger.send(Buffer.from("x"), { opcode: opcodes.ping }));
    expect(await farewell(trickler)).toMatchObject({ error: "silent" });
    expect(await farewell(pinger)).toMatchObject({ error: "silent" });
  });

  test("readers that stall or trickle are evicted in time, and the one that reads slowly but steadily stays", async () => {
    const limits = { stallMs: 1_500, stallBytesMin: 1024 * 1024, backpressureBytesMax: 64 * 1024 * 1024 };
    const { join, node, edge } = await quick(limits);
    const stalled = await Promise.all(Array.from({ length: 10 }, (_, i) => join(`device-${i + 1}`)));
    const trickling = await Promise.all(Array.from({ length: 10 }, (_, i) => join(`device-${i + 11}`)));
    const steady = await join("device-21");
    const healthy = await join("device-22");
    for (const socket of [...stalled, ...trickling, steady]) socket.socket.pause();
    for (let slot = 1; slot <= 21; slot++) fill(node.connections.get(slot));
    for (const socket of trickling) every(200, () => readSome(socket, 64 * 1024));
    every(20, () => readSome(steady, 64 * 1024));

    await until(() => node.detached.length >= 20, "stalled and trickling are evicted");
    expect(node.detached.map(({ slot }) => slot).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(edge.stats().ended).toEqual(new Map([["tooSlow", 20]]));
    expect(edge.stats().attached).toBe(2);
    node.connections.get(22)?.send(Uint8Array.of(9));
    expect((await healthy.next())?.payload[0]).toBe(9);
    for (const socket of [...stalled, ...trickling]) socket.destroy();
  });

  test("one who pings and never reads the pongs is evicted too", async () => {
    const { join, edge } = await quick({ stallMs: 300, silenceMs: 60_000 });
    const socket = await join();
    socket.socket.pause();
    const ping = rawFrame(Buffer.alloc(125), { opcode: opcodes.ping });
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => ping));
    every(5, () => edge.stats().backlogged === 0 && edge.stats().connections === 1 && socket.write(many));
    await until(() => edge.stats().connections === 0, "it is gone", 20_000);
    expect(edge.stats().ended).toEqual(new Map([["tooSlow", 1]]));
  });

  test("one that is being ended with bytes waiting is cut when its time is up", async () => {
    const { join, node, edge } = await quick({ endingMs: 300 });
    const socket = await join();
    socket.socket.pause();
    fill(node.connections.get(1));
    node.connections.get(1)?.end("replaced", 0);
    expect(edge.stats()).toMatchObject({ connections: 0, ending: 1 });
    every(20, () => readSome(socket, 10));
    await until(() => edge.stats().ending === 0, "it is cut", 3_000);
    socket.destroy();
  });
});

/** Sends until bytes wait, and a little more. */
function fill(connection: { send(bytes: Uint8Array): number } | undefined): void {
  for (let status: number | undefined = 1; status === 1; )
    status = connection?.send(Buffer.alloc(512 * 1024));
  connection?.send(Buffer.alloc(4 * 1024 * 1024));
}

/** Takes at most so many bytes off a paused socket. */
function readSome(socket: RawWebSocket, bytes: number): void {
  socket.socket.read(bytes) ?? socket.socket.read();
}

describe("what counts as progress of a peer with bytes waiting", () => {
  const limits = {
    ...{ edgeSweepMs: 100, helloTimeoutMs: 100, welcomeTimeoutMs: 100, silenceMs: 1_000_000 },
    ...{ stallMs: 1_000, stallBytesMin: 1_000 },
  };

  /** A link on a socket that takes as much as `take` lets it; how it ended is in `table.ended`. */
  function slowLink() {
    const { edgeSweepMs: sweepMs } = limits;
    const table = new LinkTable({ sweepMs, endingMs: 0, detach: () => undefined, settled: () => undefined });
    const deadlines = new Deadlines(table, limits);
    let waiting = 0;
    const link = new Link(table, "");
    const socket = {
      send: (bytes: Uint8Array) => {
        waiting += bytes.length;
        return 0;
      },
      getBufferedAmount: () => waiting,
      close: () => table.closed(link),
    };
    link.socket = socket as unknown as Socket;
    table.opened(link);
    table.attached(link, 1);
    const take = (bytes: number) => {
      waiting = Math.max(0, waiting - bytes);
    };
    return { table, deadlines, link, take };
  }

  /** How many of 100 sweeps it lives through. */
  function lives(each: (sweep: number, slow: ReturnType<typeof slowLink>) => void): number {
    const slow = slowLink();
    slow.link.send(new Uint8Array(100_000));
    for (let sweep = 1; sweep <= 100; sweep++) {
      each(sweep, slow);
      slow.deadlines.sweep();
      if (slow.table.ended.get("tooSlow") === 1) return sweep;
    }
    return 100;
  }

  test("taking nothing is none", () => {
    expect(lives(() => undefined)).toBe(11);
  });

  test("a trickle is none, however long it goes on", () => {
    expect(lives((_, { take }) => take(50))).toBe(11);
  });

  test("stallBytesMin in each stallMs is", () => {
    expect(lives((_, { take }) => take(110))).toBe(100);
  });

  test("a trickle hidden behind new bytes is none", () => {
    expect(lives((_, { take, link }) => [take(50), link.send(new Uint8Array(500))])).toBe(11);
  });

  test("taking everything is, little as it may be", () => {
    const everything = lives((sweep, { take, link }) => {
      take(Number.POSITIVE_INFINITY);
      if (sweep % 5 === 0) link.send(new Uint8Array(10));
    });
    expect(everything).toBe(100);
  });

  test("one that took all and then stops is measured from its new backlog", () => {
    const stopped = lives((sweep, { take, link }) => {
      if (sweep === 30) take(Number.POSITIVE_INFINITY);
      else if (sweep < 30) take(200);
      else if (sweep === 40) link.send(new Uint8Array(10));
    });
    expect(stopped).toBeGreaterThanOrEqual(50);
    expect(stopped).toBeLessThanOrEqual(51);
  });
});

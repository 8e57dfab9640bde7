/** Many at once, and many from one address: who is let in, and that those who are in do not wait for them. */
import { describe, expect, test } from "vitest";
import type { Link } from "../../src/edge/link.js";
import { addressKey, Newcomers } from "../../src/edge/newcomers.js";
import { SignInQueue } from "../../src/edge/sign-in-queue.js";
import { limits } from "../../src/rules/limits.js";
import { decodeHello } from "../../src/wire/hello.js";
import { RawWebSocket } from "../support/raw-web-socket.js";
import { type Bench, bench, hello, until } from "./stub-node.js";

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex")).buffer;

describe("a storm", () => {
  const STORM = 1_500;

  /** How many of a storm from eight addresses are welcomed at their first attempt. */
  async function storm({ edge }: Bench): Promise<number> {
    const attempts = Array.from({ length: STORM }, async (_, i) => {
      const localAddress = `127.0.0.${2 + (i % 8)}`;
      const socket = await RawWebSocket.open({ port: edge.port, localAddress }).catch(() => undefined);
      socket?.send(hello(`device-${i + 1}`));
      return (await socket?.next().catch(() => undefined))?.opcode === 2;
    });
    return (await Promise.all(attempts)).filter((isIn) => isIn).length;
  }

  test("of sockets that all come at once is let in whole", async () => {
    const made = await bench();
    expect(await storm(made)).toBe(STORM);
    expect(made.edge.stats()).toMatchObject({
      attached: STORM,
      heads: 0,
      headsRefused: 0,
      newcomersRefused: 0,
    });
  });

  test("control: with room for few heads it is not", async () => {
    const made = await bench({ limits: { headConnectionsMax: 20 } });
    expect(await storm(made)).toBeLessThan(STORM);
    expect(made.edge.stats().headsRefused).toBeGreaterThan(0);
  });
});

describe("sign-ins", () => {
  const link = () => ({}) as Link;
  const frame = decodeHello(hello("good"), limits.tokenBytesMax);

  test("begin in the order of their hellos, so many in a turn of the loop, and others run in between", async () => {
    const waiting = new Set<Link>();
    const links = Array.from({ length: 20 }, link);
    const begun: (Link | "turn")[] = [];
    const queue = new SignInQueue(waiting, 8, (one) => begun.push(one));
    for (const one of links) queue.add(one, frame);
    expect(begun).toEqual([]);
    while (waiting.size > 0)
      await new Promise<void>((resolve) => setImmediate(() => resolve(void begun.push("turn"))));
    expect(begun.filter((one) => one !== "turn")).toEqual(links);
    const turns = begun.flatMap((one, i) => (one === "turn" ? [i] : []));
    expect(turns).toEqual([8, 17, 22]);
  });

  test("of those who left meanwhile do not begin, and take nobody's place", async () => {
    const waiting = new Set<Link>();
    const links = Array.from({ length: 12 }, link);
    const begun: Link[] = [];
    const queue = new SignInQueue(waiting, 2, (one) => begun.push(one));
    for (const one of links) queue.add(one, frame);
    for (const one of links.slice(0, 10)) waiting.delete(one);
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(links.slice(10));
  });

  test("of a peer that leaves before its turn never reach the node", async () => {
    const { edge, node, open } = await bench({ limits: { signInsPerTurn: 1 } });
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open()));
    for (const [i, socket] of sockets.entries()) socket.send(hello(`device-${i + 1}`));
    for (const socket of sockets) socket.destroy();
    await until(() => edge.stats().connections === 0, "all are gone");
    const begun = node.signIns.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(node.signIns.length).toBe(begun);
  });
});

describe("one address", () => {
  const from = (localAddress: string) => ({ localAddress });

  test("has so many sockets that have not signed in, and more are closed at accept; others still get in", async () => {
    const { edge, open } = await bench({ limits: { newcomersPerAddressMax: 5 } });
    for (let i = 0; i < 5; i++) await open(from("127.0.0.2"));
    await expect(open(from("127.0.0.2"))).rejects.toThrow();
    await open(from("127.0.0.3"));
    expect(edge.stats()).toMatchObject({ newcomersRefused: 1, headsRefused: 0, unauthenticated: 6 });
  });

  test("gets a place back when one signs in, and when one leaves", async () => {
    const { edge, open } = await bench({ limits: { newcomersPerAddressMax: 2 } });
    for (let i = 1; i <= 6; i++) {
      const socket = await open();
      socket.send(hello(`device-${i}`));
      await socket.next();
    }
    const silent = [await open(), await open()];
    await expect(open()).rejects.toThrow();
    silent[0]?.destroy();
    await until(() => edge.stats().unauthenticated === 1, "one is gone");
    await open();
  });

  test("has a socket in HTTP counted until no such socket can be left of it", () => {
    const newcomers = new Newcomers({ perAddressMax: 2, sweepMs: 1_000 });
    expect(["a", "a", "a", "b"].map((address) => newcomers.accept(address))).toEqual([
      true,
      true,
      false,
      true,
    ]);
    newcomers.upgraded("b");
    newcomers.settled("b");
    expect(newcomers.of("b")).toBe(0);
    for (let second = 1; second < 14; second++) newcomers.advance();
    expect(newcomers.of("a")).toBe(2);
    for (let second = 14; second <= 28; second++) newcomers.advance();
    expect(newcomers.of("a")).toBe(0);
    newcomers.upgraded("a");
    newcomers.settled("a");
    expect(newcomers.of("a")).toBe(0);
  });

  test("is an IPv4 address, mapped or not, or the first half of an IPv6 address", () => {
    const plain = addressKey(bytesOf("7f000001"));
    expect(addressKey(bytesOf("00000000000000000000ffff7f000001"))).toBe(plain);
    const one = addressKey(bytesOf("20010db8000000010000000000000001"));
    expect(addressKey(bytesOf("20010db800000001ffffffffffffffff"))).toBe(one);
    expect(addressKey(bytesOf("20010db8000000020000000000000001"))).not.toBe(one);
    expect(plain).not.toBe(one);
  });
});

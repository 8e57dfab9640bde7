/**
 * B7: connections that never say hello, and requests that never end, are gone in
 * time, while the node serves others.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { PingPong } from "../support/ping-pong.js";
import { upgradeRequest } from "../support/raw-web-socket.js";
import { amount, tell } from "../support/scale.js";
import { until } from "../support/until.js";
import { World } from "../support/world.js";

const SILENT = amount({ short: 2_000, full: 15_000 });
/** An address may have limits.newcomersPerAddressMax of them at a time. */
const SILENT_ADDRESSES = 8;
const HEADS = 300;
const TRICKLERS = 100;
const GONE_MS = 10_000;
/** A little less than limits.helloTimeoutMs: the peer's clock starts when it knows that it is connected. */
const HELLO_MS = 4_000;
/** The addon looks at its HTTP time-outs in steps of 4 s (src/edge/http.ts). */
const HEAD_GONE_MS = GONE_MS + 4_000;
const TRICKLE_MS = 700;
const SLACK_MS = 1_000;

/** A socket that does something wrong, and when it was closed on it. */
class BadPeer {
  readonly socket: Socket;
  openedMs = 0;
  closedMs: number | undefined;

  constructor(port: number, first: string, localAddress = "127.0.0.1") {
    this.socket = connect({ port, host: "127.0.0.1", localAddress });
    this.socket.on("error", () => {});
    this.socket.on("connect", () => {
      this.openedMs = performance.now();
      this.socket.write(first);
    });
    this.socket.on("data", () => {});
    this.socket.on("close", () => {
      this.closedMs = performance.now();
    });
  }

  get ageMs(): number {
    return (this.closedMs ?? Number.POSITIVE_INFINITY) - this.openedMs;
  }
}

function openMany(count: number, make: (i: number) => BadPeer): BadPeer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

const areOpen = (peers: readonly BadPeer[]) => peers.every((peer) => peer.openedMs > 0);
const areGone = (peers: readonly BadPeer[]) => peers.every((peer) => peer.closedMs !== undefined);
const youngest = (peers: readonly BadPeer[]) => Math.min(...peers.map((peer) => peer.ageMs));
const oldest = (peers: readonly BadPeer[]) => Math.max(...peers.map((peer) => peer.ageMs));

test("silent and half-open connections are gone in time, and others are served meanwhile", async () => {
  const world = new World({ brands: 1, accountsPerBrand: 2, devices: () => 1 });
  const node = await NodeUnderTest.create({ world });
  try {
    await node.start();
    const pair = await PingPong.start(node.port, world);
    const silent = openMany(SILENT, (i) => {
      return new BadPeer(
        node.port,
        upgradeRequest({ port: node.port }),
        `127.0.0.${2 + (i % SILENT_ADDRESSES)}`,
      );
    });
    await until("all silent ones are connected", () => areOpen(silent));
    await until("all silent ones are gone", () => areGone(silent), 4 * GONE_MS);
    tell(`${silent.length} silent upgrades, gone after at most ${oldest(silent).toFixed()} ms`);
    expect(oldest(silent)).toBeLessThan(GONE_MS);
    // By the hello's deadline, and not because the node would not have them.
    expect(youngest(silent)).toBeGreaterThan(HELLO_MS);
    const heads = openMany(HEADS, () => new BadPeer(node.port, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpg"));
    const mute = openMany(HEADS, () => new BadPeer(node.port, ""));
    const tricklers = openMany(TRICKLERS, () => new BadPeer(node.port, "GET / HTTP/1.1\r\nHost: "));
    const all = [...heads, ...mute, ...tricklers];
    await until("all heads are connected", () => areOpen(all));
    while (!areGone(all)) {
      for (const peer of tricklers) if (!peer.socket.destroyed) peer.socket.write("x");
      await delay(TRICKLE_MS);
      if (performance.now() - Math.min(...all.map((peer) => peer.openedMs)) > 3 * HEAD_GONE_MS) break;
    }
    tell(`${all.length} unfinished requests, gone after at most ${oldest(all).toFixed()} ms`);
    expect(oldest(all)).toBeLessThan(HEAD_GONE_MS + SLACK_MS);
    const served = await pair.stop();
    tell(`meanwhile ${served.exchanges} exchanges, the longest ${served.longestMs.toFixed()} ms`);
    expect(served.exchanges).toBeGreaterThan(200);
    expect(served.longestMs).toBeLessThan(2_000);
    scanOutput(node, world);
  } finally {
    await node.discard();
  }
});

test("control: a node that waits for a hello is caught", async () => {
  const mutant = buildMutant("helloAwaited");
  const world = new World({ brands: 1, accountsPerBrand: 1, devices: () => 1 });
  const node = await NodeUnderTest.create({ world, build: mutant.build });
  try {
    await node.start();
    const silent = openMany(20, () => new BadPeer(node.port, upgradeRequest({ port: node.port })));
    await until("all silent ones are connected", () => areOpen(silent));
    await delay(GONE_MS);
    expect(areGone(silent)).toBe(false);
    for (const peer of silent) peer.socket.destroy();
  } finally {
    await node.discard();
    mutant.remove();
  }
});

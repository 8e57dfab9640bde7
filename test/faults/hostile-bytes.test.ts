/**
 * B2: no bytes on any socket end the process, stall it, or make it allocate out
 * of proportion. The node under test has a heap of 256 MB.
 *
 * "Stall" is what the node's own event loop says of itself, since on a busy
 * machine a client cannot tell a stall from its own waiting.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { SeededRandom } from "../demo/seeded-random.js";
import {
  BOMB_BYTES,
  bombs,
  deadlyFrame,
  deadlySealedFrame,
  floods,
  hostileFirst,
  hostileHead,
  oddFrame,
  oddSealedFrame,
  sealedFloods,
} from "../support/hostile-input.js";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { PingPong } from "../support/ping-pong.js";
import { RawWebSocket } from "../support/raw-web-socket.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { Stranger } from "../support/stranger.js";
import { frames } from "../support/stranger-codec.js";
import { mintAnonymous, World } from "../support/world.js";

const INPUTS = amount({ short: 200_000, full: 100_000_000 });
/** Inputs of one connection before the one that ends it. */
const ODD_PER_CONNECTION = 60;
const LANES = 12;
const BOMBERS = 8;
const PAGE_SLACK_BYTES = 16 << 20;
const LAST_NONCE = 123_456;
const STALL_MS = 50;
/** One pause of the collector or of the machine. */
const STALL_ONCE_MS = 500;
/** The same, where one message is all there is to do. */
const STALL_ALONE_MS = 100;
/** A stall that is the node's comes again; one that is the machine's does not, or not three times. */
const TRIES = 3;
const PROPORTION = 8;
/** What a process may take for itself while it works. */
const RSS_SLACK_BYTES = 64 << 20;

const heap = ["--max-old-space-size=256"];
const makeWorld = () => new World({ brands: 2, accountsPerBrand: 20, devices: () => 1 });

class Attack {
  inputs = 0;
  bytes = 0;
  readonly #port: number;
  readonly #world: World;
  readonly #random: SeededRandom;

  constructor(port: number, world: World, random: SeededRandom) {
    this.#port = port;
    this.#world = world;
    this.#random = random;
  }

  async lane(lane: number): Promise<void> {
    for (let round = 0; this.inputs < INPUTS; round++) {
      if (round % 5 === 0) await this.#head();
      else if (round % 5 === 1) await this.#first();
      else if (round % 5 === 2) await this.#nobody();
      else await this.#device(lane);
    }
  }

  #count(bytes: Buffer): Buffer {
    this.inputs++;
    this.bytes += bytes.length;
    return bytes;
  }

  async #head(): Promise<void> {
    const raw = await RawWebSocket.dial({ port: this.#port });
    raw.write(this.#count(hostileHead(this.#random, this.#port)));
    await Promise.race([raw.ended, delay(3)]);
    raw.socket.resetAndDestroy();
  }

  async #first(): Promise<void> {
    const raw = await RawWebSocket.open({ port: this.#port });
    raw.write(
      this.#count(
        hostileFirst(
          this.#random,
          this.#world.token(this.#random.pick(this.#world.devices.slice(2 + LANES))),
        ),
      ),
    );
    await Promise.race([raw.ended, delay(3)]);
    raw.socket.resetAndDestroy();
  }

  /** Many odd frames, then one that ends the connection; a lane has devices of its own. */
  async #device(lane: number): Promise<void> {
    const device = this.#world.devices[2 + lane];
    if (device === undefined) throw new Error("more lanes than devices");
    await this.#torment(this.#world.token(device), oddFrame, deadlyFrame);
  }

  /** The same over a connection that speaks for nobody. */
  async #nobody(): Promise<void> {
    const [brand] = this.#world.brands;
    await this.#torment(mintAnonymous(brand as NonNullable<typeof brand>), oddSealedFrame, deadlySealedFrame);
  }

  async #torment(token: string, odd: typeof oddFrame, deadly: typeof deadlyFrame): Promise<void> {
    const stranger = await Stranger.open({ port: this.#port, token });
    for (let i = 0; i < ODD_PER_CONNECTION; i++) {
      stranger.write(this.#count(odd(this.#random, this.#world)));
      if (i % 6 === 5) stranger.flush();
    }
    stranger.flush();
    await delay(1);
    stranger.write(this.#count(deadly(this.#random, this.#world)));
    await Promise.race([stranger.ended, delay(20)]);
    stranger.drop();
  }
}

test("garbage, bombs and forbidden frames neither end nor stall a node, and others go on", async () => {
  const world = makeWorld();
  const node = await NodeUnderTest.create({ world, execArguments: heap });
  const random = seededRandom("hostile bytes");
  try {
    await node.start();
    const pair = await PingPong.start(node.port, world);
    await node.stats();
    const beforeBytes = anonymousBytes(node.pid);
    const attack = new Attack(node.port, world, random);
    await Promise.all(Array.from({ length: LANES }, (_, lane) => attack.lane(lane)));
    const after = await node.stats();
    const served = await pair.stop();
    const grownBytes = anonymousBytes(node.pid) - beforeBytes;
    tell(
      `${attack.inputs} inputs, ${(attack.bytes / 2 ** 20).toFixed()} MiB; memory grew by ${(grownBytes / 2 ** 20).toFixed()} MiB; ` +
        `event loop stood still for ${after.stallMs.p99.toFixed(1)} ms (99 %), ${after.stallMs.max.toFixed(1)} ms at most; ` +
        `${served.exchanges} exchanges meanwhile, p99 ${served.p99Ms.toFixed(1)} ms`,
    );
    expect(after.stallMs.p99).toBeLessThan(STALL_MS);
    expect(after.stallMs.max).toBeLessThan(STALL_ONCE_MS);
    expect(served.exchanges).toBeGreaterThan(1_000);
    expect(grownBytes).toBeLessThan(PROPORTION * attack.bytes + RSS_SLACK_BYTES);
    await node.stop();
    scanOutput(node, world);
  } finally {
    await node.discard();
  }
});

test("a message that unfolds without end costs no more than eight times its bytes", async () => {
  const world = makeWorld();
  const node = await NodeUnderTest.create({ world, execArguments: heap });
  try {
    await node.start();
    const many = bombs(BOMB_BYTES - 64).map((message) => ({ message, times: BOMBERS }));
    const legal = floods(world, BOMB_BYTES - 64).map((message) => ({ message, times: 1 }));
    const [brand] = world.brands;
    const anonymous = () => mintAnonymous(brand as NonNullable<typeof brand>);
    const sealed = sealedFloods(world, BOMB_BYTES - 64).map((message) => ({ message, times: BOMBERS }));
    const longestMs: number[] = [];
    for (const [i, { message, times }] of [...many, ...legal, ...sealed].entries()) {
      const tokenOf = i < many.length + legal.length ? world.token.bind(world) : anonymous;
      const stallsMs: number[] = [];
      while (stallsMs.length < TRIES && Math.min(...stallsMs) >= STALL_ALONE_MS) {
        await node.stats();
        const beforeBytes = anonymousBytes(node.pid);
        await Promise.all(
          world.devices
            .slice(2, 2 + times)
            .map((device, n) => drop(message, node.port, tokenOf(device), tokenOf === anonymous ? 0 : n)),
        );
        stallsMs.push((await node.stats()).stallMs.max);
        const grownBytes = anonymousBytes(node.pid) - beforeBytes;
        expect(grownBytes, `message ${i}`).toBeLessThan(
          PROPORTION * times * message.length + PAGE_SLACK_BYTES,
        );
      }
      longestMs.push(Math.min(...stallsMs));
      expect(Math.min(...stallsMs), `message ${i}, stalls ${rounded(stallsMs)}`).toBeLessThan(STALL_ALONE_MS);
    }
    tell(`stalls in ms, ${BOMBERS} bombs of 1 MiB at once: ${rounded(longestMs.slice(0, many.length))}`);
    tell(
      `stalls in ms, 1 MiB of allowed frames: ${rounded(longestMs.slice(many.length, many.length + legal.length))}; ` +
        `${BOMBERS} connections of nobody: ${rounded(longestMs.slice(-sealed.length))}`,
    );
    await node.stop();
    scanOutput(node, world);
  } finally {
    await node.discard();
  }
});

test("control: a node that does for one connection whatever it asks stands still", async () => {
  const mutant = buildMutant("costUnbounded");
  const world = makeWorld();
  const node = await NodeUnderTest.create({ world, build: mutant.build });
  try {
    await node.start();
    const longestMs: number[] = [];
    for (const message of floods(world, BOMB_BYTES - 64)) {
      await node.stats();
      const devices = world.devices.slice(2, 2 + BOMBERS);
      await Promise.all(devices.map((device) => drop(message, node.port, world.token(device), 0)));
      longestMs.push((await node.stats()).stallMs.max);
      if (Math.max(...longestMs) > STALL_ALONE_MS) break;
    }
    tell(`costUnbounded: stalls in ms, ${rounded(longestMs)}`);
    expect(Math.max(...longestMs)).toBeGreaterThan(STALL_ALONE_MS);
  } finally {
    await node.discard();
    mutant.remove();
  }
});

/** One message of a device that has signed in, or instead of a hello; resolves when the node has dealt with it. */
async function drop(message: Buffer, port: number, token: string, n: number): Promise<void> {
  if (n % 2 === 1) {
    const raw = await RawWebSocket.open({ port });
    raw.send(message);
    await raw.ended;
    return;
  }
  let answered: () => void = () => {};
  const answer = new Promise<void>((resolve) => {
    answered = resolve;
  });
  const stranger = await Stranger.open({ port, token, pong: (nonce) => nonce === LAST_NONCE && answered() });
  stranger.write(message);
  stranger.flush();
  stranger.write(frames.ping(LAST_NONCE));
  await Promise.race([stranger.ended, answer]);
  stranger.drop();
}

const rounded = (values: readonly number[]) => values.map((value) => value.toFixed()).join(", ");

/** Memory that belongs to the process alone: pages of the data file come and go with the system's cache. */
function anonymousBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

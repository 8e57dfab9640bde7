/** Promise B2 at a small scale: bytes of every kind on sockets end those sockets at most, and cost no memory out of proportion. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SeededRandom } from "../demo/seeded-random.js";
import { opcodes, RawWebSocket, rawFrame, upgradeRequest } from "../support/raw-web-socket.js";
import { amount, seededRandom } from "../support/scale.js";
import { type Bench, hello, startBench } from "./stub-node.js";

let bench: Bench;
let random: SeededRandom;
beforeAll(async () => {
  bench = await startBench({ limits: { helloTimeoutMs: 1_000, edgeSweepMs: 50 } });
  random = seededRandom("garbage on the edge");
});
afterAll(async () => bench.edge.stop());

const below = (max: number) => random.between(0, max - 1);
const pick = <T>(list: readonly T[]): T => random.pick(list);
function noise(lengthMax: number): Buffer {
  return Buffer.from(Array.from({ length: below(lengthMax) + 1 }, () => below(256)));
}

/** Some bytes replaced, doubled or cut off. */
function mangled(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = below(4); i >= 0 && copy.length > 0; i--) copy[below(copy.length)] = below(256);
  return pick([copy, copy.subarray(0, below(copy.length + 1)), Buffer.concat([copy, copy])]);
}

/** A frame whose head says what it likes. */
function wildFrame(): Buffer {
  const first = below(256);
  const length = pick([0, 1, 125, 126, 127]);
  const extended = length === 126 ? noise(2) : length === 127 ? noise(8) : Buffer.alloc(0);
  return Buffer.concat([Buffer.of(first, pick([0x80, 0]) | length), extended, noise(200)]);
}

const attacks: readonly [string, () => Promise<RawWebSocket>][] = [
  ["noise in place of HTTP", async () => write(await dial(), noise(4_000))],
  [
    "a mangled upgrade request",
    async () => write(await dial(), mangled(Buffer.from(upgradeRequest({ port: bench.edge.port })))),
  ],
  ["noise after the upgrade", async () => write(await bench.open(), noise(4_000))],
  [
    "wild frames after the upgrade",
    async () => write(await bench.open(), Buffer.concat(Array.from({ length: 5 }, wildFrame))),
  ],
  ["noise in a frame", async () => write(await bench.open(), rawFrame(noise(4_000)))],
  ["a mangled hello", async () => write(await bench.open(), rawFrame(mangled(hello("device-22222"))))],
  [
    "a nest of arrays or maps",
    async () => write(await bench.open(), rawFrame(Buffer.alloc(50_000, pick([0x91, 0x81, 0xdd, 0xdf])))),
  ],
  [
    "a fragmented message that never ends",
    async () => {
      const socket = await bench.open();
      for (let i = 0; i < 20; i++)
        socket.send(noise(100), { opcode: i === 0 ? opcodes.binary : opcodes.continuation, fin: false });
      return socket;
    },
  ],
  [
    "a huge length and nothing behind it",
    async () => write(await bench.open(), Buffer.of(0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 1, 2, 3, 4)),
  ],
  [
    "an impossible length",
    async () => write(await bench.open(), Buffer.of(0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255)),
  ],
  [
    "noise after signing in",
    async () => write(await bench.join(`device-${2 + below(60_000)}`), noise(4_000)),
  ],
  [
    "wild frames after signing in",
    async () => write(await bench.join(`device-${2 + below(60_000)}`), wildFrame()),
  ],
];

const dial = () => RawWebSocket.dial({ port: bench.edge.port });
function write(socket: RawWebSocket, bytes: Buffer): RawWebSocket {
  socket.write(bytes);
  return socket;
}

test.each(attacks)(
  "%s",
  async (_, attack) => {
    const healthy = await bench.join("device-1");
    const before = process.memoryUsage.rss();
    for (let round = amount({ short: 8, full: 2_000 }); round > 0; round--) {
      const sockets = await Promise.all(Array.from({ length: 10 }, attack));
      await new Promise((resolve) => setImmediate(resolve));
      for (const socket of sockets) socket.destroy();
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
    bench.node.connections.get(1)?.send(Uint8Array.of(7));
    expect((await healthy.next())?.payload[0]).toBe(7);
    healthy.destroy();
  },
  600_000,
);

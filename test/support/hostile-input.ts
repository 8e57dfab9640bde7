/**
 * Bytes that no client of good will sends, made from a seed: for a socket that
 * has just been opened, for one that was upgraded, and for one that has signed in.
 */
import { randomBytes } from "node:crypto";
import type { SeededRandom } from "../demo/seeded-random.js";
import { opcodes, rawFrame, upgradeRequest } from "./raw-web-socket.js";
import { array, bin, frames, map, text, uint } from "./stranger-codec.js";
import type { World } from "./world.js";

export const BOMB_BYTES = 1 << 20;

const garbage = (random: SeededRandom, most: number) => randomBytes(random.between(1, most));
const repeated = (unit: number[], bytes: number) => Buffer.alloc(bytes, Buffer.from(unit));

/** Messages whose decoders are known to allocate far more than they were given. */
export function bombs(bytes: number): Buffer[] {
  const inside = (head: number[], fill: number[]) =>
    Buffer.concat([Buffer.from(head), repeated(fill, Math.max(1, bytes - head.length))]);
  return [
    repeated([0x91], bytes),
    repeated([0x9f], bytes),
    repeated([0xdc, 0xff, 0xff], bytes),
    repeated([0xdd, 0xff, 0xff, 0xff, 0xff], bytes),
    repeated([0x81, 0xa0], bytes),
    repeated([0xdf, 0xff, 0xff, 0xff, 0xff], bytes),
    inside([0x93, 0x02, 0xc4, 0x10, ...Array(16).fill(7)], [0x9f]),
    inside([0x92, 0x04], [0x91]),
    inside([0x92, 0x04, 0xdc, 0xff, 0xff], [0x92, 0xc4, 0x12]),
    inside([0x95, 0x01, 0xdb, 0xff, 0xff, 0xff, 0xff], [0x41]),
    repeated([0x92, 0x03, 0x00], bytes),
    repeated([0x92, 0x05, 0x01], bytes),
    repeated([0xc0], bytes),
  ];
}

/** Messages full of frames that are all allowed, each of them the dearest of its kind. */
export function floods(world: World, bytes: number): Buffer[] {
  const stranger = () => Buffer.concat([Buffer.of(0, 1), randomBytes(16)]);
  const { address } = world.accounts[1] as { address: Buffer };
  const devices = [{ device: 1, payload: Buffer.of(1) }];
  const kinds = [
    () => frames.ack(0),
    () => frames.ping(1),
    () => frames.rosterQuery(1, stranger()),
    () => frames.send(randomBytes(16), [{ account: address, version: 9, devices }]),
    () =>
      frames.send(
        randomBytes(16),
        Array.from({ length: 16 }, () => ({ account: stranger(), version: 9, devices: [] })),
      ),
    () => frames.ephemeral([{ account: address, devices }]),
    () => frames.groupEphemeral(address, Buffer.alloc(20)),
    () => frames.send(Buffer.alloc(16, 1), [{ account: address, version: 1, devices }]),
  ];
  return kinds.map((kind) => {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; left -= (parts.at(-1) as Buffer).length) parts.push(kind());
    return Buffer.concat(parts.slice(0, -1));
  });
}

/** Before any WebSocket: raw bytes, and requests that are none. */
export function hostileHead(random: SeededRandom, port: number): Buffer {
  const header = (name: string, value: string) =>
    Buffer.from(upgradeRequest({ port, headers: { [name]: value } }));
  return random.pick([
    () => garbage(random, 2_000),
    () => Buffer.from(`GET / HTTP/1.1\r\n${"a: b\r\n".repeat(random.between(1, 300))}\r\n`),
    () => Buffer.from(`GET /${"x".repeat(random.between(1, 9_000))} HTTP/1.1\r\nHost: a\r\n\r\n`),
    () =>
      Buffer.from(
        `${random.pick(["POST", "PUT", "TRACE", "\u00e4", ""])} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${random.pick(["5", "-1", "99999999999999999999", "x"])}\r\n\r\nhello`,
      ),
    () =>
      Buffer.from("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"),
    () => header("sec-websocket-key", "x".repeat(random.between(0, 60))),
    () => header("sec-websocket-version", String(random.between(0, 300))),
    () => header("sec-websocket-protocol", random.pick(["", ",", "interline.v2", ",".repeat(2_000)])),
    () => header("upgrade", random.pick(["", "h2c", "websocket, websocket"])),
    () => Buffer.from(upgradeRequest({ port })).subarray(0, random.between(1, 150)),
    () =>
      Buffer.concat([
        Buffer.from("GET /\xff\xfe\x00 HTTP/1.1\r\nHost: \xff\r\n\r\n", "latin1"),
        garbage(random, 200),
      ]),
  ])();
}

/** On an upgraded socket: WebSocket frames that RFC 6455 forbids, and first messages that are no hello. */
export function hostileFirst(random: SeededRandom, token: string): Buffer {
  const hello = frames.hello(token, 0, 0, 0);
  return random.pick([
    () => garbage(random, 500),
    () => rawFrame(garbage(random, 300)),
    () => rawFrame(Buffer.alloc(0)),
    () => rawFrame(hello, { mask: false }),
    () => rawFrame(hello, { opcode: random.between(3, 7) }),
    () => rawFrame(Buffer.from([0xff, 0xfe, 0xc0, 0x80]), { opcode: opcodes.text }),
    () =>
      rawFrame(garbage(random, 200), {
        opcode: random.pick([opcodes.ping, opcodes.pong, opcodes.close]),
        fin: false,
      }),
    () => rawFrame(garbage(random, 120), { opcode: opcodes.close }),
    () => Buffer.from([0x82, 0xff, ...Array(8).fill(random.pick([0x7f, 0xff, 0x00])), 1, 2, 3, 4]),
    () => Buffer.from([0xf2, 0x85, 0, 0, 0, 0, 1, 2, 3, 4, 5]),
    () =>
      Buffer.concat(
        Array.from({ length: random.between(2, 30) }, () =>
          rawFrame(garbage(random, 20), { opcode: opcodes.continuation, fin: false }),
        ),
      ),
    () =>
      Buffer.concat([
        rawFrame(hello.subarray(0, 10), { fin: false }),
        rawFrame(hello.subarray(10), { opcode: opcodes.binary }),
      ]),
    () => rawFrame(mutated(hello, random)),
    () => rawFrame(hello.subarray(0, random.between(1, hello.length - 1))),
    () => rawFrame(Buffer.concat([hello, hello])),
    () => rawFrame(array([uint(1), text("x".repeat(random.between(0, 9_000))), uint(0), uint(0), uint(0)])),
    () => rawFrame(random.pick(bombs(random.between(10, 4_000)))),
    () =>
      Buffer.concat(
        Array.from({ length: 40 }, () => rawFrame(garbage(random, 100), { opcode: opcodes.ping })),
      ),
  ])();
}

/** Of a device that has signed in: frames that end its connection. */
export function deadlyFrame(random: SeededRandom, world: World): Buffer {
  const frame = oddFrame(random, world);
  return random.pick([
    () => garbage(random, 300),
    () => mutated(frame, random),
    () => frame.subarray(0, random.between(1, frame.length - 1)),
    () => random.pick(bombs(random.between(10, 3_000))),
    () => array([uint(random.between(7, 2 ** 20)), bin(garbage(random, 30))]),
    () => frames.ack(2 ** random.between(40, 53) - 1),
    () => Buffer.concat([frame, garbage(random, 8)]),
    () => array([uint(2), bin(garbage(random, 40)), frame]),
    () => frames.hello("x", 0, 0, 0),
  ])();
}

/** Of a device that has signed in: frames that are refused, or mean nothing, and leave the connection alive. */
export function oddFrame(random: SeededRandom, world: World): Buffer {
  const account =
    random.fraction() < 0.5
      ? random.pick(world.accounts).address
      : Buffer.concat([Buffer.of(0, random.between(0, 9)), randomBytes(16)]);
  const device = () => ({ device: random.between(1, 0xffff), payload: garbage(random, 60) });
  const devices = Array.from({ length: random.between(0, 16) }, device);
  const party = () => ({ account, version: random.between(0, 5), devices });
  return random.pick([
    () => frames.send(randomBytes(16), [party()]),
    () => frames.send(randomBytes(16), Array.from({ length: random.between(1, 16) }, party)),
    () => frames.send(Buffer.alloc(16), [{ account, version: random.between(0, 2 ** 31), devices: [] }]),
    () => frames.ping(random.between(0, 2 ** 31)),
    () => frames.rosterQuery(random.between(0, 2 ** 31), account),
    () => frames.ack(random.between(0, 3)),
    () => frames.ephemeral([{ account, devices }]),
    () => frames.groupEphemeral(account, randomBytes(random.between(0, 5_000))),
  ])();
}

/** Of a connection that speaks for nobody: frames that are refused, or answered, and leave it alive. */
export function oddSealedFrame(random: SeededRandom, world: World): Buffer {
  const nobody = () => Buffer.concat([Buffer.of(0, random.between(0, 9)), randomBytes(16)]);
  const party = (payloadBytes = 40) => ({
    account: random.fraction() < 0.5 ? random.pick(world.accounts).address : nobody(),
    deliveryToken: randomBytes(16),
    version: random.between(0, 5),
    devices: Array.from({ length: random.between(0, 17) }, () => ({
      ...{ device: random.between(1, 0xffff), payload: garbage(random, payloadBytes) },
    })),
  });
  const parties = (most: number) => Array.from({ length: random.between(1, most) }, () => party());
  return random.pick([
    () => frames.sealedSend(randomBytes(16), randomBytes(16), party()),
    () => frames.sealedSharedSend(randomBytes(16), garbage(random, 300), parties(1)),
    () => frames.sealedSharedSend(randomBytes(16), garbage(random, 300), parties(12)),
    () =>
      frames.sealedSharedSend(Buffer.alloc(16), Buffer.alloc(0), Array(random.between(2, 20)).fill(party())),
    () => frames.sealedSharedSend(randomBytes(16), garbage(random, 9), [party(6_000)]),
    () =>
      frames.request(
        random.between(0, 2 ** 31),
        random.pick(["keys.claim", "keys.claim", "keys.upload", "devices.list", ""]),
        map({
          device: bin(randomBytes(random.pick([20, 20, 19]))),
          suite: text("signal"),
          deliveryToken: bin(randomBytes(16)),
        }),
      ),
    () => frames.ping(random.between(0, 2 ** 31)),
  ])();
}

/** Of such a connection: frames that end it. */
export function deadlySealedFrame(random: SeededRandom, world: World): Buffer {
  const frame = oddSealedFrame(random, world);
  return random.pick([
    () => garbage(random, 300),
    () => mutated(frame, random),
    () => frame.subarray(0, random.between(1, frame.length - 1)),
    () => random.pick(bombs(random.between(10, 3_000))),
    () =>
      Buffer.concat([
        Buffer.from([0x94, 13, 0xc4, 16, ...Array(16).fill(7), 0xc4, 0]),
        random.pick(bombs(2_000)),
      ]),
    () => frames.sealedSharedSend(randomBytes(16), garbage(random, 9), []),
    () => oddFrame(random, world),
  ])();
}

/** The same as `floods` for such a connection: no token opens anything. */
export function sealedFloods(world: World, bytes: number): Buffer[] {
  const { address } = world.accounts[0] as { address: Buffer };
  const party = () => ({
    ...{ account: Buffer.concat([address.subarray(0, 2), randomBytes(16)]), deliveryToken: randomBytes(16) },
    ...{ version: 1, devices: [{ device: 1, payload: Buffer.of(1) }] },
  });
  const kinds = [
    () => frames.sealedSend(randomBytes(16), randomBytes(16), party()),
    () => frames.sealedSharedSend(randomBytes(16), Buffer.alloc(0), Array.from({ length: 255 }, party)),
  ];
  return kinds.map((kind) => {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; left -= (parts.at(-1) as Buffer).length) parts.push(kind());
    return Buffer.concat(parts.slice(0, -1));
  });
}

/** A few bytes changed, left out or put in. */
function mutated(bytes: Buffer, random: SeededRandom): Buffer {
  const changed = [...bytes];
  for (let n = random.between(1, 4); n > 0; n--) {
    const at = random.between(0, changed.length - 1);
    const draw = random.fraction();
    if (draw < 0.5) changed[at] = random.between(0, 255);
    else if (draw < 0.75) changed.splice(at, 1);
    else changed.splice(at, 0, random.pick([0xc1, 0xdd, 0xdf, 0xc6, 0xdb, 0xc9, 0xd4, 0xff, 0x00]));
    if (changed.length === 0) changed.push(0);
  }
  return Buffer.from(changed);
}

/** Frames survive a round trip, and no bytes at all make a decoder do anything but return or throw its one error. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../src/rules/limits.js";
import {
  type ClientFrame,
  decodeClientFrame,
  decodeClientMessage,
  encodeClientFrame,
} from "../../src/wire/client-frames.js";
import { CodedError } from "../../src/wire/coded-error.js";
import { codes } from "../../src/wire/codes.js";
import { encodeRefusal, encodeWelcome } from "../../src/wire/control.js";
import { decodeHello } from "../../src/wire/hello.js";
import type { MsgpackMap, MsgpackValue } from "../../src/wire/msgpack-value.js";
import { MsgpackWriter } from "../../src/wire/msgpack-writer.js";
import type { WelcomeBody } from "../../src/wire/protocol.js";
import {
  decodeUnidentifiedFrame,
  encodeSealedSharedSend,
  type SealedSharedSendFrame,
} from "../../src/wire/sealed.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import {
  decodeServerMessage,
  durabilityName,
  gapReasonName,
  type PlainServerFrame,
} from "../../src/wire/server-frames.js";
import { clientVectors, serverVectors, vectorBytes } from "./vectors.js";

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const uint = fc.oneof(
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const uint32 = fc.nat(0xffff_ffff);
const payload = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(new Uint8Array(70_000)));
const devices = fc.uniqueArray(fc.record({ device: fc.integer({ min: 1, max: 0xffff }), payload }), {
  maxLength: 16,
  selector: ({ device }) => device,
});
const account = bytesOf(18);
const accountsOf = <T extends { account: Uint8Array }>(entry: fc.Arbitrary<T>) =>
  fc.uniqueArray(entry, { minLength: 1, maxLength: 4, selector: (item) => item.account.join() });

/** What a body may hold, of numbers only those that we write. */
const map = fc.letrec<{ map: MsgpackMap; value: MsgpackValue }>((tie) => ({
  map: fc.dictionary(fc.string({ maxLength: 12 }), tie("value"), { maxKeys: 6, noNullPrototype: false }),
  value: fc.oneof(
    { maxDepth: 3 },
    uint,
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    tie("map"),
  ),
})).map;

const clientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record({
    kind: fc.constant("hello" as const),
    token: fc.string({ unit: "binary", maxLength: 200 }),
    resume: uint,
    windowEntries: uint,
    windowBytes: uint,
  }),
  fc.record({
    kind: fc.constant("send" as const),
    id: bytesOf(16),
    accounts: accountsOf(fc.record({ account, version: uint32, devices })),
  }),
  fc.record({ kind: fc.constant("ack" as const), sequence: uint }),
  fc.record({
    kind: fc.constant("ephemeral" as const),
    accounts: accountsOf(fc.record({ account, devices })),
  }),
  fc.record({
    kind: fc.constant("groupEphemeral" as const),
    group: account,
    payload: fc.uint8Array({ maxLength: 300 }),
  }),
  fc.record({ kind: fc.constant("ping" as const), nonce: uint }),
  fc.record({ kind: fc.constant("rosterQuery" as const), request: uint, account }),
  fc.record({
    kind: fc.constant("request" as const),
    request: uint,
    method: fc.string({ unit: "binary", maxLength: 16 }),
    body: map.map((fields) => {
      const writer = new MsgpackWriter();
      writer.value(fields);
      return writer.take();
    }),
  }),
);

const sealedSharedSend: fc.Arbitrary<SealedSharedSendFrame> = fc.record({
  kind: fc.constant("sealedSharedSend" as const),
  id: bytesOf(16),
  shared: payload,
  accounts: accountsOf(
    fc.record({
      account,
      deliveryToken: bytesOf(16),
      version: uint32,
      devices: fc.uniqueArray(
        fc.record({ device: fc.integer({ min: 1, max: 0xffff }), block: fc.uint8Array({ maxLength: 300 }) }),
        { maxLength: 16, selector: ({ device }) => device },
      ),
    }),
  ),
});

/** All that a connection which speaks for nobody sent in one message. */
function decodeUnidentified(bytes: Uint8Array): unknown[] {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const { frame, next } = decodeUnidentifiedFrame(bytes, at, limits);
    frames.push(frame);
    at = next;
  }
  return frames;
}

const serverFrame: fc.Arbitrary<PlainServerFrame> = fc.oneof(
  fc.record({
    kind: fc.constant("deliver" as const),
    sequence: uint,
    sender: bytesOf(20),
    id: bytesOf(16),
    timeMs: uint,
    payload,
  }),
  fc.record({ kind: fc.constant("receipt" as const), position: uint, durability: uint }),
  fc.record({ kind: fc.constant("gap" as const), sequence: uint, count: uint, reason: uint }),
  fc.record({ kind: fc.constant("live" as const), sequence: uint }),
  fc.record({ kind: fc.constant("signal" as const), sender: bytesOf(20), payload }),
  fc.record({ kind: fc.constant("groupSignal" as const), sender: bytesOf(20), group: account, payload }),
  fc.record({
    kind: fc.constant("presence" as const),
    online: fc.array(account, { maxLength: 40 }),
    offline: fc.array(account, { maxLength: 40 }),
  }),
  fc.record({ kind: fc.constant("pong" as const), nonce: uint, timeMs: uint }),
  fc.record({
    kind: fc.constant("roster" as const),
    request: uint,
    account,
    version: uint32,
    devices: fc.array(fc.nat(0xffff), { maxLength: 40 }),
  }),
  fc.record({
    kind: fc.constant("error" as const),
    code: uint,
    retryAfterMs: uint,
    message: fc.string({ unit: "grapheme", maxLength: 100 }),
  }),
  fc.record({
    kind: fc.constant("answer" as const),
    request: uint,
    code: uint,
    retryAfterMs: uint,
    body: map,
  }),
);

const body: WelcomeBody = {
  device: new Uint8Array(20).fill(7),
  serverTimeMs: 1_760_000_000_000,
  durability: "disk",
  position: 2 ** 33 + 1,
  dedupWindowMs: limits.dedupWindowMs,
  dedupWindowCount: limits.dedupWindowCount,
  payloadBytesMax: limits.payloadBytesMax,
  messageBytesMax: limits.messageBytesMax,
  accountsPerSendMax: limits.accountsPerSendMax,
  windowEntries: 256,
  windowBytes: 262_144,
  silenceMs: 60_000,
};

describe("round trips", () => {
  test("any client frame", () => {
    fc.assert(
      fc.property(fc.array(clientFrame, { minLength: 1, maxLength: 4 }), (frames) => {
        const bytes = Buffer.concat(frames.map(encodeClientFrame));
        expect([...decodeClientMessage(bytes, limits)]).toEqual(frames.map(asViewed));
      }),
      { numRuns: 300 },
    );
  });

  test("any sealed shared send, with another frame behind it", () => {
    fc.assert(
      fc.property(sealedSharedSend, (frame) => {
        const ping = encodeClientFrame({ kind: "ping", nonce: 7 });
        const bytes = Buffer.concat([encodeSealedSharedSend(frame), ping]);
        expect(decodeUnidentified(bytes)).toEqual([asViewed(frame), { kind: "ping", nonce: 7 }]);
      }),
      { numRuns: 200 },
    );
  });

  test("any server frame", () => {
    fc.assert(
      fc.property(fc.array(serverFrame, { minLength: 1, maxLength: 4 }), (frames) => {
        const bytes = Buffer.concat(frames.map(encodeServerFrame));
        expect([...decodeServerMessage(bytes)]).toEqual(frames.map(asViewed));
      }),
      { numRuns: 300 },
    );
  });

  test("a frame is read from inside a message, and says where the next begins", () => {
    const first = encodeClientFrame({ kind: "ack", sequence: 300 });
    const bytes = Buffer.concat([first, encodeClientFrame({ kind: "ping", nonce: 1 })]);
    expect(decodeClientFrame(bytes, 0, limits)).toEqual({
      frame: { kind: "ack", sequence: 300 },
      next: first.length,
    });
    expect(decodeClientFrame(bytes, first.length, limits)).toEqual({
      frame: { kind: "ping", nonce: 1 },
      next: bytes.length,
    });
  });

  test("welcome and refusals as the server writes them are read by the client", () => {
    const rosters = [{ account: new Uint8Array(18), version: 3, missing: [1, 300], surplus: [] }];
    const message = Buffer.concat([
      encodeWelcome(body),
      encodeRefusal({ position: 1, code: "rosterStale", detail: { rosters } }),
      encodeRefusal({ position: 2, code: "overloaded", retryAfterMs: 250 }),
    ]);
    expect([...decodeServerMessage(message)].map(unwrapped)).toEqual([
      { kind: "welcome", body },
      { kind: "refusal", position: 1, code: codes.rosterStale.code, retryAfterMs: 0, detail: { rosters } },
      { kind: "refusal", position: 2, code: codes.overloaded.code, retryAfterMs: 250, detail: {} },
    ]);
  });

  test("a refusal that lists every device of every account is read", () => {
    const numbers = Array.from({ length: limits.devicesPerAccountMax }, (_, i) => i + 1);
    const rosters = Array.from({ length: limits.accountsPerSharedSendMax + 1 }, () => ({
      account: new Uint8Array(18),
      version: 1,
      missing: numbers,
      surplus: numbers,
    }));
    const [frame] = [
      ...decodeServerMessage(encodeRefusal({ position: 1, code: "rosterStale", detail: { rosters } })),
    ];
    expect(frame?.kind === "refusal" && frame.detail.rosters?.length).toBe(rosters.length);
  });

  test("a deliver frame has the shape that the kernel writes: 65 bytes and the payload", () => {
    const bytes = encodeServerFrame({
      kind: "deliver",
      sequence: 1,
      sender: new Uint8Array(20),
      id: new Uint8Array(16),
      timeMs: 2,
      payload: Uint8Array.of(9, 9),
    });
    expect(bytes.length).toBe(67);
    expect(Buffer.from(bytes.subarray(0, 11)).toString("hex")).toBe("9621cf0000000000000001");
    expect(Buffer.from(bytes.subarray(60)).toString("hex")).toBe("c6000000020909");
  });

  test("numbers of durabilities and gap reasons have names, unknown ones have none", () => {
    expect([1, 2, 3, 4].map(durabilityName)).toEqual(["memory", "disk", "quorum", undefined]);
    expect([1, 2, 3, 4].map(gapReasonName)).toEqual(["quota", "expired", "corrupt", undefined]);
  });
});

describe("hostile bytes", () => {
  const seeds = [
    ...clientVectors().messages.good,
    ...clientVectors().hello.good,
    ...clientVectors().unidentified.good,
    ...serverVectors().messages.good,
  ].map(vectorBytes);

  /** Some bytes of a good message changed, cut or doubled. */
  const mutated = fc
    .tuple(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      fc.nat(3),
    )
    .map(([seed, changes, cut, how]) => {
      const bytes = seed.slice();
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      if (how === 1) return bytes.subarray(0, cut % bytes.length);
      if (how === 2) return new Uint8Array([...bytes, ...bytes.subarray(cut % bytes.length)]);
      return bytes;
    });
  const headers = fc.constantFrom(
    0x91,
    0x9f,
    0xdc,
    0xdd,
    0xde,
    0xdf,
    0xc6,
    0xdb,
    0xc9,
    0xff,
    0x00,
    0x20,
    0x02,
  );
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.array(headers, { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes)),
  );

  const decoders: readonly [string, (bytes: Uint8Array) => unknown][] = [
    ["decodeHello", (bytes) => decodeHello(bytes, limits.tokenBytesMax)],
    ["decodeClientMessage", (bytes) => [...decodeClientMessage(bytes, limits)]],
    ["decodeServerMessage", (bytes) => [...decodeServerMessage(bytes)]],
    ["decodeUnidentifiedFrame", decodeUnidentified],
  ];

  test.each(decoders)("%s returns or throws CodedError, whatever comes", (_name, decode) => {
    fc.assert(
      fc.property(fc.oneof(mutated, garbage), (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          if (!(error instanceof CodedError)) throw error;
        }
      }),
      { numRuns: 20_000 },
    );
  });

  test.each(decoders)("%s gives views of its input only, and few objects", (_name, decode) => {
    fc.assert(
      fc.property(fc.oneof(mutated, garbage), (bytes) => {
        const copy = Uint8Array.from(bytes);
        try {
          const { views, items } = measure(decode(copy));
          expect(views.every((view) => view.buffer === copy.buffer)).toBe(true);
          expect(items).toBeLessThanOrEqual(8 + 8 * bytes.length);
        } catch (error) {
          if (!(error instanceof CodedError)) throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test("a claim of four billion costs no memory and no time", () => {
    const claims = [
      "9501dbffffffff",
      "9302c6ffffffff",
      "9220dfffffffff",
      "9220ddffffffff",
      "9220deffff",
      "dcffff21",
    ];
    const before = process.memoryUsage().arrayBuffers;
    for (let round = 0; round < 100; round++) {
      for (const hex of claims) {
        for (const [, decode] of decoders) expect(() => decode(Buffer.from(hex, "hex"))).toThrow(CodedError);
      }
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });

  test("a full message of the smallest values is refused by the bounds on bodies, not by memory", () => {
    const nils = Buffer.concat([Buffer.from("922081a161dcffff", "hex"), Buffer.alloc(65_535, 0xc0)]);
    expect(() => [...decodeServerMessage(nils)]).toThrow(CodedError);
  });
});

/** The views in a decoded value, and how many values it is made of. */
function measure(value: unknown): { views: Uint8Array[]; items: number } {
  if (value instanceof Uint8Array) return { views: [value], items: 1 };
  if (typeof value !== "object" || value === null) return { views: [], items: 1 };
  const inner = Object.values(value).map(measure);
  return {
    views: inner.flatMap(({ views }) => views),
    items: 1 + inner.reduce((sum, { items }) => sum + items, 0),
  };
}

/** Decoded byte strings are views of a Buffer here; the comparison wants plain ones. */
function asViewed<T>(frame: T): T {
  return unwrapped(frame) as T;
}

function unwrapped(value: unknown): unknown {
  if (value instanceof Uint8Array)
    return expect.toSatisfy((other) => Buffer.compare(other as Uint8Array, value) === 0);
  if (Array.isArray(value)) return value.map(unwrapped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unwrapped(item)]));
}

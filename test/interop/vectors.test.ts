/**
 * The literal messages of test/vectors/ against a running node: what they say
 * comes of a message is what the kernel and the edge do with it, not only what
 * the codecs think. Each vector has a connection of its own.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concatBytes } from "../../src/base/bytes.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { codeName } from "../../src/wire/codes.js";
import { SUBPROTOCOL } from "../../src/wire/protocol.js";
import { decodeServerMessage, type ServerFrame } from "../../src/wire/server-frames.js";
import { clientVectors, vectorBytes } from "../wire/vectors.js";

const vectors = clientVectors();
const PROBE = 4_242;

let directory: string;
let node: InterlineNode;
let devices = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-vectors-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});

afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

interface Outcome {
  readonly frames: readonly ServerFrame[];
  /** Undefined when the connection answered the ping after the message. */
  readonly closeCode: number | undefined;
}

/** Sends the messages, one after the other, then a ping, and waits for its pong or for the end. */
function outcomeOf(messages: readonly Uint8Array[]): Promise<Outcome> {
  const socket = nodeTransport().connect(node.url as string, SUBPROTOCOL);
  const frames: ServerFrame[] = [];
  return new Promise((resolve) => {
    socket.onopen = () => {
      socket.send(messages[0] as Uint8Array);
      if (messages.length === 1) socket.send(encodeClientFrame({ kind: "ping", nonce: PROBE }));
    };
    socket.onmessage = (bytes) => {
      for (const frame of decodeServerMessage(bytes)) {
        frames.push(frame);
        if (frame.kind === "welcome") {
          for (const message of messages.slice(1)) socket.send(message);
          socket.send(encodeClientFrame({ kind: "ping", nonce: PROBE }));
        } else if (frame.kind === "pong" && frame.nonce === PROBE) {
          socket.close(1000, "");
          resolve({ frames, closeCode: undefined });
        }
      }
    };
    socket.onclose = (closeCode) => resolve({ frames, closeCode });
  });
}

async function hello(): Promise<Uint8Array> {
  devices += 1;
  const token = await node.mintToken({ brand: "whatsapp", account: `vector ${devices}`, device: 1 });
  return encodeClientFrame({ kind: "hello", token, resume: 0, windowEntries: 0, windowBytes: 0 });
}

async function helloOfNobody(): Promise<Uint8Array> {
  const token = await node.mintAnonymousToken({ brand: "whatsapp" });
  return encodeClientFrame({ kind: "hello", token, resume: 0, windowEntries: 0, windowBytes: 0 });
}

/** The code that ended the connection, as told by the error frame and the close code alike. */
function endOf({ frames, closeCode }: Outcome): string | undefined {
  if (closeCode === undefined) return undefined;
  const error = frames.at(-1);
  expect(error?.kind === "error" && error.code + 4000).toBe(closeCode);
  return codeName(closeCode - 4000);
}

describe("the first message", () => {
  test.each(vectors.hello.bad)("$name: $code", async (vector) => {
    expect(endOf(await outcomeOf([vectorBytes(vector)]))).toBe(vector.code);
  });

  test.each(vectors.hello.good)("$name: read, and its token is looked at", async (vector) => {
    // A ping right behind it comes too early, if sign-in has not refused the made-up token before.
    expect(["tokenInvalid", "helloExpected"]).toContain(endOf(await outcomeOf([vectorBytes(vector)])));
  });
});

describe("a message after welcome", () => {
  test.each(vectors.messages.good)("$name: read, and the connection lives", async (vector) => {
    const end = endOf(await outcomeOf([await hello(), vectorBytes(vector)]));
    // Of the acks among them, those above 2^32 name sequences that a new device was never sent.
    const frames = vector.frames as readonly { kind: string; sequence?: number }[];
    const isAhead = frames.some(({ kind, sequence = 0 }) => kind === "ack" && sequence > 2 ** 32);
    expect(end).toBe(isAhead ? "positionAhead" : undefined);
  });

  test.each(vectors.messages.refused)("$name: $code, and the connection lives", async (vector) => {
    const outcome = await outcomeOf([await hello(), vectorBytes(vector)]);
    expect(outcome.closeCode).toBeUndefined();
    const refusals = outcome.frames.flatMap((frame) => (frame.kind === "refusal" ? [frame] : []));
    expect(refusals.map(({ position, code }) => [position, codeName(code)])).toEqual([[1, vector.code]]);
  });

  test.each(vectors.messages.bad)("$name: $code", async (vector) => {
    expect(endOf(await outcomeOf([await hello(), vectorBytes(vector)]))).toBe(vector.code);
  });
});

describe("a message of a connection that speaks for nobody", () => {
  const { good, refused, bad } = vectors.unidentified;
  const refusalsOf = ({ frames }: Outcome) =>
    frames.flatMap((frame) => (frame.kind === "refusal" ? [codeName(frame.code)] : []));

  test.each(good)("$name: read, and the connection lives", async (vector) => {
    const outcome = await outcomeOf([await helloOfNobody(), vectorBytes(vector)]);
    expect(endOf(outcome)).toBeUndefined();
  });

  test.each(refused)("$name: $code, and the connection lives", async (vector) => {
    const outcome = await outcomeOf([await helloOfNobody(), vectorBytes(vector)]);
    expect([endOf(outcome), refusalsOf(outcome)]).toEqual([undefined, [vector.code]]);
  });

  test.each(bad)("$name: $code", async (vector) => {
    expect(endOf(await outcomeOf([await helloOfNobody(), vectorBytes(vector)]))).toBe(vector.code);
  });

  test.each(vectors.messages.good.filter(({ name }) => name.startsWith("a request")))(
    "$name: read, and the connection lives",
    async (vector) => {
      expect(endOf(await outcomeOf([await helloOfNobody(), vectorBytes(vector)]))).toBeUndefined();
    },
  );

  test.each(vectors.messages.good.filter(({ name }) => name.startsWith("a send")))(
    "$name: has no place there",
    async (vector) => {
      expect(endOf(await outcomeOf([await helloOfNobody(), vectorBytes(vector)]))).toBe("unidentified");
    },
  );
});

test("frames before a bad one in the same message still count", async () => {
  const ping = encodeClientFrame({ kind: "ping", nonce: 7 });
  const outcome = await outcomeOf([await hello(), concatBytes([ping, Uint8Array.of(0xc1)])]);
  expect(endOf(outcome)).toBe("badFrame");
  expect(outcome.frames.some((frame) => frame.kind === "pong" && frame.nonce === 7)).toBe(true);
});

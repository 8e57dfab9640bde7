/** The codecs against the literal messages of test/vectors/, which strangers write clients against. */
import { describe, expect, test } from "vitest";
import { limits } from "../../src/rules/limits.js";
import { decodeClientMessage, encodeClientFrame } from "../../src/wire/client-frames.js";
import { CodedError } from "../../src/wire/coded-error.js";
import { decodeHello } from "../../src/wire/hello.js";
import { DELIVERY_HEADER_BYTES_MAX } from "../../src/wire/protocol.js";
import {
  decodeUnidentifiedFrame,
  encodeSealedSend,
  encodeSealedSharedSend,
  type SealedSendFrame,
  type SealedSharedSendFrame,
} from "../../src/wire/sealed.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";
import { clientVectors, plain, serverVectors, vectorBytes } from "./vectors.js";

const fromClient = clientVectors();
const fromServer = serverVectors();

function codeOf(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return "none";
}

describe("the first message of a connection", () => {
  test.each(fromClient.hello.good)("$name", (vector) => {
    expect([plain(decodeHello(vectorBytes(vector), limits.tokenBytesMax))]).toEqual(vector.frames);
  });

  test.each(fromClient.hello.bad)("$name: $code", (vector) => {
    expect(codeOf(() => decodeHello(vectorBytes(vector), limits.tokenBytesMax))).toBe(vector.code);
  });
});

describe("messages after welcome", () => {
  test.each(fromClient.messages.good)("$name", (vector) => {
    expect([...decodeClientMessage(vectorBytes(vector), limits)].map(plain)).toEqual(vector.frames);
  });

  test.each([...fromClient.messages.refused, ...fromClient.messages.bad])("$name: $code", (vector) => {
    const decode = (): void => {
      for (const { kind } of decodeClientMessage(vectorBytes(vector), limits)) {
        // The decoder reads every kind; that hello has no place here is for whoever calls it.
        if (kind === "hello") throw new CodedError("badFrame");
      }
    };
    expect(codeOf(decode)).toBe(vector.code);
  });

  test("what the client writes is the shortest of the good forms", () => {
    const first = fromClient.messages.good.find(({ name }) => name === "a send to one device of one account");
    const bytes = vectorBytes(first as never);
    const [frame] = [...decodeClientMessage(bytes, limits)];
    expect(encodeClientFrame(frame as never)).toEqual(bytes);
  });
});

describe("messages of a connection that speaks for nobody", () => {
  const decode = (bytes: Uint8Array) => {
    const frames = [];
    for (let at = 0; at < bytes.length; ) {
      const { frame, next } = decodeUnidentifiedFrame(bytes, at, limits);
      frames.push(frame);
      at = next;
    }
    return frames;
  };
  const { good, refused, bad } = fromClient.unidentified;

  test.each(good)("$name", (vector) => {
    expect(decode(vectorBytes(vector)).map(plain)).toEqual(vector.frames);
  });

  test.each([...refused, ...bad])("$name: $code", (vector) => {
    expect(codeOf(() => decode(vectorBytes(vector)))).toBe(vector.code);
  });

  test("what the client writes is the shortest of the good forms", () => {
    const bytes = vectorBytes(good[0] as never);
    expect(encodeSealedSend(decode(bytes)[0] as SealedSendFrame)).toEqual(bytes);
    const shared = vectorBytes(good.find(({ name }) => name.startsWith("a sealed shared send to")) as never);
    expect(encodeSealedSharedSend(decode(shared)[0] as SealedSharedSendFrame)).toEqual(shared);
  });
});

describe("messages of a server", () => {
  test.each(fromServer.messages.good)("$name", (vector) => {
    expect([...decodeServerMessage(vectorBytes(vector))].map(plain)).toEqual(vector.frames);
  });

  test("what a delivery has beside payload, shared part and block is within its bound, of every kind", () => {
    const seen = new Set<string>();
    for (const vector of fromServer.messages.good) {
      const bytes = vectorBytes(vector);
      const [frame, second] = [...decodeServerMessage(bytes)];
      if (frame === undefined || second !== undefined || !("sender" in frame && "sequence" in frame))
        continue;
      seen.add(frame.kind);
      const brought = "payload" in frame ? frame.payload.length : frame.shared.length + frame.block.length;
      expect(bytes.length - brought, vector.name).toBeLessThanOrEqual(DELIVERY_HEADER_BYTES_MAX);
    }
    expect([...seen].sort()).toEqual(["deliver", "groupDeliver", "ownDeliver", "sharedDeliver"]);
  });

  test.each(fromServer.messages.bad)("$name: $code", (vector) => {
    expect(codeOf(() => [...decodeServerMessage(vectorBytes(vector))])).toBe(vector.code);
  });
});

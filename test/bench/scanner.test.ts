import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReadMemory } from "../../bench/generator/reads.js";
import { FrameScanner, type MessageReader, opcodes } from "../../bench/generator/scanner.js";

/** A server's frame: unmasked, with the shortest header. */
function serverFrame(payload: Uint8Array, first = 0x80 | opcodes.binary): Uint8Array {
  const { length } = payload;
  const header =
    length < 126
      ? [first, length]
      : length < 0x1_0000
        ? [first, 126, length >> 8, length & 0xff]
        : [
            first,
            127,
            0,
            0,
            0,
            0,
            (length >>> 24) & 0xff,
            (length >> 16) & 0xff,
            (length >> 8) & 0xff,
            length & 0xff,
          ];
  return Buffer.concat([Uint8Array.from(header), payload]);
}

/** Protocol frames for these tests: `[length u16, bytes …]`; a message holds any number of them. */
function protocolFrame(length: number, fill: number): Uint8Array {
  const frame = new Uint8Array(2 + length).fill(fill);
  frame[0] = length >> 8;
  frame[1] = length & 0xff;
  return frame;
}

class Recorder implements MessageReader {
  readonly frames: { connection: number; length: number; fill: number }[] = [];
  readonly controls: { opcode: number; bytes: number[] }[] = [];

  payload(connection: number, bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (end - at >= 2) {
      const length = (bytes[at]! << 8) | bytes[at + 1]!;
      if (end - at < 2 + length) return at;
      const body = bytes.subarray(at + 2, at + 2 + length);
      const fill = body[0] ?? 0;
      expect(body.every((byte) => byte === fill)).toBe(true);
      this.frames.push({ connection, length, fill });
      at += 2 + length;
    }
    return at;
  }

  control(_connection: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    this.controls.push({ opcode, bytes: [...bytes.subarray(at, end)] });
  }
}

function scanInParts(stream: Uint8Array, cuts: readonly number[], recorder = new Recorder()): Recorder {
  const memory = new ReadMemory();
  const scanner = new FrameScanner(1, memory, recorder);
  let from = 0;
  for (const to of [...cuts, stream.length]) {
    memory.readBuffer.set(stream.subarray(from, to));
    scanner.scan(0, to - from);
    from = to;
  }
  return recorder;
}

describe("the scanner of server frames", () => {
  it("reads all three lengths of header", () => {
    for (const length of [0, 1, 123, 124, 65_533]) {
      const recorder = scanInParts(serverFrame(protocolFrame(length, 7)), []);
      expect(recorder.frames).toEqual([{ connection: 0, length, fill: length === 0 ? 0 : 7 }]);
    }
    const long = Buffer.concat([protocolFrame(60_000, 1), protocolFrame(60_000, 2)]);
    expect(scanInParts(serverFrame(long), []).frames.map(({ fill }) => fill)).toEqual([1, 2]);
  });

  it("gives the same frames wherever the stream is cut", () => {
    const message = Buffer.concat([protocolFrame(5, 1), protocolFrame(0, 0), protocolFrame(130, 2)]);
    const stream = Buffer.concat([
      serverFrame(message),
      serverFrame(Uint8Array.of(9, 9), 0x80 | opcodes.ping),
      serverFrame(protocolFrame(300, 3)),
    ]);
    const whole = scanInParts(stream, []);
    expect(whole.frames.map(({ length }) => length)).toEqual([5, 0, 130, 300]);
    expect(whole.controls).toEqual([{ opcode: opcodes.ping, bytes: [9, 9] }]);
    for (let cut = 1; cut < stream.length; cut++) {
      const parts = scanInParts(stream, [cut]);
      expect(parts.frames).toEqual(whole.frames);
      expect(parts.controls).toEqual(whole.controls);
    }
  });

  it("gives the same frames for random messages cut at random places", () => {
    const messages = fc.array(fc.array(fc.nat(400), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(5_000), { maxLength: 12 }), (lengths, places) => {
        let fill = 0;
        const stream = Buffer.concat(
          lengths.map((message) =>
            serverFrame(Buffer.concat(message.map((length) => protocolFrame(length, ++fill % 256)))),
          ),
        );
        const cuts = [...new Set(places.map((place) => place % stream.length))].sort((a, b) => a - b);
        expect(scanInParts(stream, cuts).frames).toEqual(scanInParts(stream, []).frames);
        expect(scanInParts(stream, cuts).frames).toHaveLength(fill);
      }),
    );
  });

  it("keeps what connections have begun apart", () => {
    const memory = new ReadMemory();
    const recorder = new Recorder();
    const scanner = new FrameScanner(2, memory, recorder);
    const streams = [serverFrame(protocolFrame(50, 1)), serverFrame(protocolFrame(60, 2))] as const;
    for (const [from, to] of [
      [0, 20],
      [20, undefined],
    ] as const) {
      streams.forEach((stream, connection) => {
        const part = stream.subarray(from, to);
        memory.readBuffer.set(part);
        scanner.scan(connection, part.length);
      });
    }
    expect(recorder.frames).toEqual([
      { connection: 0, length: 50, fill: 1 },
      { connection: 1, length: 60, fill: 2 },
    ]);
  });

  it("refuses what no measured server sends: fragments, text, extensions, masks, long control frames", () => {
    const payload = protocolFrame(3, 1);
    for (const first of [opcodes.binary, 0x80 | opcodes.text, 0xc0 | opcodes.binary, 0x80]) {
      expect(() => scanInParts(serverFrame(payload, first), [])).toThrow(/no server/);
    }
    const masked = serverFrame(payload);
    masked[1]! |= 0x80;
    expect(() => scanInParts(masked, [])).toThrow(/no server/);
    expect(() => scanInParts(serverFrame(new Uint8Array(126), 0x80 | opcodes.ping), [])).toThrow(/too long/);
  });

  it("refuses a message that ends inside a protocol frame", () => {
    expect(() => scanInParts(serverFrame(protocolFrame(10, 1).subarray(0, 9)), [])).toThrow(/ends inside/);
  });
});

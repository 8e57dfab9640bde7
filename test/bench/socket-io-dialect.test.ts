import { describe, expect, it } from "vitest";
import { durabilityNone } from "../../bench/generator/dialect.js";
import { maskedMessage } from "../../bench/generator/masked.js";
import { ReadMemory } from "../../bench/generator/reads.js";
import { FrameScanner, opcodes } from "../../bench/generator/scanner.js";
import { SocketIoDialect } from "../../bench/generator/socket-io-dialect.js";
import { Recording, receive } from "./recorded-device.js";

const DEVICES = 8;
const PAYLOAD_BYTES = 16;
const HELLO = "sixteen bytes ok";
const STAMPED = "\x07\0\0\0\x03\0\0\0\x01\0\0\0\x05\0\0\0";

function newDevice() {
  const memory = new ReadMemory();
  const recording = new Recording(memory, PAYLOAD_BYTES);
  const options = { events: recording, wire: recording, devices: DEVICES, payloadBytes: PAYLOAD_BYTES };
  const dialect = new SocketIoDialect(options);
  return { dialect, recording, scanner: new FrameScanner(DEVICES, memory, dialect) };
}

/** Unmasked, as from a server. */
const frame = (opcode: number, payload: string) =>
  String.fromCharCode(0x80 | opcode, payload.length) + payload;
const text = (payload: string) => frame(opcodes.text, payload);
const masked = (opcode: number, payload: string) =>
  Buffer.from(maskedMessage(Buffer.from(payload, "latin1"), opcode)).toString("latin1");

describe("a device of Socket.IO", () => {
  it("says its name when the server has spoken, and is ready when it is let in", () => {
    const { dialect, recording, scanner } = newDevice();
    dialect.opened(3);
    expect(recording.written).toEqual([]);
    receive(scanner, 3, text('0{"sid":"a","upgrades":[]}'));
    expect(recording.writtenTo(3)).toBe(masked(opcodes.text, '40{"name":"d0000003"}'));
    receive(scanner, 3, text('40{"sid":"b"}'));
    expect(recording.told).toEqual([["ready", 3]]);
  });

  it("sends an event with bytes, and asks for its answer", () => {
    const { dialect, recording } = newDevice();
    dialect.send(3, 7, 1, 5);
    dialect.flush(3);
    const announcement = '451-000000001["send","d0000007",{"_placeholder":true,"num":0}]';
    expect(recording.writtenTo(3)).toBe(masked(opcodes.text, announcement) + masked(opcodes.binary, STAMPED));
  });

  it("takes deliveries and answers, and answers pings, wherever the stream is cut", () => {
    const delivery = text('451-["deliver",{"_placeholder":true,"num":0}]') + frame(opcodes.binary, HELLO);
    const stream = delivery + text("431[]") + text("2") + delivery + text("432[]");
    for (let cut = 0; cut <= stream.length; cut++) {
      const { recording, scanner } = newDevice();
      receive(scanner, 3, stream.slice(0, cut), stream.slice(cut));
      expect(recording.told).toEqual([
        ["delivered", 3, HELLO],
        ["receipted", 3, 1, durabilityNone],
        ["delivered", 3, HELLO],
        ["receipted", 3, 2, durabilityNone],
      ]);
      expect(recording.writtenTo(3)).toBe(masked(opcodes.text, "3"));
    }
  });

  it("is broken by answers out of order and by a refusal", () => {
    const { recording, scanner } = newDevice();
    receive(scanner, 3, text("432[]"), text('44{"message":"no"}'));
    expect(recording.told).toEqual([
      ["broken", 3, "the server answered send 2, not 1"],
      ["broken", 3, 'the server sent 44{"message":"no"}'],
    ]);
  });
});

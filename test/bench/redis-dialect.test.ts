import { describe, expect, it } from "vitest";
import { RawScanner } from "../../bench/generator/raw-scanner.js";
import { ReadMemory } from "../../bench/generator/reads.js";
import { RedisDialect } from "../../bench/generator/redis-dialect.js";
import { durabilities } from "../../src/wire/protocol.js";
import { Recording, receive } from "./recorded-device.js";

const DEVICES = 8;
const PAYLOAD_BYTES = 16;
const [FIRST, SECOND] = ["sixteen bytes ok", "and sixteen more"] as const;
const STAMPED = "\x07\0\0\0\x03\0\0\0\x01\0\0\0\x05\0\0\0";
/** Device 3's connections. */
const READING = 3;
const WRITING = 3 + DEVICES;

function newDevice() {
  const memory = new ReadMemory();
  const recording = new Recording(memory, PAYLOAD_BYTES);
  const dialect = new RedisDialect({
    events: recording,
    wire: recording,
    devices: DEVICES,
    payloadBytes: PAYLOAD_BYTES,
    durability: durabilities.disk,
  });
  return { dialect, recording, scanner: new RawScanner(2 * DEVICES, memory, dialect) };
}

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const words = (...all: readonly string[]) => `*${all.length}\r\n${all.map(bulk).join("")}`;
const entry = (id: string, payload: string) => `*2\r\n${bulk(id)}*2\r\n${bulk("p")}${bulk(payload)}`;
const answer = (...entries: readonly string[]) =>
  `*1\r\n*2\r\n${bulk("device:d0000003")}*${entries.length}\r\n${entries.join("")}`;

describe("a device of Redis Streams", () => {
  it.each([
    [READING, WRITING],
    [WRITING, READING],
  ])("is ready when both its connections are, and waits for its stream (%i first)", (first, second) => {
    const { dialect, recording, scanner } = newDevice();
    dialect.opened(first);
    receive(scanner, first, "+PONG\r\n");
    dialect.opened(second);
    expect(recording.told).toEqual([]);
    receive(scanner, second, "+PONG\r\n");
    expect(recording.told).toEqual([["ready", 3]]);
    const wait = words("XREAD", "BLOCK", "0", "STREAMS", "device:d0000003", "0");
    expect(recording.writtenTo(READING)).toBe(words("PING") + wait);
    expect(recording.writtenTo(WRITING)).toBe(words("PING"));
  });

  it("adds to the streams of others, and takes each reply for a receipt", () => {
    const { dialect, recording, scanner } = newDevice();
    dialect.send(3, 7, 1, 5);
    dialect.flush(3);
    const add = words("XADD", "device:d0000007", "*", "p", STAMPED);
    expect(recording.written).toEqual([{ connection: WRITING, text: add }]);
    const replies = `${bulk("1700000000000-0")}:1\r\n${bulk("1700000000000-1")}`;
    for (let cut = 0; cut <= replies.length; cut++) {
      const again = newDevice();
      receive(again.scanner, WRITING, replies.slice(0, cut), replies.slice(cut));
      expect(again.recording.told).toEqual([
        ["receipted", 3, 1, durabilities.disk],
        ["receipted", 3, 2, durabilities.disk],
      ]);
    }
    receive(scanner, WRITING, replies);
    expect(recording.told).toHaveLength(2);
  });

  it("reads entries, removes them and waits for the next, wherever the stream is cut", () => {
    const stream =
      answer(entry("1700000000000-0", FIRST), entry("1700000000000-9", SECOND)) +
      answer(entry("1700000000001-10", FIRST));
    for (let cut = 0; cut <= stream.length; cut++) {
      const { dialect, recording, scanner } = newDevice();
      receive(scanner, READING, stream.slice(0, cut), stream.slice(cut));
      dialect.flush(3);
      expect(recording.told).toEqual([FIRST, SECOND, FIRST].map((payload) => ["delivered", 3, payload]));
      const readOn = (id: string) => words("XREAD", "BLOCK", "0", "STREAMS", "device:d0000003", id);
      const trim = (id: string) => words("XTRIM", "device:d0000003", "MINID", id);
      expect(recording.writtenTo(READING)).toBe(readOn("1700000000000-9") + readOn("1700000000001-10"));
      expect(recording.writtenTo(WRITING)).toBe(trim("1700000000000-10") + trim("1700000000001-11"));
    }
  });

  it("is broken by an error on either connection", () => {
    const { recording, scanner } = newDevice();
    receive(scanner, READING, "-ERR wrong\r\n");
    receive(scanner, WRITING, "-OOM no memory\r\n");
    expect(recording.told).toEqual([
      ["broken", 3, "Redis answered: ERR wrong"],
      ["broken", 3, "Redis answered: OOM no memory"],
    ]);
  });
});

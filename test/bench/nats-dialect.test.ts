import { describe, expect, it } from "vitest";
import type { RawDialect } from "../../bench/generator/dialect.js";
import { JetStreamDialect } from "../../bench/generator/jetstream-dialect.js";
import { NatsDialect } from "../../bench/generator/nats-dialect.js";
import { RawScanner } from "../../bench/generator/raw-scanner.js";
import { ReadMemory } from "../../bench/generator/reads.js";
import { durabilities } from "../../src/wire/protocol.js";
import { Recording, receive } from "./recorded-device.js";

const DEVICES = 8;
const PAYLOAD_BYTES = 16;
const HELLO = "sixteen bytes ok";

function newDevice(Kind: new (options: ConstructorParameters<typeof NatsDialect>[0]) => RawDialect) {
  const memory = new ReadMemory();
  const recording = new Recording(memory, PAYLOAD_BYTES);
  const options = { events: recording, wire: recording, devices: DEVICES, payloadBytes: PAYLOAD_BYTES };
  const dialect = new Kind(options);
  return { dialect, recording, scanner: new RawScanner(DEVICES, memory, dialect) };
}

/** `07000000 03000000 01000000 05000000`: target, sender, counter, stamp. */
const STAMPED = "\x07\0\0\0\x03\0\0\0\x01\0\0\0\x05\0\0\0";

describe("a device of core NATS", () => {
  it("signs in, subscribes to its subject, and is ready when the server has taken that", () => {
    const { dialect, recording, scanner } = newDevice(NatsDialect);
    dialect.opened(3);
    expect(recording.writtenTo(3)).toMatch(
      /^CONNECT \{"verbose":false,.*\}\r\nSUB device\.d0000003 1\r\nPING\r\n$/,
    );
    receive(scanner, 3, "INFO {}\r\n");
    expect(recording.told).toEqual([]);
    receive(scanner, 3, "PONG\r\n");
    expect(recording.told).toEqual([["ready", 3]]);
  });

  it("publishes to the subjects of others, everything of a turn in one write", () => {
    const { dialect, recording } = newDevice(NatsDialect);
    dialect.send(3, 7, 1, 5);
    dialect.send(3, 7, 1, 5);
    expect(recording.written).toEqual([]);
    dialect.flush(3);
    const publish = `PUB device.d0000007 16\r\n${STAMPED}\r\n`;
    expect(recording.written).toEqual([{ connection: 3, text: publish + publish }]);
  });

  it("gets what is published to it, wherever the stream is cut, and answers pings", () => {
    const message = `MSG device.d0000003 1 16\r\n${HELLO}\r\n`;
    const stream = `${message}PING\r\n${message}`;
    for (let cut = 0; cut <= stream.length; cut++) {
      const { dialect, recording, scanner } = newDevice(NatsDialect);
      receive(scanner, 3, stream.slice(0, cut), stream.slice(cut));
      dialect.flush(3);
      const delivery = ["delivered", 3, HELLO];
      expect(recording.told).toEqual([delivery, delivery]);
      expect(recording.writtenTo(3)).toBe("PONG\r\n");
    }
  });

  it("is broken by an error", () => {
    const { recording, scanner } = newDevice(NatsDialect);
    receive(scanner, 3, "-ERR 'Slow Consumer'\r\n");
    expect(recording.told).toEqual([["broken", 3, "-ERR 'Slow Consumer'"]]);
  });
});

describe("a device of JetStream", () => {
  const place = "$JS.ACK.DEVICES.d0000003.1.120.9.1700000000000000000.0";
  const receipt = (sequence: number) => {
    // As nats-server 2.9.10 writes it, with its two spaces.
    const json = `{"stream":"DEVICES", "seq":${sequence}}`;
    return `MSG receipt.d0000003 2  ${json.length}\r\n${json}\r\n`;
  };

  it("subscribes to what its consumer delivers and to its receipts", () => {
    const { dialect, recording } = newDevice(JetStreamDialect);
    dialect.opened(3);
    expect(recording.writtenTo(3)).toMatch(
      /\r\nSUB inbox\.d0000003 1\r\nSUB receipt\.d0000003 2\r\nPING\r\n$/,
    );
  });

  it("publishes with the subject that it wants the receipt on", () => {
    const { dialect, recording } = newDevice(JetStreamDialect);
    dialect.send(3, 7, 1, 5);
    dialect.flush(3);
    expect(recording.writtenTo(3)).toBe(`PUB device.d0000007 receipt.d0000003 16\r\n${STAMPED}\r\n`);
  });

  it("acks each delivery and counts receipts, wherever the stream is cut", () => {
    const delivery = `MSG device.d0000003 1 ${place} 16\r\n${HELLO}\r\n`;
    const stream = receipt(9) + delivery + receipt(120) + delivery;
    for (let cut = 0; cut <= stream.length; cut++) {
      const { dialect, recording, scanner } = newDevice(JetStreamDialect);
      receive(scanner, 3, stream.slice(0, cut), stream.slice(cut));
      dialect.flush(3);
      expect(recording.told).toEqual([
        ["receipted", 3, 1, durabilities.memory],
        ["delivered", 3, HELLO],
        ["receipted", 3, 2, durabilities.memory],
        ["delivered", 3, HELLO],
      ]);
      const ack = `PUB ${place} 4\r\n+ACK\r\n`;
      expect(recording.writtenTo(3)).toBe(ack + ack);
    }
  });

  it("is broken by a publish that was refused, and by receipts out of order", () => {
    const refusal = '{"error":{"code":503,"description":"no space"},"stream":"DEVICES","seq":0}';
    const { recording, scanner } = newDevice(JetStreamDialect);
    receive(scanner, 3, `MSG receipt.d0000003 2 ${refusal.length}\r\n${refusal}\r\n`);
    receive(scanner, 3, receipt(10), receipt(10));
    expect(recording.told).toMatchObject([
      ["broken", 3, expect.stringContaining("no space")],
      ["receipted", 3, 1, durabilities.memory],
      ["broken", 3, expect.stringContaining("out of order")],
    ]);
  });
});

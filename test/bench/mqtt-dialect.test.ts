import { describe, expect, it } from "vitest";
import type { DeviceEvents } from "../../bench/generator/dialect.js";
import { MqttDialect } from "../../bench/generator/mqtt-dialect.js";
import { connectPacket, publishPacket, subscribePacket } from "../../bench/generator/mqtt-packets.js";
import { COUNTER_OFFSET, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "../../bench/generator/payload.js";
import { RawScanner } from "../../bench/generator/raw-scanner.js";
import { ReadMemory } from "../../bench/generator/reads.js";
import { durabilities } from "../../src/wire/protocol.js";

const PAYLOAD_BYTES = 256;
const CONNACK = Uint8Array.of(0x20, 2, 0, 0);
const SUBACK = Uint8Array.of(0x90, 3, 0, 1, 1);

/** A dialect of two devices, what it wrote, and what it told the workload. */
function setUp({ takesWrites = true } = {}) {
  const written: Uint8Array[] = [];
  const events: unknown[][] = [];
  const memory = new ReadMemory();
  const tell: DeviceEvents = {
    ready: (...told) => events.push(["ready", ...told]),
    delivered: (device, at) =>
      events.push(["delivered", device, memory.view.getUint32(at + COUNTER_OFFSET, true)]),
    receipted: (...told) => events.push(["receipted", ...told]),
    refused: (...told) => events.push(["refused", ...told]),
    broken: (...told) => events.push(["broken", ...told]),
  };
  const dialect = new MqttDialect({
    events: tell,
    wire: {
      write(_device, bytes) {
        // Without a copy: a slab that is written to again before it was taken shows.
        written.push(takesWrites ? bytes.slice() : bytes);
        return takesWrites;
      },
    },
    devices: 2,
    payloadBytes: PAYLOAD_BYTES,
  });
  const scanner = new RawScanner(2, memory, dialect);
  const receive = (device: number, ...packets: Uint8Array[]) => {
    const read = Buffer.concat(packets);
    memory.readBuffer.set(read);
    scanner.scan(device, read.length);
  };
  return { dialect, written, events, receive };
}

/** A PUBLISH as a broker forwards it. */
function delivery(packetId: number, counter: number): Uint8Array {
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const packet = publishPacket("d0000000", payload);
  const view = new DataView(packet.buffer);
  view.setUint16(packet.length - PAYLOAD_BYTES - 2, packetId);
  view.setUint32(packet.length - PAYLOAD_BYTES + COUNTER_OFFSET, counter, true);
  return packet;
}

function puback(packetId: number): Uint8Array {
  return Uint8Array.of(0x40, 2, packetId >> 8, packetId & 0xff);
}

describe("MQTT packets", () => {
  it("are the standard's bytes", () => {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
    expect(hex(connectPacket("d1"))).toBe("100e00044d5154540400000000026431");
    expect(hex(subscribePacket(10, "a/b"))).toBe("8208000a0003612f6201");
    expect(hex(publishPacket("a/b", Uint8Array.of(7, 8)))).toBe("32090003612f6200000708");
  });

  it("have a remaining length of one byte up to 127, of two from 128 on", () => {
    // Topic 3 and packet id 2 stand in front of the payload.
    expect(publishPacket("t", new Uint8Array(122)).subarray(0, 3)).toEqual(Uint8Array.of(0x32, 127, 0));
    expect(publishPacket("t", new Uint8Array(123)).subarray(0, 4)).toEqual(Uint8Array.of(0x32, 0x80, 1, 0));
    expect(publishPacket("t", new Uint8Array(300)).subarray(0, 4)).toEqual(Uint8Array.of(0x32, 0xb1, 2, 0));
  });
});

describe("the generator's MQTT", () => {
  it("connects, subscribes to its own topic, and is ready when that is granted", () => {
    const { dialect, written, events, receive } = setUp();
    dialect.opened(1);
    receive(1, CONNACK);
    expect(written).toEqual([connectPacket("d0000001"), subscribePacket(1, "d0000001")]);
    expect(events).toEqual([]);
    receive(1, SUBACK);
    expect(events).toEqual([["ready", 1]]);
  });

  it("says what the broker refuses", () => {
    const { events, receive } = setUp();
    receive(0, Uint8Array.of(0x20, 2, 0, 5));
    receive(1, Uint8Array.of(0x90, 3, 0, 1, 0x80));
    receive(1, Uint8Array.of(0xe0, 0));
    expect(events).toEqual([
      ["broken", 0, "the broker refused the connection: 5"],
      ["broken", 1, "the broker refused the subscription: 128"],
      ["broken", 1, "an unexpected packet of type 14"],
    ]);
  });

  it("sends with the target's topic, packet ids that count per device, and the payload's own words", () => {
    const { dialect, written } = setUp();
    dialect.send(1, 0, 11, 21);
    dialect.send(1, 0, 12, 22);
    dialect.flush(1);
    dialect.send(0, 1, 1, 23);
    dialect.flush(0);
    const [two, one] = written as [Uint8Array, Uint8Array];
    expect(two.length).toBe(2 * one.length);
    const parts = [two.subarray(0, one.length), two.subarray(one.length), one];
    const told = parts.map((part) => {
      const view = new DataView(part.buffer, part.byteOffset, part.length);
      const payload = part.length - PAYLOAD_BYTES;
      const words = [TARGET_OFFSET, SENDER_OFFSET, COUNTER_OFFSET, STAMP_OFFSET].map((offset) =>
        view.getUint32(payload + offset, true),
      );
      const topic = Buffer.from(part.subarray(payload - 10, payload - 2)).toString();
      return [part[0], topic, view.getUint16(payload - 2), ...words];
    });
    expect(told).toEqual([
      [0x32, "d0000000", 1, 0, 1, 11, 21],
      [0x32, "d0000000", 2, 0, 1, 12, 22],
      [0x32, "d0000001", 1, 1, 0, 1, 23],
    ]);
  });

  it("acks what was delivered, in order, in front of what it sends", () => {
    const { dialect, written, events, receive } = setUp();
    receive(0, delivery(7, 1), delivery(0x1234, 2));
    dialect.send(0, 1, 1, 1);
    dialect.flush(0);
    expect(events).toEqual([
      ["delivered", 0, 1],
      ["delivered", 0, 2],
    ]);
    expect(written).toHaveLength(1);
    expect([...written[0]!.subarray(0, 9)]).toEqual([0x40, 2, 0, 7, 0x40, 2, 0x12, 0x34, 0x32]);
    dialect.flush(0);
    expect(written).toHaveLength(1);
  });

  it("acks more deliveries of one read than fit one write", () => {
    const { dialect, written, receive } = setUp();
    for (let i = 0; i < 3; i++) {
      receive(0, ...Array.from({ length: 500 }, (_, k) => delivery(i * 500 + k + 1, i * 500 + k + 1)));
    }
    dialect.flush(0);
    const acks = Buffer.concat(written);
    expect(acks.length).toBe(4 * 1500);
    for (let i = 0; i < 1500; i++) expect(acks.readUInt32BE(4 * i)).toBe((0x40020000 | (i + 1)) >>> 0);
  });

  it("takes acks for receipts, up to where they are without a gap", () => {
    const { dialect, events, receive } = setUp();
    for (let i = 0; i < 5; i++) dialect.send(0, 1, i, 0);
    receive(0, puback(1), puback(3), puback(4), puback(2), puback(5));
    expect(events).toEqual([
      ["receipted", 0, 1, durabilities.memory],
      ["receipted", 0, 4, durabilities.memory],
      ["receipted", 0, 5, durabilities.memory],
    ]);
  });

  it("counts positions on when packet ids start again", () => {
    const { dialect, events, receive } = setUp();
    for (let position = 1; position <= 65_537; position++) {
      dialect.send(0, 1, position, 0);
      dialect.flush(0);
      receive(0, puback(((position - 1) % 65_535) + 1));
    }
    expect(events).toHaveLength(65_537);
    expect(events.at(-1)).toEqual(["receipted", 0, 65_537, durabilities.memory]);
  });

  it("reads the same wherever the stream is cut", () => {
    const stream = Buffer.concat([CONNACK, SUBACK, delivery(1, 1), puback(1), delivery(2, 2), puback(2)]);
    const run = (cut: number) => {
      const { dialect, written, events, receive } = setUp();
      dialect.send(0, 1, 1, 0);
      dialect.send(0, 1, 2, 0);
      dialect.flush(0);
      receive(0, stream.subarray(0, cut));
      receive(0, stream.subarray(cut));
      dialect.flush(0);
      return { written, events };
    };
    const whole = run(stream.length);
    expect(whole.events.map(([name]) => name)).toEqual([
      "ready",
      "delivered",
      "receipted",
      "delivered",
      "receipted",
    ]);
    for (let cut = 0; cut < stream.length; cut++) expect(run(cut)).toEqual(whole);
  });

  it("leaves bytes alone that the kernel has not taken", () => {
    const { dialect, written } = setUp({ takesWrites: false });
    dialect.send(0, 1, 1, 1);
    dialect.flush(0);
    const pending = written.at(-1)!;
    const before = pending.slice();
    dialect.send(0, 0, 2, 2);
    dialect.flush(0);
    expect(pending).toEqual(before);
  });

  it("refuses what no broker may send: QoS 0 where 1 was granted, a length without end", () => {
    const { receive } = setUp();
    const unasked = delivery(1, 1);
    unasked[0] = 0x30;
    expect(() => receive(0, unasked)).toThrow(/QoS 1/);
    expect(() => receive(1, Uint8Array.of(0x32, 0xff, 0xff, 0xff, 0xff, 1))).toThrow(/remaining length/);
  });
});

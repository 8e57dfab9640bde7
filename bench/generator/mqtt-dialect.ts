/**
 * MQTT 3.1.1 over plain TCP. Every device keeps a session (clean session off) and
 * subscribes to the topic that has its name; a send is a PUBLISH of QoS 1 to the
 * target's topic, and the broker's PUBACK is its receipt. A delivery is a PUBLISH
 * too, and is acked. What a read triggers leaves in one write: acks, then sends.
 *
 *   slab:  | room for acks | publish | publish | …   filled in beforehand
 *
 *   publish:  32 remaining-length 0008 topic8 id16 payload      puback:  40 02 id16
 *
 * All sends of a run have one length, so only topic, packet id and sixteen bytes
 * of the payload are written per envelope.
 *
 * Packet ids are a device's positions, modulo the 65,535 ids there are. Brokers
 * ack in order; one that does not is understood, its early acks wait.
 */
import { assert } from "../../src/base/assert.js";
import { durabilities } from "../../src/wire/protocol.js";
import { DEVICE_NAME_BYTES, DeviceNames, deviceName } from "./device-names.js";
import type { DeviceEvents, RawDialect, Wire } from "./dialect.js";
import { connectPacket, packetTypes, publishPacket, subscribePacket } from "./mqtt-packets.js";
import { COUNTER_OFFSET, fillPayload, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";

const SLOTS = 256;
const ACKS_MAX = 1024;
const ACK_BYTES = 4;
const PUBACK_HEAD = 0x4002;
const SENDS_OFFSET = ACKS_MAX * ACK_BYTES;
const PACKET_IDS = 0xffff;
const QOS_BITS = 0x06;
const QOS_1 = 0x02;
const SUBSCRIBE_ID = 1;
/** Shifts of the four bytes that a remaining length may have. */
const LENGTH_SHIFT_MAX = 21;

export class MqttDialect implements RawDialect {
  readonly framing = "raw";
  readonly givesReceipts = true;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #payloadBytes: number;
  readonly #names: DeviceNames;
  /** Positions of each device's last send, and of the last one that the broker has acked. */
  readonly #sent: Uint32Array;
  readonly #receipted: Uint32Array;
  /** Positions that were acked before an earlier one was; no entry where there are none. */
  readonly #early = new Map<number, Set<number>>();
  /** Packet ids of what was delivered since the last flush. */
  readonly #toAck = new Uint16Array(ACKS_MAX);
  #toAckCount = 0;
  readonly #publishBytes: number;
  #slab: DataView;
  #bytes: Uint8Array;
  #end = SENDS_OFFSET;

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    readonly devices: number;
    readonly payloadBytes: number;
  }) {
    this.#events = options.events;
    this.#wire = options.wire;
    this.#payloadBytes = options.payloadBytes;
    this.#names = new DeviceNames(options.devices);
    this.#sent = new Uint32Array(options.devices);
    this.#receipted = new Uint32Array(options.devices);
    this.#publishBytes = this.#templatePublish().length;
    this.#slab = this.#newSlab();
    this.#bytes = new Uint8Array(this.#slab.buffer);
  }

  opened(device: number): void {
    this.#sent[device] = 0;
    this.#receipted[device] = 0;
    this.#early.delete(device);
    this.#wire.write(device, connectPacket(deviceName(device)));
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    if (this.#end === this.#slab.byteLength) this.flush(sender);
    const slab = this.#slab;
    const position = this.#sent[sender]! + 1;
    this.#sent[sender] = position;
    this.#end += this.#publishBytes;
    const payload = this.#end - this.#payloadBytes;
    slab.setUint16(payload - 2, packetIdOf(position));
    this.#names.write(slab, payload - 2 - DEVICE_NAME_BYTES, target);
    slab.setUint32(payload + TARGET_OFFSET, target, true);
    slab.setUint32(payload + SENDER_OFFSET, sender, true);
    slab.setUint32(payload + COUNTER_OFFSET, counter, true);
    slab.setUint32(payload + STAMP_OFFSET, stamp, true);
  }

  flush(device: number): void {
    const begin = SENDS_OFFSET - this.#toAckCount * ACK_BYTES;
    if (begin === this.#end) return;
    for (let i = 0; i < this.#toAckCount; i++) {
      this.#slab.setUint16(begin + i * ACK_BYTES, PUBACK_HEAD);
      this.#slab.setUint16(begin + i * ACK_BYTES + 2, this.#toAck[i]!);
    }
    this.#toAckCount = 0;
    const taken = this.#wire.write(device, this.#bytes.subarray(begin, this.#end));
    this.#end = SENDS_OFFSET;
    if (taken) return;
    this.#slab = this.#newSlab();
    this.#bytes = new Uint8Array(this.#slab.buffer);
  }

  /** Nobody is closed for being silent: keep-alive is off. */
  ping(): void {}

  read(device: number, bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end) {
      let body = at + 1;
      let length = 0;
      let shift = 0;
      let byte: number;
      do {
        if (body === end) return at;
        if (shift > LENGTH_SHIFT_MAX) throw new Error("the broker sent a remaining length of five bytes");
        byte = bytes[body]!;
        length |= (byte & 0x7f) << shift;
        shift += 7;
        body += 1;
      } while (byte >= 0x80);
      const next = body + length;
      if (next > end) return at;
      this.#take(device, bytes, at, body, next);
      at = next;
    }
    return at;
  }

  /** One whole packet: its first byte at `at`, what follows the remaining length in [body, end). */
  #take(device: number, bytes: Uint8Array, at: number, body: number, end: number): void {
    const first = bytes[at]!;
    switch (first >> 4) {
      case packetTypes.publish:
        this.#takePublish(device, bytes, first, body, end);
        return;
      case packetTypes.puback:
        this.#takePuback(device, uint16(bytes, body));
        return;
      case packetTypes.connack:
        if (bytes[body + 1] === 0)
          this.#wire.write(device, subscribePacket(SUBSCRIBE_ID, deviceName(device)));
        else this.#events.broken(device, `the broker refused the connection: ${bytes[body + 1]}`);
        return;
      case packetTypes.suback:
        if (bytes[body + 2] === 1) this.#events.ready(device);
        else this.#events.broken(device, `the broker refused the subscription: ${bytes[body + 2]}`);
        return;
      default:
        this.#events.broken(device, `an unexpected packet of type ${first >> 4}`);
    }
  }

  #takePublish(device: number, bytes: Uint8Array, first: number, body: number, end: number): void {
    assert((first & QOS_BITS) === QOS_1, "everything is delivered at QoS 1");
    const packetId = body + 2 + uint16(bytes, body);
    assert(end - packetId - 2 === this.#payloadBytes, "a delivered payload has the length it was sent with");
    if (this.#toAckCount === ACKS_MAX) this.flush(device);
    this.#toAck[this.#toAckCount] = uint16(bytes, packetId);
    this.#toAckCount += 1;
    this.#events.delivered(device, packetId + 2);
  }

  #takePuback(device: number, packetId: number): void {
    const expected = this.#receipted[device]! + 1;
    let position = expected + ((packetId - packetIdOf(expected) + PACKET_IDS) % PACKET_IDS);
    assert(position <= this.#sent[device]!, "an ack is for something that was sent");
    if (position !== expected) {
      const early = this.#early.get(device) ?? new Set();
      this.#early.set(device, early.add(position));
      return;
    }
    if (this.#early.size > 0) {
      const early = this.#early.get(device);
      while (early?.delete(position + 1)) position += 1;
      if (early?.size === 0) this.#early.delete(device);
    }
    this.#receipted[device] = position;
    this.#events.receipted(device, position, durabilities.memory);
  }

  #templatePublish(): Uint8Array {
    const payload = new Uint8Array(this.#payloadBytes);
    fillPayload(payload);
    return publishPacket(deviceName(0), payload);
  }

  #newSlab(): DataView {
    const template = this.#templatePublish();
    const bytes = new Uint8Array(SENDS_OFFSET + SLOTS * template.length);
    for (let at = SENDS_OFFSET; at < bytes.length; at += template.length) bytes.set(template, at);
    return new DataView(bytes.buffer);
  }
}

function packetIdOf(position: number): number {
  return ((position - 1) % PACKET_IDS) + 1;
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

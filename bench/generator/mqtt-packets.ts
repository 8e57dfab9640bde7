/**
 * The packets of MQTT 3.1.1 that a device of the benchmark writes, as bytes of
 * their own; numbers in brackets are sections of the standard.
 *
 *   first byte: type 4 bits, flags 4 bits   remaining length: 1 to 4 bytes, 7 bits each, low first [2.2]
 *   text: u16 length, bytes [1.5.3]
 */
export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  subscribe: 8,
  suback: 9,
} as const;

/** Protocol name, level 4, no flags (a session that is kept, no user name), keep-alive off [3.1]. */
const CONNECT_HEAD = [...text("MQTT"), 4, 0, 0, 0];
/** SUBSCRIBE has reserved flags of 2 [3.8.1]. */
const SUBSCRIBE_FLAGS = 2;
const PUBLISH_FLAGS_QOS_1 = 2;

/** Signs in as a session that outlives its connection. */
export function connectPacket(clientId: string): Uint8Array {
  return packet(packetTypes.connect, 0, [...CONNECT_HEAD, ...text(clientId)]);
}

/** Subscribes to one topic at QoS 1. */
export function subscribePacket(packetId: number, topic: string): Uint8Array {
  const body = [packetId >> 8, packetId & 0xff, ...text(topic), 1];
  return packet(packetTypes.subscribe, SUBSCRIBE_FLAGS, body);
}

/** QoS 1, with packet id 0, which must be overwritten. The payload ends the packet. */
export function publishPacket(topic: string, payload: Uint8Array): Uint8Array {
  return packet(packetTypes.publish, PUBLISH_FLAGS_QOS_1, [...text(topic), 0, 0, ...payload]);
}

function packet(type: number, flags: number, body: readonly number[]): Uint8Array {
  return Uint8Array.from([(type << 4) | flags, ...remainingLength(body.length), ...body]);
}

function remainingLength(length: number): number[] {
  const low = length & 0x7f;
  return length < 0x80 ? [low] : [low | 0x80, ...remainingLength(length >> 7)];
}

function text(value: string): number[] {
  const bytes = Buffer.from(value, "utf8");
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes];
}

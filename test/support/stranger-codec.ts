/**
 * Frames as docs/protocol.md states them, read and written without a line of
 * the engine's own code: what the fault tests believe of a node they must have
 * understood by themselves.
 */

/** A value of the part of msgpack that frames use. */
export type Value = number | string | boolean | null | Buffer | Value[] | Map<string, Value>;

/** Bytes that are not what they should be. */
export class Unreadable extends Error {}

/** The fields of a frame, each asked for as what docs/protocol.md says it is. */
export class Fields {
  readonly #values: readonly Value[];

  constructor(frame: Value) {
    if (!Array.isArray(frame)) throw new Unreadable("a frame is an array");
    this.#values = frame;
  }

  int(at: number): number {
    const value = this.#values[at];
    if (typeof value !== "number") throw new Unreadable(`field ${at} is not a number`);
    return value;
  }

  bytes(at: number, length?: number): Buffer {
    const value = this.#values[at];
    if (!Buffer.isBuffer(value)) throw new Unreadable(`field ${at} is not bytes`);
    if (value.length !== (length ?? value.length)) throw new Unreadable(`field ${at} is not ${length} bytes`);
    return value;
  }

  map(at: number): Map<string, Value> {
    const value = this.#values[at];
    if (!(value instanceof Map)) throw new Unreadable(`field ${at} is not a map`);
    return value;
  }

  list(at: number): readonly Value[] {
    const value = this.#values[at];
    if (!Array.isArray(value)) throw new Unreadable(`field ${at} is not an array`);
    return value;
  }
}

export class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  value(): Value {
    const head = this.#bytes[this.at++];
    if (head === undefined) throw new Unreadable("a value is cut off");
    if (head <= 0x7f) return head;
    if (head <= 0x8f) return this.#map(head & 0x0f);
    if (head <= 0x9f) return this.#array(head & 0x0f);
    if (head <= 0xbf) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 256;
    return this.#long(head);
  }

  #long(head: number): Value {
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#take(this.#uint(1 << (head - 0xc4)));
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#uint(1 << (head - 0xcc));
      case 0xd3:
        return Number(this.#take(8).readBigInt64BE());
      case 0xcb:
        return this.#take(8).readDoubleBE();
      case 0xd9:
      case 0xda:
        return this.#text(this.#uint(1 << (head - 0xd9)));
      case 0xdc:
        return this.#array(this.#uint(2));
      case 0xde:
        return this.#map(this.#uint(2));
      default:
        throw new Unreadable(`a node does not write msgpack 0x${head.toString(16)}`);
    }
  }

  #take(bytes: number): Buffer {
    if (this.at + bytes > this.#bytes.length) throw new Unreadable("a value is cut off");
    this.at += bytes;
    return this.#bytes.subarray(this.at - bytes, this.at);
  }

  #uint(bytes: number): number {
    if (bytes < 8) return this.#take(bytes).readUIntBE(0, bytes);
    return Number(this.#take(8).readBigUInt64BE());
  }

  #text(bytes: number): string {
    return this.#take(bytes).toString("utf8");
  }

  #array(count: number): Value[] {
    const values: Value[] = [];
    for (let i = 0; i < count; i++) values.push(this.value());
    return values;
  }

  #map(count: number): Map<string, Value> {
    const values = new Map<string, Value>();
    for (let i = 0; i < count; i++) values.set(this.value() as string, this.value());
    return values;
  }
}

export function uint(value: number): Buffer {
  if (value < 0x80) return Buffer.of(value);
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xcf;
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
}

export function bin(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head[0] = 0xc6;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

export function array(items: readonly Buffer[]): Buffer {
  const head = items.length < 16 ? Buffer.of(0x90 | items.length) : Buffer.of(0xdc, 0, items.length);
  return Buffer.concat([head, ...items]);
}

/** A map whose values are written already. */
export function map(entries: Readonly<Record<string, Buffer>>): Buffer {
  const fields = Object.entries(entries);
  return Buffer.concat([
    Buffer.of(0xde, 0, fields.length),
    ...fields.flatMap(([key, value]) => [text(key), value]),
  ]);
}

/** A str 16: long enough for any token. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.of(0xda, 0, 0);
  head.writeUInt16BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** One account of a send: 18 bytes, its roster's version, and a payload per device number. */
export interface Party {
  readonly account: Uint8Array;
  readonly version: number;
  readonly devices: readonly { readonly device: number; readonly payload: Uint8Array }[];
}

/** The same with what opens it; of a shared send payloads are blocks. */
export interface OpenedParty extends Party {
  readonly deliveryToken: Uint8Array;
}

export const frames = {
  hello: (token: string, resume: number, entries: number, bytes: number) =>
    array([uint(1), text(token), uint(resume), uint(entries), uint(bytes)]),
  send: (id: Uint8Array, parties: readonly Party[]) =>
    array([
      uint(2),
      bin(id),
      array(
        parties.map(({ account, version, devices }) =>
          array([
            bin(account),
            uint(version),
            array(devices.map(({ device, payload }) => array([uint(device), bin(payload)]))),
          ]),
        ),
      ),
    ]),
  sealedSend: (id: Uint8Array, deliveryToken: Uint8Array, { account, version, devices }: Party) =>
    array([
      ...[uint(11), bin(id), bin(deliveryToken), bin(account), uint(version)],
      array(devices.map(({ device, payload }) => array([uint(device), bin(payload)]))),
    ]),
  sealedSharedSend: (id: Uint8Array, shared: Uint8Array, parties: readonly OpenedParty[]) =>
    array([
      ...[uint(13), bin(id), bin(shared)],
      array(
        parties.map(({ account, deliveryToken, version, devices }) =>
          array([
            ...[bin(account), bin(deliveryToken), uint(version)],
            array(devices.map(({ device, payload }) => array([uint(device), bin(payload)]))),
          ]),
        ),
      ),
    ]),
  ack: (sequence: number) => array([uint(3), uint(sequence)]),
  ephemeral: (parties: readonly Omit<Party, "version">[]) =>
    array([
      uint(4),
      array(
        parties.map(({ account, devices }) =>
          array([
            bin(account),
            array(devices.map(({ device, payload }) => array([uint(device), bin(payload)]))),
          ]),
        ),
      ),
    ]),
  groupEphemeral: (group: Uint8Array, payload: Uint8Array) => array([uint(14), bin(group), bin(payload)]),
  ping: (nonce: number) => array([uint(5), uint(nonce)]),
  rosterQuery: (request: number, account: Uint8Array) => array([uint(6), uint(request), bin(account)]),
  request: (request: number, method: string, body: Buffer) =>
    array([uint(7), uint(request), text(method), body]),
};

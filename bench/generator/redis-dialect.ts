/**
 * Redis Streams: every device has a stream. Its sends are XADDs to the targets'
 * streams, whose replies are its receipts; it waits for its own entries with a
 * blocking XREAD, and removes what it has read with XTRIM, which is its ack.
 *
 *   reading connection  ▸ XREAD BLOCK 0 STREAMS device:d0000007 <last id>
 *                       ◂ *1 *2 $key *n  then n × ( *2 $id *2 $p $payload )
 *   writing connection  ▸ XTRIM device:d0000007 MINID <last id + 1>   XADD …   XADD …
 *                       ◂ :n   $id   $id
 *
 * A device has two connections, which is the least: nothing that is sent on a
 * connection is answered while it blocks. The trim goes with the sends, where its
 * answer shares their packet.
 */
import { assert } from "../../src/base/assert.js";
import { DeviceNames } from "./device-names.js";
import type { DeviceEvents, RawDialect, Wire } from "./dialect.js";
import { Outbox } from "./outbox.js";
import {
  type AddTemplate,
  addTemplate,
  type CommandHead,
  LINE_END,
  pingCommand,
  readFromStart,
  readHead,
  trimHead,
} from "./redis-commands.js";
import { RespToken, tokens } from "./resp-token.js";

const READING = 1;
const WRITING = 2;
const BOTH = READING | WRITING;
const NINE = "9".charCodeAt(0);
/** `1700000000000-0`, and more in either part. */
const ID_BYTES_MAX = 42;
/** `$15␍␊` by the length that it says. */
const lengthHeads = Array.from({ length: ID_BYTES_MAX + 1 }, (_, length) => Buffer.from(`$${length}\r\n`));
/** More than an XTRIM takes. */
const COMMAND_BYTES_MAX = 128;
/** Tokens of an entry: array, id, array, name of the field, payload. */
const ENTRY_FIELDS = 2;

export class RedisDialect implements RawDialect {
  readonly framing = "raw";
  readonly givesReceipts = true;
  readonly connectionsPerDevice = 2;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #devices: number;
  readonly #durability: number;
  readonly #add: AddTemplate;
  readonly #names: DeviceNames;
  readonly #token = new RespToken();
  readonly #writes = new Outbox();
  readonly #reads = new Outbox();
  /** Per device: a bit for each connection that has answered its PING. */
  readonly #standing: Uint8Array;
  readonly #positions: Uint32Array;
  /** Per device: entries of the present answer that are still to come. */
  readonly #entriesLeft: Uint32Array;

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    readonly devices: number;
    readonly payloadBytes: number;
    /** What the reply to an XADD promises with the server's settings. */
    readonly durability: number;
  }) {
    const { devices } = options;
    this.#events = options.events;
    this.#wire = options.wire;
    this.#devices = devices;
    this.#durability = options.durability;
    this.#add = addTemplate(options.payloadBytes);
    this.#names = new DeviceNames(devices);
    this.#standing = new Uint8Array(devices);
    this.#positions = new Uint32Array(devices);
    this.#entriesLeft = new Uint32Array(devices);
  }

  opened(connection: number): void {
    const device = connection % this.#devices;
    if (connection === device) this.#entriesLeft[device] = 0;
    else this.#positions[device] = 0;
    this.#standing[device]! &= ~bitOf(connection, device);
    this.#wire.write(connection, pingCommand);
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    const { bytes, targetOffset, payloadOffset } = this.#add;
    const writes = this.#writes;
    if (!writes.hasRoom(bytes.length + COMMAND_BYTES_MAX)) this.flush(sender);
    const at = writes.add(bytes);
    this.#names.write(writes.view, at + targetOffset, target);
    writes.stampPayload(at + payloadOffset, sender, target, counter, stamp);
  }

  flush(device: number): void {
    this.#writes.writeTo(this.#wire, this.#devices + device);
    this.#reads.writeTo(this.#wire, device);
  }

  /** Redis closes nobody for being silent (`timeout 0`). */
  ping(): void {}

  read(connection: number, bytes: Uint8Array, from: number, end: number): number {
    const device = connection % this.#devices;
    const isReading = connection === device;
    let at = from;
    while (at < end) {
      const next = isReading
        ? this.#readDeliveries(device, bytes, at, end)
        : this.#readReply(connection, bytes, at, end);
      if (next < 0) return at;
      at = next;
    }
    return at;
  }

  /** One reply on the writing connection: to an XADD the id, to an XTRIM a count. */
  #readReply(connection: number, bytes: Uint8Array, at: number, end: number): number {
    const device = connection % this.#devices;
    const token = this.#token;
    const next = token.read(bytes, at, end);
    if (next < 0) return next;
    if (token.type === tokens.bulk) {
      this.#positions[device]! += 1;
      this.#events.receipted(device, this.#positions[device]!, this.#durability);
    } else if (token.type !== tokens.integer) this.#takeRare(connection, device, bytes);
    return next;
  }

  /** The head of an answer to XREAD, or one whole entry of it. */
  #readDeliveries(device: number, bytes: Uint8Array, at: number, end: number): number {
    if (this.#entriesLeft[device]! > 0) return this.#readEntry(device, bytes, at, end);
    const token = this.#token;
    let next = token.read(bytes, at, end);
    if (next < 0) return next;
    if (token.type !== tokens.array) {
      this.#takeRare(device, device, bytes);
      return next;
    }
    assert(token.value === 1, "an answer is of one stream");
    next = this.#readArray(bytes, next, end, 2);
    if (next >= 0) next = token.read(bytes, next, end);
    if (next >= 0) next = token.read(bytes, next, end);
    if (next < 0) return next;
    assert(token.type === tokens.array && token.value > 0, "an answer has entries");
    this.#entriesLeft[device] = token.value;
    return next;
  }

  #readEntry(device: number, bytes: Uint8Array, at: number, end: number): number {
    const token = this.#token;
    let next = this.#readArray(bytes, at, end, 2);
    if (next >= 0) next = token.read(bytes, next, end);
    const idFrom = token.from;
    const idTo = token.to;
    if (next >= 0) next = this.#readArray(bytes, next, end, ENTRY_FIELDS);
    if (next >= 0) next = token.read(bytes, next, end);
    if (next >= 0) next = token.read(bytes, next, end);
    if (next < 0) return next;
    assert(token.type === tokens.bulk, "an entry's payload is a string of bytes");
    const payload = token.from;
    this.#entriesLeft[device]! -= 1;
    if (this.#entriesLeft[device] === 0) this.#readOn(device, bytes, idFrom, idTo);
    this.#events.delivered(device, payload);
    return next;
  }

  /** Past the head of an array with that many elements. */
  #readArray(bytes: Uint8Array, at: number, end: number, count: number): number {
    const next = this.#token.read(bytes, at, end);
    const isSo = next < 0 || (this.#token.type === tokens.array && this.#token.value === count);
    assert(isSo, "an array has the elements that it should");
    return next;
  }

  /** Everything of an answer has been read: its last id says what to wait for, and what to remove. */
  #readOn(device: number, bytes: Uint8Array, idFrom: number, idTo: number): void {
    const reads = this.#reads;
    this.#addHead(reads, readHead, device);
    addId(reads, bytes, idFrom, idTo);
    if (!this.#writes.hasRoom(COMMAND_BYTES_MAX)) this.flush(device);
    const writes = this.#writes;
    this.#addHead(writes, trimHead, device);
    if (bytes[idTo - 1]! < NINE) {
      const at = addId(writes, bytes, idFrom, idTo);
      writes.bytes[at + idTo - idFrom - 1]! += 1;
    } else {
      const following = idAfter(Buffer.from(bytes.subarray(idFrom, idTo)).toString("latin1"));
      addId(writes, Buffer.from(following), 0, following.length);
    }
  }

  #addHead(outbox: Outbox, head: CommandHead, device: number): void {
    const at = outbox.add(head.bytes);
    this.#names.write(outbox.view, at + head.deviceOffset, device);
  }

  #takeRare(connection: number, device: number, bytes: Uint8Array): void {
    const text = this.#token.text(bytes);
    if (this.#token.type !== tokens.text || text !== "PONG") {
      this.#events.broken(device, `Redis answered: ${text}`);
      return;
    }
    if (connection === device) this.#wire.write(device, readFromStart(device));
    this.#standing[device]! |= bitOf(connection, device);
    if (this.#standing[device] === BOTH) this.#events.ready(device);
  }
}

/** A device's first connection reads, its second writes. */
function bitOf(connection: number, device: number): number {
  return connection === device ? READING : WRITING;
}

/** Adds an id as a command's last word; returns where its characters begin. */
function addId(outbox: Outbox, bytes: Uint8Array, from: number, to: number): number {
  const length = lengthHeads[to - from];
  assert(length !== undefined, "an id is as long as two numbers");
  outbox.add(length);
  const at = outbox.addRange(bytes, from, to);
  outbox.add(LINE_END);
  return at;
}

/** The least id above this one. */
function idAfter(id: string): string {
  const dash = id.indexOf("-") + 1;
  return `${id.slice(0, dash)}${BigInt(id.slice(dash)) + 1n}`;
}

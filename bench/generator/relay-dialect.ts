/**
 * The bare relay's bytes: one WebSocket message is one payload, and the server
 * reads the target out of it.
 *
 *   slab:  | header 8 | payload | header 8 | payload | …   all filled in beforehand
 *
 * Only sixteen bytes of each payload are written per envelope.
 */
import { assert } from "../../src/base/assert.js";
import type { DeviceEvents, WebSocketDialect, Wire } from "./dialect.js";
import { maskedHeaderBytes, maskedMessage, writeMaskedHeader } from "./masked.js";
import { COUNTER_OFFSET, fillPayload, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";
import { opcodes } from "./scanner.js";

const SLOTS = 256;

export class RelayDialect implements WebSocketDialect {
  readonly framing = "websocket";
  readonly subprotocol = undefined;
  readonly givesReceipts = false;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #payloadBytes: number;
  readonly #headerBytes: number;
  readonly #stride: number;
  #slab: DataView;
  /** Views of the slab by the number of messages in them, made once: a write makes no object. */
  #views: (Buffer | undefined)[] = new Array(SLOTS + 1).fill(undefined);
  #count = 0;

  constructor(events: DeviceEvents, wire: Wire, payloadBytes: number) {
    this.#events = events;
    this.#wire = wire;
    this.#payloadBytes = payloadBytes;
    this.#headerBytes = maskedHeaderBytes(payloadBytes);
    this.#stride = this.#headerBytes + payloadBytes;
    this.#slab = this.#newSlab();
  }

  path(device: number): string {
    return `/${device}`;
  }

  opened(device: number): void {
    this.#events.ready(device);
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    if (this.#count === SLOTS) this.flush(sender);
    const at = this.#count * this.#stride + this.#headerBytes;
    this.#count += 1;
    const slab = this.#slab;
    slab.setUint32(at + TARGET_OFFSET, target, true);
    slab.setUint32(at + SENDER_OFFSET, sender, true);
    slab.setUint32(at + COUNTER_OFFSET, counter, true);
    slab.setUint32(at + STAMP_OFFSET, stamp, true);
  }

  flush(device: number): void {
    const count = this.#count;
    if (count === 0) return;
    this.#views[count] ??= Buffer.from(this.#slab.buffer, 0, count * this.#stride);
    const taken = this.#wire.write(device, this.#views[count]);
    this.#count = 0;
    if (taken) return;
    this.#slab = this.#newSlab();
    this.#views.fill(undefined);
  }

  /** The relay closes nobody for being silent. */
  ping(): void {}

  payload(device: number, _bytes: Uint8Array, at: number, end: number, last: boolean): number {
    if (!last && end - at < this.#payloadBytes) return at;
    assert(end - at === this.#payloadBytes, "a relayed message has the payload's length");
    this.#events.delivered(device, at);
    return end;
  }

  control(device: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    if (opcode === opcodes.ping) this.#wire.write(device, maskedMessage(bytes.slice(at, end), opcodes.pong));
  }

  #newSlab(): DataView {
    const stride = this.#stride;
    const slab = new DataView(new ArrayBuffer(SLOTS * stride));
    for (let at = 0; at < slab.byteLength; at += stride) {
      writeMaskedHeader(slab, at + this.#headerBytes, this.#payloadBytes);
      fillPayload(new Uint8Array(slab.buffer, at + this.#headerBytes, this.#payloadBytes));
    }
    return slab;
  }
}

/**
 * The relays' bytes: the server reads the target out of each payload. One
 * WebSocket message is one payload; to a relay that packs, all that leaves together.
 *
 *   slab:           | header 8 | payload | header 8 | payload | …   all filled in beforehand
 *   slab, packing:  | room for a header 14 | payload | payload | …
 *
 * Only sixteen bytes of each payload are written per envelope, and where it packs one header per message.
 */
import { assert } from "../../src/base/assert.js";
import type { DeviceEvents, WebSocketDialect, Wire } from "./dialect.js";
import { MASKED_HEADER_BYTES_MAX, maskedHeaderBytes, maskedMessage, writeMaskedHeader } from "./masked.js";
import { COUNTER_OFFSET, fillPayload, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";
import { opcodes } from "./scanner.js";

/** What relays differ in, as devices see them. */
export interface RelayManners {
  /** It is sent, and sends, several payloads in one message. */
  readonly packs?: boolean;
  /** Each message is answered with ANSWER_BYTES that say nothing. */
  readonly answers?: boolean;
  /** What the relay calls this generator's first device, where it has another one's too; default 0. */
  readonly firstIndex?: number;
}

/** As many as a receipt of Interline's has; fewer than any payload. */
export const ANSWER_BYTES = 12;

const SLOTS = 256;

export class RelayDialect implements WebSocketDialect {
  readonly framing = "websocket";
  readonly subprotocol = undefined;
  readonly givesReceipts = false;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #payloadBytes: number;
  readonly #packs: boolean;
  readonly #answers: boolean;
  readonly #firstIndex: number;
  /** Where the first payload lies in the slab, and how far on the next. */
  readonly #first: number;
  readonly #stride: number;
  #slab: DataView;
  /** Views of the slab by the number of messages in them, made once: a write makes no object. */
  #views: (Buffer | undefined)[] = new Array(SLOTS + 1).fill(undefined);
  #count = 0;

  constructor(events: DeviceEvents, wire: Wire, payloadBytes: number, manners: RelayManners) {
    const { packs = false, answers = false, firstIndex = 0 } = manners;
    this.#events = events;
    this.#wire = wire;
    this.#payloadBytes = payloadBytes;
    this.#packs = packs;
    this.#answers = answers;
    this.#firstIndex = firstIndex;
    this.#first = packs ? MASKED_HEADER_BYTES_MAX : maskedHeaderBytes(payloadBytes);
    this.#stride = packs ? payloadBytes : this.#first + payloadBytes;
    this.#slab = this.#newSlab();
  }

  path(device: number): string {
    return `/${this.#firstIndex + device}/${this.#payloadBytes}`;
  }

  opened(device: number): void {
    this.#events.ready(device);
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    if (this.#count === SLOTS) this.flush(sender);
    const at = this.#first + this.#count * this.#stride;
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
    const bytes = count * this.#stride;
    const from = this.#packs ? writeMaskedHeader(this.#slab, this.#first, bytes) : 0;
    const end = this.#packs ? this.#first + bytes : bytes;
    this.#views[count] ??= Buffer.from(this.#slab.buffer, from, end - from);
    const taken = this.#wire.write(device, this.#views[count]);
    this.#count = 0;
    if (taken) return;
    this.#slab = this.#newSlab();
    this.#views.fill(undefined);
  }

  /** The relay closes nobody for being silent. */
  ping(): void {}

  payload(device: number, _bytes: Uint8Array, at: number, end: number, last: boolean): number {
    if (this.#answers && last && end - at === ANSWER_BYTES) return end;
    let next = at;
    for (; end - next >= this.#payloadBytes; next += this.#payloadBytes) this.#events.delivered(device, next);
    assert(!last || next === end, "a relayed message holds whole payloads");
    return next;
  }

  control(device: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    if (opcode === opcodes.ping) this.#wire.write(device, maskedMessage(bytes.slice(at, end), opcodes.pong));
  }

  #newSlab(): DataView {
    const slab = new DataView(new ArrayBuffer(this.#first + SLOTS * this.#stride));
    for (let i = 0; i < SLOTS; i++) {
      const at = this.#first + i * this.#stride;
      if (!this.#packs) writeMaskedHeader(slab, at, this.#payloadBytes);
      fillPayload(new Uint8Array(slab.buffer, at, this.#payloadBytes));
    }
    return slab;
  }
}

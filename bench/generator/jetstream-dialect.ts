/**
 * NATS JetStream: a device publishes into the stream and is answered on its
 * receipt subject, once per publish, in the order of the stream; its consumer
 * delivers to its inbox, and every delivery is acked on its own (a stream that
 * removes what is acked takes no cumulative acks).
 *
 *   PUB device.d0000007 receipt.d0000003 256␍␊ payload ␍␊
 *   MSG receipt.d0000003 2  31␍␊ {"stream":"DEVICES", "seq":120} ␍␊
 *   MSG device.d0000007 1 $JS.ACK.DEVICES.d0000007.1.120.9.1700000000000000000.0 256␍␊ payload ␍␊
 *   PUB $JS.ACK.DEVICES.d0000007.1.120.9.1700000000000000000.0 4␍␊+ACK␍␊
 *
 * Answers name no publish, so that they share one subject, which spares the
 * server a look-up of a new subject for each. That they come in order is checked
 * by the place in the stream that they name, which must rise.
 */
import { durabilities } from "../../src/wire/protocol.js";
import { DeviceNames } from "./device-names.js";
import type { DeviceEvents, RawDialect, Wire } from "./dialect.js";
import { isDigit, readDigits } from "./digits.js";
import { NatsOperation, operations } from "./nats-operation.js";
import {
  deviceSubject,
  greeting,
  inboxSubject,
  LINE_END,
  type PublishTemplate,
  pongLine,
  publishTemplate,
  receiptSubject,
  SENDER_OFFSET_IN_LINE,
  TARGET_OFFSET_IN_LINE,
} from "./nats-text.js";
import { Outbox } from "./outbox.js";

/** The subscriptions of a device, in the order of its greeting. */
const INBOX = 1;

const ackHead = Buffer.from("PUB ");
const ackTail = Buffer.from(` 4${LINE_END}+ACK${LINE_END}`);
const SEQUENCE_NAME = '"seq":';

export class JetStreamDialect implements RawDialect {
  readonly framing = "raw";
  readonly givesReceipts = true;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #publish: PublishTemplate;
  readonly #names: DeviceNames;
  readonly #outbox = new Outbox();
  readonly #operation = new NatsOperation();
  /** Per device: publishes that were answered on this connection, and the place that the last answer named. */
  readonly #positions: Uint32Array;
  readonly #places: Float64Array;

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    readonly devices: number;
    readonly payloadBytes: number;
  }) {
    this.#events = options.events;
    this.#wire = options.wire;
    this.#publish = publishTemplate([deviceSubject(0), receiptSubject(0)], options.payloadBytes);
    this.#names = new DeviceNames(options.devices);
    this.#positions = new Uint32Array(options.devices);
    this.#places = new Float64Array(options.devices);
  }

  opened(device: number): void {
    this.#positions[device] = 0;
    const subjects = [inboxSubject(device), receiptSubject(device)];
    this.#wire.write(device, greeting(deviceSubject(device), subjects));
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    const { bytes, payloadOffset } = this.#publish;
    const outbox = this.#outbox;
    if (!outbox.hasRoom(bytes.length)) this.flush(sender);
    const at = outbox.add(bytes);
    this.#names.write(outbox.view, at + TARGET_OFFSET_IN_LINE, target);
    this.#names.write(outbox.view, at + SENDER_OFFSET_IN_LINE, sender);
    outbox.stampPayload(at + payloadOffset, sender, target, counter, stamp);
  }

  flush(device: number): void {
    this.#outbox.writeTo(this.#wire, device);
  }

  /** The server asks, every two minutes, and is answered in `read`. */
  ping(): void {}

  read(device: number, bytes: Uint8Array, from: number, end: number): number {
    const operation = this.#operation;
    let at = from;
    for (;;) {
      const next = operation.read(bytes, at, end);
      if (next < 0) return at;
      at = next;
      if (operation.kind === operations.message) this.#takeMessage(device, bytes);
      else if (operation.kind === operations.ping) this.#outbox.add(pongLine);
      else if (operation.kind === operations.pong) this.#events.ready(device);
      else if (operation.kind === operations.error) this.#events.broken(device, operation.text(bytes));
    }
  }

  #takeMessage(device: number, bytes: Uint8Array): void {
    if (this.#operation.subscription === INBOX) {
      this.#ack(device, bytes);
      this.#events.delivered(device, this.#operation.from);
    } else this.#takeReceipt(device, bytes);
  }

  #ack(device: number, bytes: Uint8Array): void {
    const { replyFrom, replyTo } = this.#operation;
    const outbox = this.#outbox;
    if (!outbox.hasRoom(ackHead.length + replyTo - replyFrom + ackTail.length)) this.flush(device);
    outbox.add(ackHead);
    outbox.addRange(bytes, replyFrom, replyTo);
    outbox.add(ackTail);
  }

  #takeReceipt(device: number, bytes: Uint8Array): void {
    const { from, to } = this.#operation;
    const place = placeOf(bytes, from, to);
    if (!(place > this.#places[device]!)) {
      this.#events.broken(device, `no receipt, or out of order: ${this.#operation.text(bytes)}`);
      return;
    }
    this.#places[device] = place;
    this.#positions[device]! += 1;
    this.#events.receipted(device, this.#positions[device]!, durabilities.memory);
  }
}

/** The sequence of `{"stream":"…", "seq":120}`; NaN when the answer is anything else. */
function placeOf(bytes: Uint8Array, from: number, to: number): number {
  let digits = to - 1;
  while (digits > from && isDigit(bytes[digits - 1]!)) digits -= 1;
  for (let i = 1; i <= SEQUENCE_NAME.length; i++) {
    const expected = SEQUENCE_NAME.charCodeAt(SEQUENCE_NAME.length - i);
    if (bytes[digits - i] !== expected) return Number.NaN;
  }
  return readDigits(bytes, digits, to - 1);
}

/**
 * Socket.IO (protocol 5 over Engine.IO 4) with the websocket transport alone. An
 * event with bytes is two frames, a text that announces it and the bytes:
 *
 *   ▸ 451-000000012["send","d0000007",{"_placeholder":true,"num":0}]   ▸ payload
 *   ◂ 4312[]                                                           its receipt
 *   ◂ 451-["deliver",{"_placeholder":true,"num":0}]                    ◂ payload
 *
 * First character: 4, a message; second: 5, an event with bytes, 3, the answer to
 * one. The number before the bracket asks for that answer. Answers come in order,
 * which is checked.
 */
import { assert } from "../../src/base/assert.js";
import { DeviceNames, deviceName } from "./device-names.js";
import { type DeviceEvents, durabilityNone, type WebSocketDialect, type Wire } from "./dialect.js";
import { readDigits, writeDigits } from "./digits.js";
import { maskedMessage } from "./masked.js";
import { Outbox } from "./outbox.js";
import { fillPayload } from "./payload.js";
import { opcodes } from "./scanner.js";

const ID_DIGITS = 9;
const PLACEHOLDER = '{"_placeholder":true,"num":0}';

/** The first characters of what the server sends. */
const OPEN = "0".charCodeAt(0);
const PING = "2".charCodeAt(0);
const MESSAGE = "4".charCodeAt(0);
const CONNECTED = "0".charCodeAt(0);
const ANSWER = "3".charCodeAt(0);
const EVENT_WITH_BYTES = "5".charCodeAt(0);
const NO_ARGUMENTS = "[]";

const pong = maskedText("3");

function maskedText(text: string): Uint8Array {
  return maskedMessage(Buffer.from(text), opcodes.text);
}

export class SocketIoDialect implements WebSocketDialect {
  readonly framing = "websocket";
  readonly subprotocol = undefined;
  readonly takesText = true;
  readonly givesReceipts = true;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #payloadBytes: number;
  readonly #names: DeviceNames;
  readonly #outbox = new Outbox();
  /** Both frames of a send. */
  readonly #send: Uint8Array;
  readonly #idOffset: number;
  readonly #targetOffset: number;
  /** Per device: sends on this connection, and those that were answered. */
  readonly #sent: Uint32Array;
  readonly #answered: Uint32Array;

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    readonly devices: number;
    readonly payloadBytes: number;
  }) {
    const { devices, payloadBytes } = options;
    this.#events = options.events;
    this.#wire = options.wire;
    this.#payloadBytes = payloadBytes;
    this.#names = new DeviceNames(devices);
    this.#sent = new Uint32Array(devices);
    this.#answered = new Uint32Array(devices);
    const payload = new Uint8Array(payloadBytes);
    fillPayload(payload);
    const announcement = maskedText(
      `451-${"0".repeat(ID_DIGITS)}["send",${JSON.stringify(deviceName(0))},${PLACEHOLDER}]`,
    );
    this.#send = Buffer.concat([announcement, maskedMessage(payload)]);
    this.#idOffset = Buffer.from(announcement).indexOf("451-") + "451-".length;
    this.#targetOffset = Buffer.from(announcement).indexOf(deviceName(0));
  }

  path(): string {
    return "/socket.io/?EIO=4&transport=websocket";
  }

  /** The server speaks first. */
  opened(device: number): void {
    this.#sent[device] = 0;
    this.#answered[device] = 0;
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    const outbox = this.#outbox;
    if (!outbox.hasRoom(this.#send.length)) this.flush(sender);
    const at = outbox.add(this.#send);
    const id = this.#sent[sender]! + 1;
    this.#sent[sender] = id;
    writeDigits(outbox.bytes, at + this.#idOffset, ID_DIGITS, id);
    this.#names.write(outbox.view, at + this.#targetOffset, target);
    const payload = at + this.#send.length - this.#payloadBytes;
    outbox.stampPayload(payload, sender, target, counter, stamp);
  }

  flush(device: number): void {
    this.#outbox.writeTo(this.#wire, device);
  }

  /** The server asks, every 25 seconds, and is answered in `control`. */
  ping(): void {}

  payload(device: number, _bytes: Uint8Array, at: number, end: number, last: boolean): number {
    if (!last && end - at < this.#payloadBytes) return at;
    assert(end - at === this.#payloadBytes, "what is delivered has the payload's length");
    this.#events.delivered(device, at);
    return end;
  }

  control(device: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    if (opcode === opcodes.ping) this.#wire.write(device, maskedMessage(bytes.slice(at, end), opcodes.pong));
    if (opcode === opcodes.close) this.#events.broken(device, "the server closed the connection");
    if (opcode === opcodes.text) this.#takeText(device, bytes, at, end);
  }

  #takeText(device: number, bytes: Uint8Array, at: number, end: number): void {
    const first = bytes[at];
    const second = bytes[at + 1];
    if (first === MESSAGE && second === EVENT_WITH_BYTES) return;
    if (first === MESSAGE && second === ANSWER) this.#takeAnswer(device, bytes, at + 2, end);
    else if (first === MESSAGE && second === CONNECTED) this.#events.ready(device);
    else if (first === PING) this.#wire.write(device, pong);
    else if (first === OPEN) {
      this.#wire.write(device, maskedText(`40${JSON.stringify({ name: deviceName(device) })}`));
    } else this.#events.broken(device, `the server sent ${Buffer.from(bytes.subarray(at, end))}`);
  }

  #takeAnswer(device: number, bytes: Uint8Array, at: number, end: number): void {
    const id = readDigits(bytes, at, end - NO_ARGUMENTS.length);
    const expected = this.#answered[device]! + 1;
    if (id !== expected) {
      this.#events.broken(device, `the server answered send ${id}, not ${expected}`);
      return;
    }
    this.#answered[device] = expected;
    this.#events.receipted(device, expected, durabilityNone);
  }
}

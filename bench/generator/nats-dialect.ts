/**
 * Core NATS: a device subscribes to its own subject and publishes to those of
 * others (nats-operation.ts, nats-text.ts). Nothing is receipted or acked.
 */
import { DeviceNames } from "./device-names.js";
import type { DeviceEvents, RawDialect, Wire } from "./dialect.js";
import { NatsOperation, operations } from "./nats-operation.js";
import {
  deviceSubject,
  greeting,
  type PublishTemplate,
  pongLine,
  publishTemplate,
  TARGET_OFFSET_IN_LINE,
} from "./nats-text.js";
import { Outbox } from "./outbox.js";

export class NatsDialect implements RawDialect {
  readonly framing = "raw";
  readonly givesReceipts = false;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #publish: PublishTemplate;
  readonly #names: DeviceNames;
  readonly #outbox = new Outbox();
  readonly #operation = new NatsOperation();

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    readonly devices: number;
    readonly payloadBytes: number;
  }) {
    this.#events = options.events;
    this.#wire = options.wire;
    this.#names = new DeviceNames(options.devices);
    this.#publish = publishTemplate([deviceSubject(0)], options.payloadBytes);
  }

  opened(device: number): void {
    this.#wire.write(device, greeting(deviceSubject(device), [deviceSubject(device)]));
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    const { bytes, payloadOffset } = this.#publish;
    const outbox = this.#outbox;
    if (!outbox.hasRoom(bytes.length)) this.flush(sender);
    const at = outbox.add(bytes);
    this.#names.write(outbox.view, at + TARGET_OFFSET_IN_LINE, target);
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
      if (operation.kind === operations.message) this.#events.delivered(device, operation.from);
      else if (operation.kind === operations.ping) this.#outbox.add(pongLine);
      else if (operation.kind === operations.pong) this.#events.ready(device);
      else if (operation.kind === operations.error) {
        this.#events.broken(device, operation.text(bytes));
      }
    }
  }
}

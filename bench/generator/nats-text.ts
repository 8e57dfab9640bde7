/**
 * What devices of both NATS dialects write: lines of the client protocol, and the
 * subjects that they and the server's set-up (systems/jetstream.ts) agree on.
 */
import { deviceName } from "./device-names.js";
import { fillPayload } from "./payload.js";

export const LINE_END = "\r\n";

/** Where messages for a device are published to. */
export function deviceSubject(device: number): string {
  return `device.${deviceName(device)}`;
}

/** JetStream: where a device's consumer delivers to. */
export function inboxSubject(device: number): string {
  return `inbox.${deviceName(device)}`;
}

/** JetStream: where the stream answers a device's publishes. */
export function receiptSubject(device: number): string {
  return `receipt.${deviceName(device)}`;
}

/**
 * The first lines of a client: sign in, one subscription per subject, numbered
 * from 1, and a PING. Its PONG says that the server has taken all of it.
 */
export function greeting(name: string, subjects: readonly string[]): Uint8Array {
  const connect = { verbose: false, pedantic: false, tls_required: false, name, lang: "bench", version: "1" };
  const lines = [
    `CONNECT ${JSON.stringify({ ...connect, protocol: 1 })}`,
    ...subjects.map((subject, at) => `SUB ${subject} ${at + 1}`),
    "PING",
    "",
  ];
  return Buffer.from(lines.join(LINE_END));
}

export const pongLine: Uint8Array = Buffer.from(`PONG${LINE_END}`);

/** One publish of a payload, to be copied and filled in. */
export interface PublishTemplate {
  readonly bytes: Uint8Array;
  readonly payloadOffset: number;
}

/** `PUB subject [reply] length␍␊ payload ␍␊` */
export function publishTemplate(subjects: readonly string[], payloadBytes: number): PublishTemplate {
  const line = Buffer.from(`PUB ${subjects.join(" ")} ${payloadBytes}${LINE_END}`);
  const payload = new Uint8Array(payloadBytes);
  fillPayload(payload);
  return {
    bytes: Buffer.concat([line, payload, Buffer.from(LINE_END)]),
    payloadOffset: line.length,
  };
}

/** Where the name of the target is in a template, and that of the sender in its reply subject. */
export const TARGET_OFFSET_IN_LINE = "PUB device.".length;
export const SENDER_OFFSET_IN_LINE = `PUB ${deviceSubject(0)} receipt.`.length;

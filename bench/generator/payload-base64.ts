/**
 * Payloads in base64, for protocols that carry text. Only the sixteen bytes that
 * say what a payload is (payload.ts) change from one to the next; with the two
 * bytes of filler behind them they are eighteen, which are 24 characters of their
 * own: those are written and read here, the rest stays as it was filled in.
 */
import { COUNTER_OFFSET, fillPayload, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";

const PREFIX_BYTES = 18;
/** Shorter payloads have no whole prefix. */
export const BASE64_PAYLOAD_BYTES_MIN = PREFIX_BYTES;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const characters = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const values = new Uint8Array(256);
characters.forEach((character, value) => {
  values[character] = value;
});

/** The whole payload's characters, with nothing in its first sixteen bytes. */
export function templateBase64(payloadBytes: number): string {
  const payload = Buffer.alloc(payloadBytes);
  fillPayload(payload);
  return payload.toString("base64");
}

export class Base64Prefix {
  readonly #bytes = new Uint8Array(PREFIX_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor() {
    fillPayload(this.#bytes);
  }

  /** Writes the first 24 characters of a payload's base64 at `at`. */
  write(into: Uint8Array, at: number, target: number, sender: number, counter: number, stamp: number): void {
    const view = this.#view;
    view.setUint32(TARGET_OFFSET, target, true);
    view.setUint32(SENDER_OFFSET, sender, true);
    view.setUint32(COUNTER_OFFSET, counter, true);
    view.setUint32(STAMP_OFFSET, stamp, true);
    const bytes = this.#bytes;
    let to = at;
    for (let from = 0; from < PREFIX_BYTES; from += 3) {
      const group = (bytes[from]! << 16) | (bytes[from + 1]! << 8) | bytes[from + 2]!;
      into[to] = characters[group >> 18]!;
      into[to + 1] = characters[(group >> 12) & 63]!;
      into[to + 2] = characters[(group >> 6) & 63]!;
      into[to + 3] = characters[group & 63]!;
      to += 4;
    }
  }
}

/** Turns the 24 characters at `at` into the bytes they stand for, at the same place. */
export function decodePrefixInPlace(bytes: Uint8Array, at: number): void {
  let from = at;
  for (let to = at; to < at + PREFIX_BYTES; to += 3) {
    const group =
      (values[bytes[from]!]! << 18) |
      (values[bytes[from + 1]!]! << 12) |
      (values[bytes[from + 2]!]! << 6) |
      values[bytes[from + 3]!]!;
    bytes[to] = group >> 16;
    bytes[to + 1] = group >> 8;
    bytes[to + 2] = group;
    from += 4;
  }
}

/** What the next message carries: the ack first, if it is due or has company, then frames without a receipt, then sends. */
import { encodeClientFrame } from "../wire/client-frames.js";
import type { AckHold } from "./ack-hold.js";
import type { PendingSends } from "./pending-sends.js";

/** An ack frame: three heads and a sequence at its widest. */
const ACK_BYTES_MAX = 11;

export class Outgoing {
  readonly #acks: AckHold;
  readonly #sends: PendingSends;
  /** Frames that need no receipt: ephemerals, queries and requests. */
  #loose: Uint8Array[] = [];

  constructor(acks: AckHold, sends: PendingSends) {
    this.#acks = acks;
    this.#sends = sends;
  }

  /** The connection has ended. */
  clear(): void {
    this.#loose = [];
  }

  add(frame: Uint8Array): void {
    this.#loose.push(frame);
  }

  collect(bytesMax: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    let room = bytesMax - (this.#acks.waiting ? ACK_BYTES_MAX : 0);
    let looseCount = 0;
    for (const frame of this.#loose) {
      if (frame.length > room) break;
      room -= frame.length;
      looseCount += 1;
    }
    frames.push(...this.#loose.splice(0, looseCount), ...this.#sends.take(room, bytesMax));
    const company = frames.length > 0 || this.#loose.length > 0 || this.#sends.waiting;
    if (this.#acks.due || (this.#acks.waiting && company)) {
      frames.unshift(encodeClientFrame({ kind: "ack", sequence: this.#acks.take() }));
    }
    return frames;
  }
}

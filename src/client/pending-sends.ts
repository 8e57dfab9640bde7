/**
 * Sends that have no receipt yet, in the order of their calls.
 *
 *   waiting ──take──▶ in flight (position n of this connection) ──receipt──▶ resolved
 *      ▲                  │  refused, may be repeated │ refused for good ──▶ rejected
 *      └──────────────────┴── connection lost ────────┘
 *
 * Invariants. A send keeps its id and its bytes through every repetition.
 * Waiting sends are in the order of their calls, also after a lost connection.
 * What is held is bounded in count and bytes; so is what is in flight, so that a
 * reconnect does not find everything at once in the node's inbox.
 */
import type { EnvelopeId } from "../base/address.js";
import type { RefusalFrame } from "../wire/server-frames.js";
import { durabilityName } from "../wire/server-frames.js";
import { errorOfNumber, InterlineError } from "./errors.js";
import type { Receipt } from "./types.js";

const IN_FLIGHT_BYTES_MAX = 4 * 1024 * 1024;
/** Pauses between attempts that the node gave no longer delay for: they double up to a bound, because attempts may have none. */
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 30_000;

/** Codes that say something about the node or the connection, not about one send: all sends wait. */
const nodeWide = new Set<string>(["overloaded", "diskLow", "sealedTooFast"]);

/** Whether a send was made for rosters of before: it can be made anew for those of now. */
export function isStale(error: unknown): error is InterlineError {
  return error instanceof InterlineError && (error.code === "rosterStale" || error.code === "groupStale");
}

interface PendingSend {
  /** Rises with every call: the order to keep. */
  readonly order: number;
  readonly id: EnvelopeId;
  readonly frame: Uint8Array;
  readonly attemptsMax: number;
  readonly isRenewable: boolean;
  attempts: number;
  /** Position on the connection that is up; 0 while waiting. */
  position: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: InterlineError) => void;
}

export interface PendingSendsOptions {
  readonly countMax: number;
  readonly bytesMax: number;
  /** Sends without an answer. */
  readonly inFlightMax: number;
  /** Something may be taken now. */
  readonly onReady: () => void;
  readonly onRefused: (id: EnvelopeId, error: InterlineError, willRetry: boolean) => void;
}

export class PendingSends {
  readonly #options: PendingSendsOptions;
  #waiting: PendingSend[] = [];
  #inFlight: PendingSend[] = [];
  /** Refused sends whose delay has not passed. */
  readonly #delayed = new Map<PendingSend, ReturnType<typeof setTimeout>>();
  #count = 0;
  #bytes = 0;
  #inFlightBytes = 0;
  #nextOrder = 1;
  #nextPosition = 1;
  #pause: ReturnType<typeof setTimeout> | undefined;

  constructor(options: PendingSendsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether a send waits to be taken. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** A renewable send that is refused as stale rejects like any other, and is made anew by whoever added it. */
  add(
    id: EnvelopeId,
    frame: Uint8Array,
    { attemptsMax, isRenewable }: { readonly attemptsMax: number; readonly isRenewable: boolean },
  ): Promise<Receipt> {
    const { countMax, bytesMax } = this.#options;
    if (this.#count + 1 > countMax || this.#bytes + frame.length > bytesMax) {
      return Promise.reject(new InterlineError("queueFull"));
    }
    this.#count += 1;
    this.#bytes += frame.length;
    return new Promise((resolve, reject) => {
      const order = this.#nextOrder++;
      const start = { attempts: 0, position: 0 };
      this.#waiting.push({ order, id, frame, attemptsMax, isRenewable, ...start, resolve, reject });
      this.#options.onReady();
    });
  }

  /**
   * Moves waiting sends into flight, as many as fit into `bytesMax` and the
   * bounds, and returns their frames. A frame that no message of this server
   * can hold is rejected.
   */
  take(bytesMax: number, messageBytesMax: number): Uint8Array[] {
    if (this.#pause !== undefined) return [];
    const frames: Uint8Array[] = [];
    let room = bytesMax;
    let taken = 0;
    for (const send of this.#waiting) {
      const { length } = send.frame;
      if (length > messageBytesMax) {
        this.#settle(send);
        const text = `it would have ${length} bytes, and at most ${messageBytesMax} pass`;
        send.reject(new InterlineError("frameTooLarge", { text }));
      } else {
        const inFlightFull =
          this.#inFlight.length >= this.#options.inFlightMax ||
          (this.#inFlight.length > 0 && this.#inFlightBytes + length > IN_FLIGHT_BYTES_MAX);
        if (length > room || inFlightFull) break;
        room -= length;
        send.position = this.#nextPosition++;
        this.#inFlight.push(send);
        this.#inFlightBytes += length;
        frames.push(send.frame);
      }
      taken += 1;
    }
    this.#waiting.splice(0, taken);
    return frames;
  }

  /** Everything in flight up to `position` is accepted. */
  receipt(position: number, durabilityNumber: number): void {
    let count = 0;
    while (count < this.#inFlight.length && (this.#inFlight[count] as PendingSend).position <= position) {
      count += 1;
    }
    const durability = durabilityName(durabilityNumber) ?? "unknown";
    for (const send of this.#inFlight.splice(0, count)) {
      this.#inFlightBytes -= send.frame.length;
      this.#settle(send);
      send.resolve({ id: send.id, durability });
    }
    if (count > 0 && this.#waiting.length > 0) this.#options.onReady();
  }

  refusal(frame: RefusalFrame): void {
    const at = this.#inFlight.findIndex((send) => send.position === frame.position);
    const [send] = at < 0 ? [] : this.#inFlight.splice(at, 1);
    if (send === undefined) return;
    this.#inFlightBytes -= send.frame.length;
    send.position = 0;
    send.attempts += 1;
    const error = errorOfNumber(frame.code, { retryAfterMs: frame.retryAfterMs, detail: frame.detail });
    const willRetry = (error.retry === "now" || error.retry === "later") && send.attempts < send.attemptsMax;
    if (willRetry) this.#retry(send, error);
    else {
      this.#settle(send);
      send.reject(error);
    }
    this.#options.onRefused(send.id, error, willRetry || (send.isRenewable && isStale(error)));
    if (this.#waiting.length > 0) this.#options.onReady();
  }

  /** The connection is gone: what was in flight is to be sent again, before what was not. */
  disconnected(): void {
    for (const send of this.#inFlight) send.position = 0;
    this.#waiting = [...this.#inFlight, ...this.#waiting].sort((a, b) => a.order - b.order);
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    this.#nextPosition = 1;
  }

  /** Nothing will be sent any more. */
  rejectAll(error: InterlineError): void {
    clearTimeout(this.#pause);
    for (const timer of this.#delayed.values()) clearTimeout(timer);
    const all = [...this.#inFlight, ...this.#waiting, ...this.#delayed.keys()];
    this.#inFlight = [];
    this.#waiting = [];
    this.#delayed.clear();
    for (const send of all.sort((a, b) => a.order - b.order)) {
      this.#settle(send);
      send.reject(error);
    }
  }

  #retry(send: PendingSend, error: InterlineError): void {
    // Without advice we still leave the node some time; the jitter spreads clients refused together.
    const doubledMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(send.attempts - 1, 30));
    const leastMs = error.retry === "now" ? 0 : doubledMs;
    const delayMs = Math.max(error.retryAfterMs, leastMs) * (1 + Math.random() / 4);
    if (nodeWide.has(error.code)) {
      this.#wait(send);
      if (this.#pause !== undefined) return;
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#options.onReady();
      }, delayMs);
      return;
    }
    const timer = setTimeout(() => {
      this.#delayed.delete(send);
      this.#wait(send);
      this.#options.onReady();
    }, delayMs);
    this.#delayed.set(send, timer);
  }

  /** Puts a send back where its call's order belongs. */
  #wait(send: PendingSend): void {
    const at = this.#waiting.findIndex((other) => other.order > send.order);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, send);
  }

  #settle(send: PendingSend): void {
    this.#count -= 1;
    this.#bytes -= send.frame.length;
  }
}

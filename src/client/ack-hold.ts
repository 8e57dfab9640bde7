/**
 * Decides when an ack leaves. An ack alone in its message costs the node a read
 * of its own, so it waits a little for a send to ride with, but not when so
 * much of the window waits for it that delivery would stall.
 */
import type { WelcomeBody } from "../wire/protocol.js";

/** The part of the window that may wait: a quarter. */
const WINDOW_SHARE = 4;

export class AckHold {
  readonly #holdMs: number;
  readonly #onDue: () => void;
  #welcome: WelcomeBody | undefined;
  /** What the server knows to be taken. */
  #acked = 0;
  #position = 0;
  #entries = 0;
  #bytes = 0;
  #due = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(holdMs: number, onDue: () => void) {
    this.#holdMs = holdMs;
    this.#onDue = onDue;
  }

  /** An ack would say something new. */
  get waiting(): boolean {
    return this.#position > this.#acked;
  }

  /** It should wait no longer. */
  get due(): boolean {
    return this.#due && this.waiting;
  }

  /** A new connection. */
  start(welcome: WelcomeBody): void {
    this.stop();
    this.#welcome = welcome;
    this.#acked = welcome.position;
    this.#position = welcome.position;
  }

  stop(): void {
    this.#welcome = undefined;
    this.#taken();
  }

  /** `position` may be acked now: so many entries and payload bytes more. */
  rose(position: number, entries: number, bytes: number): void {
    const welcome = this.#welcome;
    if (welcome === undefined) return;
    this.#position = position;
    this.#entries += entries;
    this.#bytes += bytes;
    const windowWaits =
      this.#entries * WINDOW_SHARE >= welcome.windowEntries ||
      this.#bytes * WINDOW_SHARE >= welcome.windowBytes;
    if (this.#holdMs === 0 || windowWaits) this.hurry();
    else this.#timer ??= setTimeout(() => this.hurry(), this.#holdMs);
  }

  /** The ack is due now. */
  hurry(): void {
    this.#due = true;
    this.#onDue();
  }

  /** The sequence to ack, which from now on counts as acked. */
  take(): number {
    this.#acked = this.#position;
    this.#taken();
    return this.#acked;
  }

  #taken(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = false;
    this.#entries = 0;
    this.#bytes = 0;
  }
}

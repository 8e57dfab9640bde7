/**
 * Devices that come and go while a round goes on. How long each is there and away is exponential and drawn from the
 * seed, device by device; at the start each is away with the probability that this comes to, so there is no run-up.
 *
 *   away ──(time is up)──▶ connects, resumes, drains ──(live)──▶ there ──(time is up)──▶ away
 *
 * Every second departure is without a word: what was taken and not acked yet is not acked, and the next hello resumes
 * behind it. A device counts as drained with the node's word that its queue is empty; the time runs from the moment at
 * which it was due to come back.
 */
import { sharedMs } from "../process/clock.js";
import { LatencyCounts } from "./latency.js";
import { Random } from "./random.js";

export interface ChurnOptions {
  /** Devices `from` to `to` − 1. */
  readonly from: number;
  readonly to: number;
  /** Means. */
  readonly thereMs: number;
  readonly awayMs: number;
  readonly seed: number;
}

/** What it can do with devices. */
export interface ChurnHooks {
  /** With an ack of what was taken, or without. */
  leave(device: number, saysSo: boolean): void;
  comeBack(device: number): void;
}

/** Of the returns that fell due in the window. */
export interface ChurnWindow {
  readonly returns: number;
  /** Entries that came before the queue was empty. */
  readonly drained: number;
  /** From the moment a device was due to come back until its queue was empty, encoded. */
  readonly drainLatency: string;
}

/** At the end those that are away come back one after the other, so far apart. */
const LAST_RETURNS_SPACING_MS = 1;

interface Place {
  readonly random: Random;
  state: "there" | "away" | "coming";
  /** When it was due to come back, and whether that was in the window. */
  dueMs: number;
  counts: boolean;
  drained: number;
  departures: number;
  timer: NodeJS.Timeout | undefined;
}

export class Churn {
  readonly #options: ChurnOptions;
  readonly #hooks: ChurnHooks;
  readonly #places: readonly Place[];
  readonly #latency = new LatencyCounts();
  #running = false;
  #isMeasuring = false;
  #returns = 0;
  #drained = 0;

  constructor(options: ChurnOptions, hooks: ChurnHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#places = Array.from({ length: options.to - options.from }, (_, at) => ({
      random: new Random(Math.imul(options.seed + at, 0x9e3779b1)),
      state: "there",
      dueMs: 0,
      counts: false,
      drained: 0,
      departures: 0,
      timer: undefined,
    }));
  }

  /** All devices are there; from now on they come and go. */
  start(): void {
    const { thereMs, awayMs } = this.#options;
    this.#running = true;
    const nowMs = sharedMs();
    this.#places.forEach((place, at) => {
      const isAway = place.random.uint32() / 0x1_0000_0000 < awayMs / (thereMs + awayMs);
      if (isAway) this.#leave(at, nowMs);
      else this.#leaveIn(at, nowMs);
    });
  }

  /** A window opens. */
  measure(): void {
    this.#latency.clear();
    this.#returns = 0;
    this.#drained = 0;
    this.#isMeasuring = true;
  }

  /** It closes: returns that are due from here on do not count, those that are under way do. */
  closeWindow(): void {
    this.#isMeasuring = false;
  }

  /** Nobody leaves any more, and everybody comes back. */
  end(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#isMeasuring = false;
    let waitMs = 0;
    this.#places.forEach((place, at) => {
      clearTimeout(place.timer);
      if (place.state !== "away") return;
      waitMs += LAST_RETURNS_SPACING_MS;
      place.timer = setTimeout(() => this.#comeBack(at, sharedMs()), waitMs);
    });
  }

  get areAllThere(): boolean {
    return this.#places.every(({ state }) => state === "there");
  }

  read(): ChurnWindow {
    return { returns: this.#returns, drained: this.#drained, drainLatency: this.#latency.encode() };
  }

  /** A device got an entry. */
  delivered(device: number): void {
    const place = this.#places[device - this.#options.from];
    if (place?.state === "coming") place.drained += 1;
  }

  /** A device has signed in and its queue is empty. */
  ready(device: number): void {
    const at = device - this.#options.from;
    const place = this.#places[at];
    if (place === undefined || place.state !== "coming") return;
    const nowMs = sharedMs();
    place.state = "there";
    if (place.counts) {
      this.#latency.record(Math.round((nowMs - place.dueMs) * 1000));
      this.#returns += 1;
      this.#drained += place.drained;
    }
    if (this.#running) this.#leaveIn(at, nowMs);
  }

  #leaveIn(at: number, nowMs: number): void {
    const waitMs = this.#drawn(at, this.#options.thereMs);
    this.#places[at]!.timer = timerAt(nowMs + waitMs, () => this.#leave(at, nowMs + waitMs));
  }

  #leave(at: number, dueMs: number): void {
    const place = this.#places[at]!;
    place.state = "away";
    place.departures += 1;
    this.#hooks.leave(this.#options.from + at, place.departures % 2 === 1);
    const backMs = dueMs + this.#drawn(at, this.#options.awayMs);
    place.timer = timerAt(backMs, () => this.#comeBack(at, backMs));
  }

  #comeBack(at: number, dueMs: number): void {
    const place = this.#places[at]!;
    place.state = "coming";
    place.dueMs = dueMs;
    place.counts = this.#isMeasuring;
    place.drained = 0;
    this.#hooks.comeBack(this.#options.from + at);
  }

  #drawn(at: number, meanMs: number): number {
    const { random } = this.#places[at]!;
    return -Math.log((random.uint32() + 1) / 0x1_0000_0000) * meanMs;
  }
}

/** Not before that moment: timers drop what is less than a millisecond. */
function timerAt(dueMs: number, work: () => void): NodeJS.Timeout {
  return setTimeout(work, Math.max(0, Math.ceil(dueMs - sharedMs())));
}

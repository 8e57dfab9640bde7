/**
 * Who sends to whom, and when: fixed by a seed before anything is sent, and so
 * the same whatever the measured system does. Gaps between arrivals are
 * exponential (many independent senders look like that) and have a mean of one;
 * a rate stretches them. All devices send alike, each to any other alike, or to
 * any of the `peers` devices after it, round the end.
 */
import { createHash } from "node:crypto";
import { Random } from "./random.js";

/** Gaps are multiples of this, so that no machine's logarithm makes another schedule. */
const GAP_STEP = 2 ** -16;
/** What the hash covers. */
const HASHED_ARRIVALS = 65_536;

export class Schedule {
  /** The arrival that `next` has moved to. */
  gap = 0;
  sender = 0;
  target = 0;
  readonly #random: Random;
  readonly #devices: number;
  readonly #peers: number;

  constructor(seed: number, devices: number, peers: number = devices - 1) {
    this.#random = new Random(seed);
    this.#devices = devices;
    this.#peers = peers;
  }

  next(): void {
    const random = this.#random;
    this.gap = exponentialGap(random);
    this.sender = random.below(this.#devices);
    const target = this.sender + 1 + random.below(this.#peers);
    this.target = target < this.#devices ? target : target - this.#devices;
  }
}

/** With a mean of one. */
export function exponentialGap(random: Random): number {
  return Math.round(-Math.log((random.uint32() + 1) / 0x1_0000_0000) / GAP_STEP) * GAP_STEP;
}

/** Names a schedule: two runs with the same hash sent the same, at the same times for the same rate. */
export function scheduleHash(seed: number, devices: number, peers?: number): string {
  const schedule = new Schedule(seed, devices, peers);
  const arrivals = new Uint32Array(3 * HASHED_ARRIVALS);
  for (let at = 0; at < arrivals.length; at += 3) {
    schedule.next();
    arrivals[at] = schedule.gap / GAP_STEP;
    arrivals[at + 1] = schedule.sender;
    arrivals[at + 2] = schedule.target;
  }
  return createHash("sha256").update(arrivals).digest("hex").slice(0, 16);
}

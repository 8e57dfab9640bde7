/**
 * A share of all sends is made again under the same id, a fixed number of its
 * device's sends later, as a client does that got no answer. Per device a ring:
 *
 *   [sends of the device modulo `afterSends`]   the send that is repeated when the place comes round again
 *
 * A repeat whose original was refused would be a new send; such a round is not
 * worth anything, and the count of refusals says so.
 */
import { Random } from "./random.js";
import type { Traffic } from "./traffic.js";

export interface RepeatOptions {
  /** Of all sends. */
  readonly share: number;
  readonly afterSends: number;
}

const SHARE_STEPS = 1 << 20;

export class Repeats {
  readonly #traffic: Traffic;
  readonly #afterSends: number;
  readonly #below: number;
  readonly #random: Random;
  readonly #sends: Uint32Array;
  readonly #targets: Uint32Array;
  readonly #counters: Uint32Array;
  /** The original's position on its connection; 0 for a place that holds none. */
  readonly #positions: Uint32Array;

  constructor(traffic: Traffic, devices: number, seed: number, { share, afterSends }: RepeatOptions) {
    this.#traffic = traffic;
    this.#afterSends = afterSends;
    this.#below = Math.round(share * SHARE_STEPS);
    this.#random = new Random(seed);
    this.#sends = new Uint32Array(devices);
    this.#targets = new Uint32Array(devices * afterSends);
    this.#counters = new Uint32Array(devices * afterSends);
    this.#positions = new Uint32Array(devices * afterSends);
  }

  /** After each send; its position is 0 when it was held back. */
  sent(sender: number, target: number, position: number): void {
    const at = sender * this.#afterSends + (this.#sends[sender]! % this.#afterSends);
    this.#sends[sender]! += 1;
    const original = this.#positions[at]!;
    this.#positions[at] = 0;
    if (original > 0) this.#traffic.repeat(sender, this.#targets[at]!, this.#counters[at]!, original);
    if (position === 0 || this.#random.below(SHARE_STEPS) >= this.#below) return;
    this.#positions[at] = position;
    this.#targets[at] = target;
    this.#counters[at] = this.#traffic.ledger.lastCounter(sender, target);
  }
}

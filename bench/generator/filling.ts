/**
 * Sends a fixed number of entries, to devices that are away or not: a few senders
 * each go round the targets until they have sent their part, with a bounded
 * number of sends without a receipt.
 */
import type { Behaviour, Traffic } from "./traffic.js";

export interface Fill {
  /** Devices 0 to `senders` − 1 send; those from `from` to `to` are sent to. */
  readonly senders: number;
  readonly from: number;
  readonly to: number;
  readonly entries: number;
  readonly unreceiptedMax: number;
}

export class Filling implements Behaviour {
  readonly #traffic: Traffic;
  readonly #fill: Fill;
  /** Per sender. */
  readonly #left: Uint32Array;
  readonly #nextTarget: Uint32Array;

  constructor(traffic: Traffic, fill: Fill) {
    this.#traffic = traffic;
    this.#fill = fill;
    const { senders, entries } = fill;
    this.#left = Uint32Array.from({ length: senders }, (_, sender) => {
      return Math.floor(entries / senders) + (sender < entries % senders ? 1 : 0);
    });
    this.#nextTarget = new Uint32Array(fill.senders).fill(fill.from);
  }

  get isDone(): boolean {
    return this.#left.every((left) => left === 0);
  }

  start(): void {
    for (let sender = 0; sender < this.#fill.senders; sender++) {
      this.#traffic.tick();
      this.#send(sender, this.#fill.unreceiptedMax);
      this.#traffic.flush(sender);
    }
  }

  delivered(): void {}

  receipted(device: number, count: number): void {
    if (device < this.#fill.senders) this.#send(device, count);
  }

  #send(sender: number, count: number): void {
    for (let i = 0; i < count && this.#left[sender]! > 0; i++) {
      const target = this.#nextTarget[sender]!;
      this.#traffic.send(sender, target);
      this.#left[sender]! -= 1;
      this.#nextTarget[sender] = target + 1 < this.#fill.to ? target + 1 : this.#fill.from;
    }
  }
}

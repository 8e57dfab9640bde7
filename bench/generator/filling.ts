/**
 * Fills queues of devices that are not connected: a few senders each go round
 * the targets until `entries` have been sent, with a bounded number of sends
 * without a receipt.
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
  #left: number;
  readonly #nextTarget: Uint32Array;

  constructor(traffic: Traffic, fill: Fill) {
    this.#traffic = traffic;
    this.#fill = fill;
    this.#left = fill.entries;
    this.#nextTarget = new Uint32Array(fill.senders).fill(fill.from);
  }

  get isDone(): boolean {
    return this.#left === 0;
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
    this.#send(device, count);
  }

  #send(sender: number, count: number): void {
    for (let i = 0; i < count && this.#left > 0; i++) {
      const target = this.#nextTarget[sender]!;
      this.#traffic.send(sender, target);
      this.#left -= 1;
      this.#nextTarget[sender] = target + 1 < this.#fill.to ? target + 1 : this.#fill.from;
    }
  }
}

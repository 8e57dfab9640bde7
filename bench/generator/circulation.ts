/**
 * The canonical behaviour: a number of messages circulates, and each delivery
 * makes its receiver send one to a random other device. Stopped, the devices
 * take what is under way and send nothing more.
 *
 * Targets come from xorshift32 with the run's seed.
 */
import type { Behaviour, Traffic } from "./traffic.js";

export class Circulation implements Behaviour {
  readonly #traffic: Traffic;
  readonly #devices: number;
  #random: number;
  #running = false;

  constructor(traffic: Traffic, devices: number, seed: number) {
    this.#traffic = traffic;
    this.#devices = devices;
    this.#random = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  }

  /** Every device sends `inFlight` messages; from then on deliveries keep them going. */
  start(inFlight: number): void {
    this.#running = true;
    for (let device = 0; device < this.#devices; device++) {
      this.#traffic.tick();
      for (let i = 0; i < inFlight; i++) this.#traffic.send(device, this.#otherThan(device));
      this.#traffic.flush(device);
    }
  }

  stop(): void {
    this.#running = false;
  }

  delivered(device: number): void {
    if (this.#running) this.#traffic.send(device, this.#otherThan(device));
  }

  receipted(): void {}

  #otherThan(device: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    const other = Math.floor((this.#random / 0x1_0000_0000) * (this.#devices - 1));
    return other < device ? other : other + 1;
  }
}

/**
 * The canonical behaviour: a number of messages circulates among devices 0 to
 * `devices` − 1, and each delivery makes its receiver send one to a random other
 * of them. Stopped, the devices
 * take what is under way and send nothing more.
 *
 * Targets come from xorshift32 with the run's seed.
 */
import type { Repeats } from "./repeats.js";
import type { Behaviour, Traffic } from "./traffic.js";

export class Circulation implements Behaviour {
  readonly #traffic: Traffic;
  readonly #devices: number;
  #random: number;
  #running = false;
  #repeats: Repeats | undefined;

  constructor(traffic: Traffic, devices: number, seed: number) {
    this.#traffic = traffic;
    this.#devices = devices;
    this.#random = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  }

  /** Every device sends `inFlight` messages; from then on deliveries keep them going. */
  start(inFlight: number, repeats: Repeats | undefined): void {
    this.#running = true;
    this.#repeats = repeats;
    for (let device = 0; device < this.#devices; device++) {
      this.#traffic.tick();
      for (let i = 0; i < inFlight; i++) this.#send(device);
      this.#traffic.flush(device);
    }
  }

  stop(): void {
    this.#running = false;
  }

  delivered(device: number): void {
    if (this.#running && device < this.#devices) this.#send(device);
  }

  receipted(): void {}

  #send(device: number): void {
    const target = this.#otherThan(device);
    const position = this.#traffic.send(device, target);
    this.#repeats?.sent(device, target, position);
  }

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

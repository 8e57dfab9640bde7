/**
 * The canonical behaviour: a number of messages circulates among devices 0 to
 * `devices` − 1, and each delivery makes its receiver send one to a random other
 * of them, or of the `peers` devices after it. Stopped, the devices take what is
 * under way and send nothing more.
 *
 * Targets come from xorshift32 with the run's seed and the process's part.
 */
import type { Repeats } from "./repeats.js";
import { ownDevices, type Share } from "./share.js";
import type { Behaviour, Traffic } from "./traffic.js";

export class Circulation implements Behaviour {
  readonly #traffic: Traffic;
  readonly #devices: number;
  readonly #peers: number;
  readonly #share: Share;
  #random: number;
  #running = false;
  #repeats: Repeats | undefined;

  constructor(
    traffic: Traffic,
    options: {
      readonly devices: number;
      readonly peers: number;
      readonly share: Share;
      readonly seed: number;
    },
  ) {
    const { devices, peers, share, seed } = options;
    this.#traffic = traffic;
    this.#devices = devices;
    this.#peers = peers;
    this.#share = share;
    this.#random = Math.imul(seed + share.part, 0x9e3779b1) >>> 0 || 1;
  }

  /** Every device of this process sends `inFlight` messages; from then on deliveries keep them going. */
  start(inFlight: number, repeats: Repeats | undefined): void {
    this.#running = true;
    this.#repeats = repeats;
    for (const device of ownDevices(this.#share, 0, this.#devices)) {
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
    const target = device + 1 + Math.floor((this.#random / 0x1_0000_0000) * this.#peers);
    return target < this.#devices ? target : target - this.#devices;
  }
}

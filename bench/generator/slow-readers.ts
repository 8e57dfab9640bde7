/**
 * Devices that do not read what is sent to them: their sockets are paused, and
 * some are let through for one read now and then. The node may end such a
 * connection; that is counted, and the device comes back when the slowness ends.
 */
import type { Connections } from "./connections.js";

export interface SlowReadersOptions {
  /** The slow devices. */
  readonly from: number;
  readonly to: number;
  /** The first so many of them read once every `trickleMs`. */
  readonly trickling: number;
  readonly trickleMs: number;
}

export class SlowReaders {
  evictedCount = 0;
  readonly #connections: Connections;
  readonly #options: SlowReadersOptions;
  readonly #reopen: (device: number) => void;
  /** Devices whose connection has ended and that are not back. */
  readonly #gone = new Set<number>();
  readonly #trickle: NodeJS.Timeout;
  #isOver = false;

  constructor(connections: Connections, options: SlowReadersOptions, reopen: (device: number) => void) {
    this.#connections = connections;
    this.#options = options;
    this.#reopen = reopen;
    const { from, to, trickling, trickleMs } = options;
    for (let device = from; device < to; device++) connections.pause(device);
    this.#trickle = setInterval(() => {
      for (let device = from; device < from + trickling; device++) connections.readOnce(device);
    }, trickleMs);
  }

  /** Whether the end of this device's connection is one to expect. */
  takesLoss(device: number): boolean {
    const { from, to } = this.#options;
    if (device < from || device >= to) return false;
    // Told twice: by an error frame, then by the close.
    if (this.#gone.has(device)) return true;
    this.evictedCount += 1;
    this.#connections.close(device);
    if (this.#isOver) this.#reopen(device);
    else this.#gone.add(device);
    return true;
  }

  /** Everybody reads again; those that were ended connect again. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#trickle);
    for (let device = this.#options.from; device < this.#options.to; device++) {
      this.#connections.resume(device);
    }
    for (const device of this.#gone) this.#reopen(device);
    this.#gone.clear();
  }
}

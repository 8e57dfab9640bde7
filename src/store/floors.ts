/**
 * What devices have acked and the queues do not show yet. Acks are cumulative,
 * so only the highest floor of a device is kept, and one pass over its queue
 * serves any number of calls.
 *
 * A floor that was applied stays known while a spill is held up behind it:
 * entries that the spill still carries, and that were acked meanwhile, must not
 * enter the queue after the trim that would have removed them.
 */
import { nameOf, type QueueReader } from "./queue-reader.js";

interface Floor {
  readonly device: Uint8Array;
  readonly sequence: number;
}

export class Floors {
  readonly #reader: QueueReader;
  #pending = new Map<string, Floor>();
  #applied = new Map<string, Floor>();
  #holds = 0;

  constructor(reader: QueueReader) {
    this.#reader = reader;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  add(device: Uint8Array, sequence: number): void {
    const name = nameOf(device);
    if (sequence > this.overlay(name)) this.#pending.set(name, { device, sequence });
  }

  /** The highest floor noted here; 0 when there is none. */
  overlay(name: string): number {
    return Math.max(this.#pending.get(name)?.sequence ?? 0, this.#applied.get(name)?.sequence ?? 0);
  }

  /** The highest floor noted here or stored. */
  known(device: Uint8Array): number {
    return Math.max(this.overlay(nameOf(device)), this.#reader.floor(device));
  }

  /** Keeps applied floors until released as often as held. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    this.#holds--;
  }

  /**
   * Hands pending floors to `apply` until none is left or `apply` returns
   * false, which leaves that one pending. True when none is left.
   */
  drain(apply: (floor: Floor) => boolean): boolean {
    if (this.#holds === 0) this.#applied.clear();
    for (const [name, floor] of this.#pending) {
      if (!apply(floor)) return false;
      this.#pending.delete(name);
      this.#applied.set(name, floor);
    }
    return true;
  }
}

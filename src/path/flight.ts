/**
 * What a connection was sent and has not acked, as far as the host counts it: all that catch-up sent, and what the kernel
 * had sent itself when the device fell behind. Entries are exact where sequences follow each other, and never too few;
 * bytes of a batch that is acked in part are an estimate by its entries.
 */
interface Batch {
  readonly last: number;
  entries: number;
  bytes: number;
}

export class Flight {
  entries = 0;
  bytes = 0;
  /** Oldest first. */
  readonly #batches: Batch[] = [];

  /** Sequences up to `last`, beyond those that were added before. */
  add(last: number, entries: number, bytes: number): void {
    this.#batches.push({ last, entries, bytes });
    this.entries += entries;
    this.bytes += bytes;
  }

  /** The device has acked up to `floor`. */
  settle(floor: number): void {
    for (let batch = this.#batches[0]; batch !== undefined && batch.last <= floor; batch = this.#batches[0]) {
      this.#take(batch, batch.entries, batch.bytes);
      this.#batches.shift();
    }
    const [first] = this.#batches;
    const acked = first === undefined ? 0 : first.entries - (first.last - floor);
    if (first !== undefined && acked > 0)
      this.#take(first, acked, Math.floor((first.bytes * acked) / first.entries));
  }

  #take(batch: Batch, entries: number, bytes: number): void {
    batch.entries -= entries;
    batch.bytes -= bytes;
    this.entries -= entries;
    this.bytes -= bytes;
  }
}

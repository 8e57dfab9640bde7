/** A slice of work (writer.ts): bounded in time on the event loop and in rows touched. */
import { limits } from "../rules/limits.js";
import type { Batch } from "./database.js";
import { type QueueContext, trimQueue } from "./queues.js";

export class Slice {
  readonly #endsAtMs = performance.now() + limits.storeSliceMs;
  #rowsLeft: number;

  constructor(rowsMax: number = limits.storeSliceRows) {
    this.#rowsLeft = rowsMax;
  }

  get rowsLeft(): number {
    return Math.max(0, this.#rowsLeft);
  }

  get isOver(): boolean {
    return this.#rowsLeft <= 0 || performance.now() >= this.#endsAtMs;
  }

  spend(rows: number): void {
    this.#rowsLeft -= rows;
  }
}

/** For prompt work that takes long: gives way to everything else for a turn whenever a slice is over. */
export class Breather {
  #slice = new Slice();

  /** Undefined: go on at once. */
  breath(): Promise<void> | undefined {
    this.#slice.spend(1);
    if (!this.#slice.isOver) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#slice = new Slice();
        resolve();
      });
    });
  }
}

/** Applies pending floors to their queues. True when none is left. */
export function trimSlice(context: QueueContext, batch: Batch, slice: Slice): boolean {
  return context.floors.drain(({ device, sequence }) => {
    if (slice.isOver) return false;
    const changesBefore = batch.changes.length;
    const isDone = trimQueue(context, batch, { device, floor: sequence, rowsMax: slice.rowsLeft });
    slice.spend(isDone ? 1 + batch.changes.length - changesBefore : slice.rowsLeft);
    return isDone;
  });
}

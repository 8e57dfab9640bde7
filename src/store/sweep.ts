/**
 * The sweep: background work that is never urgent, a bounded number of rows
 * per call, a slice per transaction. It drops dedup rows outside the window
 * and shared parts that have outlived every reference, applies what was acked to the queues, and then looks at as many devices'
 * oldest rows as its budget allows, from where the last call stopped: a queue
 * whose oldest entries are young needs no second look. All devices have been
 * looked at when it comes to the end of the table; the next round begins
 * limits.sweepRoundMs after that, or a tenth of the retention where that is shorter.
 */
import type { Batch } from "./database.js";
import type { DedupWindow } from "./dedup-window.js";
import { expireQueue, type QueueContext, stageTotals } from "./queues.js";
import { DEVICE_KEY_BYTES, queueEnd } from "./schema.js";
import { Slice, trimSlice } from "./slices.js";
import type { Work } from "./writer.js";

/** Each may hold a whole payload. */
const OLD_PARTS_PER_SWEEP = 8;

export interface SweepResult {
  /** Entries that a gap has replaced because they were older than the retention. */
  readonly expiredEntries: number;
  readonly trimmedRows: number;
  readonly droppedDedupRows: number;
  /** Shared parts that their last reference should have taken along: for damage alone. */
  readonly droppedParts: number;
  /** Devices whose queue was looked at. */
  readonly visitedDevices: number;
  /** True when the end of all queues was reached, now or so lately that none was looked at. */
  readonly isRoundComplete: boolean;
}

/** Where the next sweep goes on; lives as long as the store. */
export interface SweepPlace {
  next: Uint8Array | undefined;
  /** The wall clock when the last round ended. */
  endedAtMs: number;
}

export class SweepWork implements Work {
  readonly #context: QueueContext;
  readonly #dedup: DedupWindow;
  readonly #place: SweepPlace;
  readonly #nowMs: number;
  readonly #expiryMs: number;
  readonly #before: { readonly expired: number; readonly trimmed: number };
  #rowsLeft: number;
  #droppedDedupRows = 0;
  #droppedParts = 0;
  #visitedDevices = 0;
  #isRoundComplete = false;
  #isTrimmed = false;

  constructor(
    context: QueueContext,
    options: { dedup: DedupWindow; place: SweepPlace; nowMs: number; expiryMs: number; rowBudget: number },
  ) {
    this.#context = context;
    this.#dedup = options.dedup;
    this.#place = options.place;
    this.#nowMs = options.nowMs;
    this.#expiryMs = options.expiryMs;
    this.#rowsLeft = options.rowBudget;
    this.#before = { expired: context.stats.expiredEntries, trimmed: context.stats.trimmedRows };
  }

  get result(): SweepResult {
    return {
      expiredEntries: this.#context.stats.expiredEntries - this.#before.expired,
      trimmedRows: this.#context.stats.trimmedRows - this.#before.trimmed,
      droppedDedupRows: this.#droppedDedupRows,
      droppedParts: this.#droppedParts,
      visitedDevices: this.#visitedDevices,
      isRoundComplete: this.#isRoundComplete,
    };
  }

  stage(batch: Batch): boolean {
    const slice = new Slice();
    if (!this.#isTrimmed) {
      const dropped = this.#dedup.drop(batch, Math.min(slice.rowsLeft, this.#rowsLeft));
      this.#droppedDedupRows += dropped;
      this.#isTrimmed = trimSlice(this.#context, batch, slice);
      stageTotals(this.#context, batch);
      return false;
    }
    if (this.#isResting) this.#isRoundComplete = true;
    else this.#expire(batch, slice);
    stageTotals(this.#context, batch);
    if (this.#isOver)
      this.#droppedParts += this.#context.parts.dropOld(batch, this.#expiryMs, OLD_PARTS_PER_SWEEP);
    return this.#isOver;
  }

  /** A clock that was set back does not prolong it. */
  get #isResting(): boolean {
    const { next, endedAtMs } = this.#place;
    const { sweepRoundMs, retentionMs } = this.#context.bounds;
    return next === undefined && Math.abs(this.#nowMs - endedAtMs) < Math.min(sweepRoundMs, retentionMs / 10);
  }

  get #isOver(): boolean {
    return this.#isRoundComplete || this.#rowsLeft <= 0;
  }

  #expire(batch: Batch, slice: Slice): void {
    while (!slice.isOver && this.#rowsLeft > 0) {
      const start = this.#place.next;
      const [key] = this.#context.database.keys("queues", start ? { start, limit: 1 } : { limit: 1 });
      if (key === undefined) {
        this.#place.next = undefined;
        this.#place.endedAtMs = this.#nowMs;
        this.#isRoundComplete = true;
        return;
      }
      const device = key.slice(0, DEVICE_KEY_BYTES);
      const changesBefore = batch.changes.length;
      const rowsMax = Math.min(slice.rowsLeft, this.#rowsLeft);
      const isMoreLeft = expireQueue(this.#context, batch, { device, nowMs: this.#expiryMs, rowsMax });
      const rows = 1 + batch.changes.length - changesBefore;
      slice.spend(rows);
      this.#rowsLeft -= rows;
      this.#visitedDevices++;
      if (isMoreLeft) return;
      this.#place.next = queueEnd(device);
    }
  }
}

/**
 * The dedup keys of the window, so that a repeated send is still recognised
 * after a restart: those of the newest commits lie in the journal, and come
 * here, many commits to a row, when the journal is spilled. Exact comparison is the kernel's; the store
 * only keeps the keys as long as the window says: a row goes when it was here for
 * longer than dedupWindowMs, or when more than dedupWindowCount newer keys exist.
 *
 * How long it was here is counted in time that passes while the store is open,
 * and anew at each open: forgetting late is safe, and no clock that was set, in a
 * run or between two, makes it forget early. Nothing goes by the time in a row.
 *
 * Which rows exist is kept in memory (number, since when, count), oldest first.
 */
import { concatBytes } from "../base/bytes.js";
import type { Batch, Database } from "./database.js";
import { DEDUP_KEY_BYTES, decodeDedup, encodeDedup, numberKey, readU64BE } from "./schema.js";

interface WindowRow {
  readonly number: number;
  /** Monotonic: when it was added, or found at the open. */
  readonly sinceMs: number;
  readonly count: number;
}

export interface DedupBounds {
  readonly dedupWindowMs: number;
  readonly dedupWindowCount: number;
  readonly dedupRowBytesMax: number;
}

export class DedupWindow {
  readonly #bounds: DedupBounds;
  readonly #monotonicMs: () => number;
  #rows: WindowRow[] = [];
  #head = 0;
  #keyCount = 0;
  #nextNumber = 1;

  constructor(bounds: DedupBounds, monotonicMs: () => number) {
    this.#bounds = bounds;
    this.#monotonicMs = monotonicMs;
  }

  get rowCount(): number {
    return this.#rows.length - this.#head;
  }

  get keyCount(): number {
    return this.#keyCount;
  }

  /** Reads which rows there are. A damaged one is told to `onDamage` and counts as empty. */
  load(database: Database, onDamage: (number: number) => void): void {
    for (const { key, value } of database.rows("dedup")) {
      const number = readU64BE(key, 0);
      const row = decodeDedup(key, value);
      if (row === undefined) onDamage(number);
      this.#push(number, row?.keys.length ?? 0);
      this.#nextNumber = number + 1;
    }
  }

  #push(number: number, keysBytes: number): void {
    const count = keysBytes / DEDUP_KEY_BYTES;
    this.#rows.push({ number, sinceMs: this.#monotonicMs(), count });
    this.#keyCount += count;
  }

  /** Keys of commits, oldest first, in rows of at most `dedupRowBytesMax`, or of one commit. */
  add(batch: Batch, commits: readonly { readonly timeMs: number; readonly dedupKeys: Uint8Array }[]): void {
    let parts: Uint8Array[] = [];
    let bytes = 0;
    let timeMs = 0;
    const flush = (): void => {
      if (bytes > 0) this.#addRow(batch, timeMs, concatBytes(parts));
      parts = [];
      bytes = 0;
    };
    for (const commit of commits) {
      if (bytes + commit.dedupKeys.length > this.#bounds.dedupRowBytesMax) flush();
      parts.push(commit.dedupKeys);
      bytes += commit.dedupKeys.length;
      timeMs = commit.timeMs;
    }
    flush();
  }

  /** Its keys are as young as the youngest: forgetting late is safe. */
  #addRow(batch: Batch, timeMs: number, keys: Uint8Array): void {
    const number = this.#nextNumber++;
    const key = numberKey(number);
    batch.put("dedup", key, encodeDedup(key, { timeMs, keys }));
    this.#push(number, keys.length);
  }

  #isOutside(row: WindowRow, nowMs: number): boolean {
    const newerCount = this.#keyCount - row.count;
    return nowMs - row.sinceMs > this.#bounds.dedupWindowMs || newerCount > this.#bounds.dedupWindowCount;
  }

  /** Removes up to `rowsMax` rows that are outside the window; tells how many. */
  drop(batch: Batch, rowsMax: number): number {
    const nowMs = this.#monotonicMs();
    let dropped = 0;
    while (dropped < rowsMax && this.#head < this.#rows.length) {
      const row = this.#rows[this.#head] as WindowRow;
      if (!this.#isOutside(row, nowMs)) break;
      batch.remove("dedup", numberKey(row.number));
      this.#keyCount -= row.count;
      this.#head++;
      dropped++;
    }
    if (this.#head > 4096) {
      this.#rows = this.#rows.slice(this.#head);
      this.#head = 0;
    }
    return dropped;
  }

  /** The keys inside the window at the open, oldest first. */
  *keys(database: Database): Iterable<Uint8Array> {
    let newerCount = this.#keyCount;
    const rows = this.#rows.slice(this.#head);
    for (const { number, count } of rows) {
      newerCount -= count;
      if (count === 0 || newerCount > this.#bounds.dedupWindowCount) continue;
      const key = numberKey(number);
      const value = database.get("dedup", key);
      const row = value && decodeDedup(key, value);
      if (row) yield row.keys;
    }
  }
}

/**
 * The shared parts that queues refer to: each once in table `shared`, beside it how many entries refer to it. Whoever
 * adds entries to queues or removes them says so here, and `stage` puts what changed into the same transaction: at any
 * moment the counts on disk are those of the queues on disk, and a part goes with its last reference.
 *
 * A part whose count is damaged or missing is left alone. So is one whose references were lost with a damaged row of a
 * queue: its count stays too high. The back-stop is age: no entry lives longer than `livesMs` after its part was stored
 * (queue-appender.ts sees to that), so what is older goes whatever its count says.
 */
import type { Batch, Database } from "./database.js";
import { entryBytesAt, isReferenceAt, partAt } from "./frames.js";
import {
  countKey,
  decodePart,
  encodePart,
  isCountKey,
  numberInKey,
  type Part,
  partKey,
} from "./part-rows.js";
import { decodeNumber, encodeNumber } from "./schema.js";

/** Decoded parts kept for the next reader: devices that come back together read the same ones. */
const CACHE_BYTES_MAX = 4 * 1024 * 1024;

/** A part's bytes as they lie in a journal record. */
export type PartSource = (number: number) => Uint8Array | undefined;

interface Change {
  delta: number;
  source: PartSource | undefined;
}

export interface PartsOptions {
  readonly livesMs: number;
  readonly nowMs: () => number;
  readonly onDamage: (number: number, detail: string) => void;
}

export class SharedParts {
  readonly #database: Database;
  readonly #options: PartsOptions;
  readonly #changes = new Map<number, Change>();
  /** What earlier work has put into the batch that is being staged. */
  #staged: { readonly batch: Batch; readonly counts: Map<number, number> } | undefined;
  readonly #cache = new Map<number, Part>();
  #cacheBytes = 0;

  constructor(database: Database, options: PartsOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** One entry more refers to each part that these entries refer to; `source` has the bytes of those that are new. */
  add(entries: Uint8Array, source: PartSource): void {
    this.#eachReference(entries, (number) => {
      const change = this.#changeOf(number);
      change.delta++;
      change.source ??= source;
    });
  }

  /** These entries are removed from their queue. */
  remove(entries: Uint8Array): void {
    this.#eachReference(entries, (number) => {
      this.#changeOf(number).delta--;
    });
  }

  #eachReference(entries: Uint8Array, visit: (number: number) => void): void {
    for (let at = 0; at < entries.length; ) {
      const bytes = entryBytesAt(entries, at);
      if (bytes === 0) return;
      if (isReferenceAt(entries, at)) visit(partAt(entries, at));
      at += bytes;
    }
  }

  #changeOf(number: number): Change {
    const known = this.#changes.get(number);
    if (known !== undefined) return known;
    const change = { delta: 0, source: undefined };
    this.#changes.set(number, change);
    return change;
  }

  /** Puts what changed since the last call into the transaction that holds the changes of the queues. */
  stage(batch: Batch): void {
    if (this.#staged?.batch !== batch) this.#staged = { batch, counts: new Map() };
    for (const [number, { delta, source }] of this.#changes) {
      if (delta !== 0) this.#stageCount(batch, number, delta, source);
    }
    this.#changes.clear();
  }

  #stageCount(batch: Batch, number: number, delta: number, source: PartSource | undefined): void {
    const counts = (this.#staged as { counts: Map<number, number> }).counts;
    const before = counts.get(number) ?? this.#count(number);
    if (before === undefined) return;
    const after = before + delta;
    counts.set(number, Math.max(0, after));
    if (after <= 0) {
      this.#removePart(batch, number);
      return;
    }
    if (before === 0 && !this.#putPart(batch, number, source)) return;
    const key = countKey(number);
    batch.put("shared", key, encodeNumber(key, after));
  }

  #putPart(batch: Batch, number: number, source: PartSource | undefined): boolean {
    const bytes = source?.(number);
    if (bytes === undefined) {
      this.#options.onDamage(number, "a part that entries refer to is missing");
      return false;
    }
    const key = partKey(number);
    batch.put("shared", key, encodePart(key, bytes, this.#options.nowMs()));
    return true;
  }

  #removePart(batch: Batch, number: number): void {
    batch.remove("shared", partKey(number));
    batch.remove("shared", countKey(number));
    this.#forget(number);
  }

  /** Entries on disk that refer to the part; undefined when that is not known. */
  #count(number: number): number | undefined {
    const key = countKey(number);
    const row = this.#database.get("shared", key);
    const count = row && decodeNumber(key, row);
    if (count !== undefined) return count;
    if (row === undefined && this.#database.get("shared", partKey(number)) === undefined) return 0;
    this.#options.onDamage(number, "the count of a shared part is damaged or missing");
    return undefined;
  }

  /** The part; undefined when it is missing or damaged. Good until it is removed; not to be changed. */
  read(number: number): Part | undefined {
    const known = this.#cache.get(number);
    if (known !== undefined) return known;
    const key = partKey(number);
    const row = this.#database.get("shared", key);
    const part = row && decodePart(key, row);
    if (part === undefined) {
      this.#options.onDamage(number, `a shared part is ${row === undefined ? "missing" : "damaged"}`);
      return undefined;
    }
    this.#cache.set(number, part);
    this.#cacheBytes += part.payload.length;
    for (const oldest of this.#cache.keys()) {
      if (this.#cacheBytes <= CACHE_BYTES_MAX) break;
      this.#forget(oldest);
    }
    return part;
  }

  #forget(number: number): void {
    const part = this.#cache.get(number);
    if (part === undefined) return;
    this.#cache.delete(number);
    this.#cacheBytes -= part.payload.length;
  }

  /** The number above those of all parts that are stored. */
  get nextNumber(): number {
    const last = this.#database.lastKey("shared", { start: Buffer.alloc(9, 0xff), end: Buffer.alloc(0) });
    return last === undefined ? 1 : numberInKey(last) + 1;
  }

  /** Removes parts that no entry can refer to any more because of their age, at most `rowsMax`; tells how many. */
  dropOld(batch: Batch, nowMs: number, rowsMax: number): number {
    let dropped = 0;
    // Numbers rise with time, so the oldest stand in front.
    let previous = 0;
    for (const { key, value } of this.#database.rows("shared", { limit: rowsMax })) {
      const number = numberInKey(key);
      if (number === previous) continue;
      previous = number;
      // One that is damaged, or a count alone, is of no use to anybody.
      const part = isCountKey(key) ? undefined : decodePart(key, value);
      if (part === undefined) this.#options.onDamage(number, "a shared part is damaged or missing");
      else if (nowMs - part.storedAtMs <= this.#options.livesMs) break;
      this.#removePart(batch, number);
      dropped++;
    }
    return dropped;
  }
}

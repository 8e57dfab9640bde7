/** Bytes queued on disk per brand: in memory, and in a row per brand that goes along with each change. */
import type { Batch, Database, Row } from "./database.js";
import { brandInKey, brandKey, decodeNumber, encodeNumber } from "./schema.js";

/** The counter in a row of `meta`, its bytes undefined when it is damaged; undefined for other rows. */
export function brandInRow({
  key,
  value,
}: Row): { brand: number; queuedBytes: number | undefined } | undefined {
  const brand = brandInKey(key);
  return brand === undefined ? undefined : { brand, queuedBytes: decodeNumber(key, value) };
}

export class BrandBytes {
  readonly #bytes = new Map<number, number>();
  readonly #changed = new Set<number>();

  /** Reads the durable counters. A damaged one is told to `onDamage` and starts from 0. */
  load(database: Database, onDamage: (brand: number) => void): void {
    for (const row of database.rows("meta")) {
      const counter = brandInRow(row);
      if (counter === undefined) continue;
      if (counter.queuedBytes === undefined) onDamage(counter.brand);
      this.#bytes.set(counter.brand, counter.queuedBytes ?? 0);
    }
  }

  of(brand: number): number {
    return this.#bytes.get(brand) ?? 0;
  }

  get total(): number {
    let total = 0;
    for (const bytes of this.#bytes.values()) total += bytes;
    return total;
  }

  /** Never below 0: a counter that was damaged must not wedge its brand. */
  add(brand: number, bytes: number): void {
    if (bytes === 0) return;
    this.#bytes.set(brand, Math.max(0, this.of(brand) + bytes));
    this.#changed.add(brand);
  }

  stage(batch: Batch): void {
    for (const brand of this.#changed) {
      const key = brandKey(brand);
      batch.put("meta", key, encodeNumber(key, this.of(brand)));
    }
    this.#changed.clear();
  }
}

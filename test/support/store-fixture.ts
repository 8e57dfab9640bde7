/** Data directories for tests: made under the system's temporary folder and removed by cleanUp(). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import type { DeviceAddress } from "../../src/base/address.js";
import { Batch, Database } from "../../src/store/database.js";
import { DATA_FILE, type TableName } from "../../src/store/schema.js";
import {
  type CorruptionReport,
  openStore,
  type QueueItem,
  type Store,
  type StoreOptions,
} from "../../src/store/store.js";
import { sequencesIn } from "./journal-record.js";

export class StoreFixture {
  readonly directory = mkdtempSync(join(tmpdir(), "interline-store-"));
  nowMs = 1_700_000_000_000;
  /** Of the wall clock, before the time that has passed. */
  aheadMs = 0;
  readonly reports: CorruptionReport[] = [];
  readonly #opened: Store[] = [];

  async open(options: Partial<StoreOptions> = {}): Promise<Store> {
    const store = await openStore({
      directory: this.directory,
      clock: { wallMs: () => this.nowMs + this.aheadMs, monotonicMs: () => this.nowMs },
      onCorruption: (report) => this.reports.push(report),
      ...options,
    });
    this.#opened.push(store);
    return store;
  }

  /** Changes rows of the closed directory behind the store's back. */
  async tamper(change: (database: Database, batch: Batch) => void): Promise<void> {
    const database = Database.open(this.directory, { readOnly: false });
    const batch = new Batch();
    change(database, batch);
    await database.write(batch);
    await database.close();
  }

  /** Removes a whole table of the closed directory. */
  async dropTable(name: TableName): Promise<void> {
    const root = open({ path: join(this.directory, DATA_FILE), noSubdir: true, maxDbs: 64 });
    await root.openDB({ name, encoding: "binary", keyEncoding: "binary" }).drop();
    await root.close();
  }

  /** Flips one bit of a row's value. */
  flipBit(table: TableName, at: { readonly row: number; readonly byte: number }): Promise<void> {
    return this.tamper((database, batch) => {
      const row = [...database.rows(table)][at.row];
      if (row === undefined) throw new Error(`table ${table} has no row ${at.row}`);
      const value = Uint8Array.from(row.value);
      const byte = at.byte < 0 ? value.length + at.byte : at.byte;
      value[byte] = (value[byte] as number) ^ 0x10;
      batch.put(table, row.key, value);
    });
  }

  async cleanUp(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function readAll(store: Store, device: DeviceAddress, after = 0): QueueItem[] {
  return store.readQueue(device, after, { bytesMax: 1 << 30, entriesMax: 1 << 30 });
}

/** Sequences of all entries in the items. */
export function sequencesOf(items: readonly QueueItem[]): number[] {
  return items.flatMap((item) => (item.kind === "entries" ? sequencesIn(item.frames) : []));
}

/** `[first, last, count, reason]` of each gap. */
export function gapsOf(items: readonly QueueItem[]): (number | string)[][] {
  return items.flatMap((item) =>
    item.kind === "gap" ? [[item.firstSequence, item.lastSequence, item.entryCount, item.reason]] : [],
  );
}

/** `first` to `last`, both included. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

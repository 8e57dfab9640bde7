/**
 * The store: everything durable of one node, in one data directory.
 *
 * What a caller may rely on:
 *  - A promise that resolves means flushed to disk, for commits, spills and
 *    registrations alike.
 *  - The first failed or overdue write ends the store: `failed` resolves,
 *    every promise rejects, reads throw. Nothing is retried. The process should
 *    end; what had resolved is found again at the next open.
 *  - What is damaged on disk is reported through `onCorruption`, never
 *    returned as data, and does not stop the rest.
 *  - One node per directory, also across processes (lock.ts).
 *
 * What a caller must keep to:
 *  - One commit at a time; one at a time for spills is wise.
 *  - Runs handed to spill() stay unchanged until its promise settles.
 *  - readQueue() may show what a spill is just writing, before its promise
 *    has settled: whoever merges both goes by sequence.
 *  - After a `failed` by time-out LMDB may hold its locks for ever: close()
 *    then leaves the file and the lock to the end of the process.
 *
 * How a commit goes: journal.ts. How other writes go: writer.ts. What the bytes
 * mean: schema.ts. What an open does: recovery.ts.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { makeDataDirectory, syncDirectory } from "./data-directory.js";
import { asDamage, Database } from "./database.js";
import { LmdbStore } from "./lmdb-store.js";
import { lockDirectory } from "./lock.js";
import { DATA_FILE, JOURNAL_FILE } from "./schema.js";
import type { Store, StoreOptions } from "./shapes.js";
import { StoreBase } from "./store-base.js";
import { openParts } from "./store-parts.js";

export type { AccountRecord } from "./accounts.js";
export { checkDirectory } from "./check.js";
export type { ContactChange } from "./contacts.js";
export { inspectDirectory } from "./inspect.js";
export type { SpillRun } from "./journal-record.js";
export type { BrandName } from "./names.js";
export type { Notice, StoredNotice } from "./outbox.js";
export type { QueueItem } from "./queue-reader.js";
export type { Commit, CorruptionReport, Store, StoreOptions } from "./shapes.js";

/** Before the database is made: whoever finds that and no journal knows that the journal is lost. */
function makeJournal(directory: string): void {
  closeSync(openSync(join(directory, JOURNAL_FILE), "a", 0o600));
  syncDirectory(directory);
}

/**
 * Opens a data directory, making it if there is none, and recovers what a crash
 * left. Throws CodedError: badConfiguration (no directory can be there), directoryInUse, directoryUnknown (another format),
 * directoryDamaged (LMDB cannot read it), storageFailed (a write failed).
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  makeDataDirectory(options.directory);
  const lock = await lockDirectory(options.directory);
  let base: StoreBase | undefined;
  let store: LmdbStore | undefined;
  try {
    if (!existsSync(join(options.directory, DATA_FILE))) makeJournal(options.directory);
    const database = Database.open(options.directory, { readOnly: false });
    base = new StoreBase(database, lock, options.commitTimeoutMs);
    store = new LmdbStore(options, base, await openParts(options, base));
    syncDirectory(options.directory);
    return store;
  } catch (error) {
    if (base === undefined) lock.release();
    else await (store ?? base).close();
    throw asDamage(error);
  }
}

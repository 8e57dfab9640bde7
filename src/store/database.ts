/**
 * The LMDB environment of a data directory: the only file that imports lmdb.
 *
 * How it is opened, and why. A transaction here is a spill (chunks of queues,
 * rows of dedup keys), a registration or a sweep, a few in a second; commits go
 * to the journal's own file (journal.ts).
 *
 *  - `overlappingSync: false`. A write's promise then settles after LMDB's own
 *    two-step commit — pages, fdatasync, then the meta page through a
 *    descriptor opened O_DSYNC (seen with `strace -f -e
 *    trace=fdatasync,fsync,pwrite64,pwritev,msync`) — so that a resolved write
 *    *is* a durable one, and the file is a good one after any crash without
 *    `safeRestore`, which has a meaning only with overlappingSync. Measured
 *    (Node 20, 2 cores, 300 KB records, 200 commits/s, two alternating rounds
 *    of 4 s; the loop without LMDB costs 0.28 to 0.34 ms): 0.82 to 1.03 ms CPU
 *    per commit, p50 1.0 to 1.2 ms, against 0.85 to 1.09 ms and 1.0 to 1.25 ms
 *    with overlappingSync and a wait for `flushed`. Overlapping could only pay
 *    if commits overlapped; here the next one gathers while one is flushed.
 *  - no `eventTurnBatching`: it made no difference beyond noise, and with it a
 *    failed commit also rejects a promise that lmdb gives to nobody, which ends
 *    the process before anybody is told (seen with an injected EIO).
 *  - no `useWritemap`: a full disk would be a SIGBUS instead of an error, and
 *    the file would have the size of the map.
 *  - no `noMemInit`: what malloc returns must not reach the disk.
 *
 * A failed pwrite may abort the process: lmdb 3.5.6 overruns the buffer of its
 * own message about it (seen with EIO and ENOSPC injected; a failed fdatasync
 * rejects as it should). Nothing is resolved before, so that this is a stop.
 *
 * Values are not copied: LMDB's thread reads them until the promise settles.
 * A view on a non-shared WebAssembly.Memory that never grows is as good as
 * any: only its address is taken, and the view is kept alive meanwhile.
 *
 * Values read are copies. Reads see the newest snapshot after `refresh()`.
 */
import {
  accessSync,
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { open, type RootDatabase, type RootDatabaseOptions, type Database as Table } from "lmdb";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import { DATA_FILE, JOURNAL_FILE, type TableName, tableNames } from "./schema.js";

export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Change {
  readonly table: TableName;
  readonly key: Uint8Array;
  /** undefined removes the row. */
  value: Uint8Array | undefined;
}

/**
 * Tables in which one work must find what another has put into the same
 * transaction: a claim sees the device that was removed just before it.
 */
const sharedTables: ReadonlySet<TableName> = new Set(["accounts", "keys"]);

/** The changes of one transaction. In a shared table a row has one change at most, its last. */
export class Batch {
  readonly changes: Change[] = [];
  bytes = 0;
  readonly written: (() => void)[] = [];
  readonly #shared = new Map<string, Change>();

  /** `then` is called when the transaction is on disk, before any promise of its work resolves. */
  whenWritten(then: () => void): void {
    this.written.push(then);
  }

  put(table: TableName, key: Uint8Array, value: Uint8Array): void {
    this.bytes += key.length + value.length;
    this.#change(table, key, value);
  }

  remove(table: TableName, key: Uint8Array): void {
    this.#change(table, key, undefined);
  }

  /** The row of a shared table as this transaction leaves it up to now. */
  row(database: Database, table: TableName, key: Uint8Array): Uint8Array | undefined {
    const change = this.#shared.get(sharedName(table, key));
    return change === undefined ? database.get(table, key) : change.value;
  }

  /** The keys of a shared table that this transaction has put, from `start` (inclusive) to `end` (exclusive). */
  putKeys(table: TableName, { start, end }: { start: Uint8Array; end: Uint8Array }): Uint8Array[] {
    const isInside = (change: Change): boolean =>
      change.table === table &&
      change.value !== undefined &&
      Buffer.compare(change.key, start) >= 0 &&
      Buffer.compare(change.key, end) < 0;
    return [...this.#shared.values()].filter(isInside).map(({ key }) => key);
  }

  #change(table: TableName, key: Uint8Array, value: Uint8Array | undefined): void {
    if (!sharedTables.has(table)) {
      this.changes.push({ table, key, value });
      return;
    }
    const name = sharedName(table, key);
    const before = this.#shared.get(name);
    if (before !== undefined) {
      before.value = value;
      return;
    }
    const change = { table, key, value };
    this.changes.push(change);
    this.#shared.set(name, change);
  }
}

function sharedName(table: TableName, key: Uint8Array): string {
  return table + Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

const LMDB_HEAD_BYTES = 64;
const LMDB_MAGIC = 0xbeefc0de;
const LMDB_DATA_VERSION = 2;

/** `lastSize` is set by every read and missing from lmdb's types. */
type PeekingTable = Table<Uint8Array, Uint8Array> & { readonly lastSize: number };
type Tables = Partial<Record<TableName, Table<Uint8Array, Uint8Array>>>;
const coding = { encoding: "binary", keyEncoding: "binary" } as const;
/** `permissionsMode` is read by lmdb and missing from its types. */
const environment: RootDatabaseOptions & { permissionsMode: number } = {
  ...coding,
  noSubdir: true,
  overlappingSync: false,
  eventTurnBatching: false,
  mapSize: limits.storeMapBytes,
  maxDbs: tableNames.length + 2,
  maxReaders: limits.storeReadersMax,
  permissionsMode: 0o600,
};

export class Database {
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  readonly #tables: Tables = {};

  private constructor(
    readonly directory: string,
    root: RootDatabase<Uint8Array, Uint8Array>,
  ) {
    this.#root = root;
  }

  /**
   * Opens the environment and the tables it has. Throws CodedError
   * directoryDamaged when LMDB cannot read it or its file was cut short.
   */
  static open(directory: string, options: { readOnly: boolean }): Database {
    const path = join(directory, DATA_FILE);
    refuseForeignFile(path, options.readOnly);
    let root: RootDatabase<Uint8Array, Uint8Array>;
    try {
      root = open<Uint8Array, Uint8Array>(path, { ...environment, readOnly: options.readOnly });
    } catch (cause) {
      throw new CodedError("directoryDamaged", { cause, fatal: true, detail: (cause as Error).message });
    }
    const database = new Database(directory, root);
    try {
      database.#refuseCutFile(path, options.readOnly);
      for (const name of tableNames) database.#openTable(name, false);
    } catch (error) {
      void root.close();
      throw asDamage(error);
    }
    return database;
  }

  /**
   * A file shorter than its own page count would kill the process (SIGBUS) at the first read behind its end. A few pages
   * may be missing of a sound one: LMDB never writes those at the end that a transaction took and gave back. They are
   * made up for, so that what is damaged after all is told and kills nobody. Whoever only reads may do so beside a node:
   * it appends, behind whatever the end is by then, and so neither cuts nor writes over what a node writes meanwhile.
   */
  #refuseCutFile(path: string, isReadOnly: boolean): void {
    const { lastPageNumber, pageSize } = this.#root.getStats() as {
      lastPageNumber: number;
      pageSize: number;
    };
    const expected = (lastPageNumber + 1) * pageSize;
    const actual = statSync(path).size;
    if (actual >= expected) return;
    if (actual % pageSize === 0 && expected - actual <= limits.storeUnwrittenBytesMax) {
      if (isReadOnly) appendFileSync(path, new Uint8Array(expected - actual));
      else truncateSync(path, expected);
      return;
    }
    throw new CodedError("directoryDamaged", {
      fatal: true,
      detail: `${DATA_FILE} has ${actual} bytes where its pages take ${expected}`,
    });
  }

  #openTable(name: TableName, create: boolean): void {
    const table = this.#root.openDB<Uint8Array, Uint8Array>({ name, ...coding, create } as { name: string });
    if (table !== undefined) this.#tables[name] = table;
  }

  createTables(): void {
    for (const name of tableNames) if (this.#tables[name] === undefined) this.#openTable(name, true);
  }

  has(table: TableName): boolean {
    return this.#tables[table] !== undefined;
  }

  #table(name: TableName): Table<Uint8Array, Uint8Array> {
    const table = this.#tables[name];
    if (table === undefined)
      throw new CodedError("directoryUnknown", { fatal: true, detail: `no table ${name}` });
    return table;
  }

  /** From here on reads see everything that is committed. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  /** A copy of the row's value. */
  get(table: TableName, key: Uint8Array): Uint8Array | undefined {
    return this.#table(table).getBinary(key);
  }

  /** The row's value, not copied for the caller: valid until the next read of any row. */
  peek(table: TableName, key: Uint8Array): Uint8Array | undefined {
    const rows = this.#table(table) as PeekingTable;
    // A buffer that lmdb uses again and again; how much of it is the row's, only `lastSize` tells.
    return rows.getBinaryFast(key)?.subarray(0, rows.lastSize);
  }

  /** Rows from `start` (inclusive) to `end` (exclusive), as they are at the first step. */
  rows(
    table: TableName,
    range: { start?: Uint8Array; end?: Uint8Array; limit?: number } = {},
  ): Iterable<Row> {
    return this.#table(table).getRange(range);
  }

  keys(
    table: TableName,
    range: { start?: Uint8Array; end?: Uint8Array; limit?: number } = {},
  ): Iterable<Uint8Array> {
    return this.#table(table).getKeys(range) as Iterable<Uint8Array>;
  }

  /** The last rows (`limit` of them) at or before `start` and after `end`, last first. */
  rowsBackward(
    table: TableName,
    range: { start: Uint8Array; end: Uint8Array; limit?: number },
  ): Iterable<Row> {
    return this.#table(table).getRange({ reverse: true, ...range });
  }

  /** The last key at or before `start` and after `end`. */
  lastKey(table: TableName, range: { start: Uint8Array; end: Uint8Array }): Uint8Array | undefined {
    const keys = this.#table(table).getKeys({ reverse: true, limit: 1, ...range }) as Iterable<Uint8Array>;
    for (const key of keys) return key;
    return undefined;
  }

  rowCount(table: TableName): number {
    return (this.#table(table).getStats() as { entryCount: number }).entryCount;
  }

  fileStats(): { readonly mapBytes: number; readonly usedBytes: number } {
    const stats = this.#root.getStats() as { mapSize: number; lastPageNumber: number; pageSize: number };
    return { mapBytes: stats.mapSize, usedBytes: (stats.lastPageNumber + 1) * stats.pageSize };
  }

  /** All changes in one transaction; resolves when it is on disk. */
  async write(batch: Batch): Promise<void> {
    const { changes } = batch;
    try {
      await this.#root.batch(() => {
        for (const { table, key, value } of changes) {
          if (value === undefined) void this.#table(table).remove(key);
          else void this.#table(table).put(key, value);
        }
      });
    } catch (error) {
      throw new Error("a write to the data file failed", { cause: await reasonOf(error) });
    }
  }

  /** Must not be called while a write that may never settle is under way: LMDB would wait for it. */
  async close(): Promise<void> {
    await this.#root.close();
  }
}

/** What LMDB throws at a page that it cannot read, and the system at a file, as a failure that is told in one sentence; anything else as it is. */
export function asDamage(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  // A file that the system does not let be opened or read: its message names it.
  if ("syscall" in error && "path" in error)
    return new CodedError("directoryDamaged", { fatal: true, cause: error, detail: error.message });
  if (!error.message.startsWith("MDB_")) return error;
  const detail = `${DATA_FILE} has damaged pages (${error.message}): restore a copy of the directory`;
  return new CodedError("directoryDamaged", { fatal: true, cause: error, detail });
}

/**
 * An open that fails inside LMDB's binding ends the process with a segmentation
 * fault (lmdb 3.5.6), so that what can be seen from outside is refused here:
 * a file that may not be read or written, and one that does not begin with a
 * page of this LMDB's data version:  16 u32 flags  24 u32 magic  28 u16 version
 * 48 u32 page size. An empty file is a new one, to whoever may write it and if nothing was ever committed beside it:
 * the journal's file is empty until the database's first transaction is on disk.
 */
function refuseForeignFile(path: string, isReadOnly: boolean): void {
  const refuse = (detail: string, cause?: unknown): never => {
    throw new CodedError("directoryDamaged", { fatal: true, detail, cause });
  };
  let size = 0;
  const head = Buffer.alloc(LMDB_HEAD_BYTES);
  try {
    accessSync(dirname(path), isReadOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
    for (const file of [path, `${path}-lock`]) {
      if (!existsSync(file)) continue;
      const descriptor = openSync(file, isReadOnly && file === path ? "r" : "r+");
      if (file === path) {
        size = fstatSync(descriptor).size;
        readSync(descriptor, head, 0, LMDB_HEAD_BYTES, 0);
      }
      closeSync(descriptor);
    }
  } catch (cause) {
    refuse((cause as Error).message, cause);
  }
  if (size === 0) {
    const journal = statSync(join(dirname(path), JOURNAL_FILE), { throwIfNoEntry: false });
    if (isReadOnly || (journal?.size ?? 0) > 0) refuse(`${path} is empty`);
    return;
  }
  const isHeader = head.readUInt32LE(24) === LMDB_MAGIC && head.readUInt16LE(28) === LMDB_DATA_VERSION;
  if (!isHeader) refuse(`${path} is not an LMDB file of data version ${LMDB_DATA_VERSION}`);
  if (size < 2 * head.readUInt32LE(48)) refuse(`${path} is cut short inside its first pages`);
}

/** lmdb rejects with a bare notice whose `commitError` rejects with the reason. */
async function reasonOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> }).commitError;
  if (reason === undefined) return error;
  return Promise.race([
    reason.then(
      () => error,
      (cause: unknown) => cause,
    ),
    new Promise((resolve) => setImmediate(resolve, error)),
  ]);
}

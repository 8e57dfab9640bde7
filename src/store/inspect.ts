/**
 * A look into a data directory, live or closed (read-only.ts): pages of
 * queues, blocks of the journal and accounts, and one device in detail. Nothing is
 * verified beyond what reading needs; check.ts does that.
 *
 * Pages: at most `limit` items, and a `cursor` for the next call when there is
 * more. On a live directory each page is of its own moment.
 */
import { type AccountAddress, accountOf, type DeviceAddress } from "../base/address.js";
import { fromHex, toHex } from "../base/bytes.js";
import { decodeAccount } from "./account-rows.js";
import { brandInRow } from "./brand-bytes.js";
import { Batch, type Database } from "./database.js";
import { DeviceKeys } from "./device-keys.js";
import type { JournalBlock } from "./journal-reader.js";
import { type KeyStocks, stocksOf } from "./key-transaction.js";
import { entriesAbove, entriesBefore, isIntact, QueueReader, type QueueRow } from "./queue-reader.js";
import { type DirectoryState, openReadOnly, visitJournal } from "./read-only.js";
import {
  accountKey,
  addressInKey,
  DEVICE_KEY_BYTES,
  deviceKey,
  numberKey,
  queueEnd,
  readU64BE,
  type StorePart,
  type TableName,
  tableNames,
} from "./schema.js";

export { asDamage } from "./database.js";

export interface Page<T> {
  readonly items: readonly T[];
  /** For the next call; undefined at the end. */
  readonly cursor: string | undefined;
}

export interface PageRequest {
  /** 100 unless told otherwise. */
  readonly limit?: number;
  readonly cursor?: string | undefined;
}

export interface QueueSummary {
  readonly device: DeviceAddress;
  /** Not acked and readable. */
  readonly entries: number;
  /** Bytes of frames in the rows that hold them; partly acked rows count whole. */
  readonly bytes: number;
  /** Entries removed undelivered, of which the device has yet to be told. */
  readonly gapEntries: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly floor: number;
  readonly oldestStoredAtMs: number;
}

export interface QueueRowSummary {
  readonly kind: "entries" | "gap";
  readonly reason: string | undefined;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly entries: number;
  readonly bytes: number;
  readonly storedAtMs: number;
  readonly isIntact: boolean;
}

export interface JournalSummary {
  readonly number: number;
  readonly bytes: number;
  /** What is wrong with it; the numbers below are then 0. */
  readonly problem: string | undefined;
  readonly timeMs: number;
  readonly runs: number;
  readonly entries: number;
  readonly acks: number;
}

export interface AccountSummary {
  readonly address: AccountAddress;
  readonly isIntact: boolean;
  readonly version: number;
  readonly devices: readonly { readonly number: number; readonly ordinal: number }[];
}

export interface DeviceView {
  readonly device: DeviceAddress;
  /** undefined when the device is not in its account's roster. */
  readonly ordinal: number | undefined;
  /** undefined when nothing is queued. */
  readonly queue: QueueSummary | undefined;
  readonly rows: Page<QueueRowSummary>;
  /** Of each kind of keys. */
  readonly keys: KeyStocks;
}

export interface Overview extends DirectoryState {
  /** Of each table; of the journal the blocks. */
  readonly rows: Readonly<Record<StorePart, number>>;
  readonly brands: readonly { readonly brand: number; readonly queuedBytes: number | undefined }[];
  readonly fileBytes: number;
}

const LIMIT_DEFAULT = 100;
/** Entries are only counted here. */
const noParts = { read: () => undefined };

function startOf({ cursor }: PageRequest): { start?: Uint8Array } {
  const start = cursor === undefined ? undefined : fromHex(cursor);
  return start ? { start } : {};
}

/** The first `limit` of `source` as a page; `keyOf` says where the next one begins. */
function pageOf<S, T>(
  source: Iterable<S>,
  request: PageRequest,
  { keyOf, toItem }: { keyOf: (from: S) => Uint8Array; toItem: (from: S) => T },
): Page<T> {
  const items: T[] = [];
  for (const from of source) {
    if (items.length === (request.limit ?? LIMIT_DEFAULT)) return { items, cursor: toHex(keyOf(from)) };
    items.push(toItem(from));
  }
  return { items, cursor: undefined };
}

export class Inspector {
  readonly #database: Database;
  readonly #state: DirectoryState;
  readonly #reader: QueueReader;

  constructor(database: Database, state: DirectoryState) {
    this.#database = database;
    this.#state = state;
    this.#reader = new QueueReader(database, noParts, () => {});
  }

  overview(): Overview {
    const database = this.#fresh();
    // A directory of an earlier version lacks tables.
    const counts = Object.fromEntries(
      tableNames.map((table) => [table, database.has(table) ? database.rowCount(table) : 0]),
    ) as Record<TableName, number>;
    return {
      ...this.#state,
      rows: { ...counts, journal: this.#journal().length },
      brands: [...database.rows("meta")].flatMap((row) => brandInRow(row) ?? []),
      fileBytes: database.fileStats().usedBytes,
    };
  }

  queues(request: PageRequest = {}): Page<QueueSummary> {
    return pageOf(this.#devices(request), request, {
      keyOf: (device) => device,
      toItem: (device) => this.#summary(device) as QueueSummary,
    });
  }

  journal(request: PageRequest = {}): Page<JournalSummary> {
    const { start } = startOf(request);
    const first = start === undefined ? 0 : readU64BE(start, 0);
    const blocks = this.#journal().filter(({ number }) => number >= first);
    return pageOf(blocks, request, { keyOf: ({ number }) => numberKey(number), toItem: (block) => block });
  }

  /** What is not yet spilled, in its order. */
  #journal(): JournalSummary[] {
    const found: JournalSummary[] = [];
    const damages = visitJournal(this.#fresh(), this.#state, (block) => found.push(summaryOfBlock(block)));
    for (const { number, detail } of damages) {
      found.push({ number, bytes: 0, problem: detail, timeMs: 0, runs: 0, entries: 0, acks: 0 });
    }
    return found.sort((a, b) => a.number - b.number);
  }

  accounts(request: PageRequest = {}): Page<AccountSummary> {
    const rows = this.#fresh().rows("accounts", startOf(request));
    return pageOf(rows, request, {
      keyOf: ({ key }) => key,
      toItem: ({ key, value }) => {
        const row = decodeAccount(key, value);
        return {
          address: addressInKey(key),
          isIntact: row !== undefined,
          ...(row ?? { version: 0, devices: [] }),
        };
      },
    });
  }

  /** One device; the page is of its queue's rows. */
  device(device: DeviceAddress, request: PageRequest = {}): DeviceView {
    const database = this.#fresh();
    const key = deviceKey(device);
    const account = accountKey(accountOf(device));
    const row = database.get("accounts", account);
    const number = ((device[18] as number) << 8) | (device[19] as number);
    const devices = (row && decodeAccount(account, row))?.devices ?? [];
    return {
      device,
      ordinal: devices.find((entry) => entry.number === number)?.ordinal,
      queue: this.#summary(key),
      rows: pageOf(this.#reader.walk(key, startOf(request).start ?? key), request, {
        keyOf: (queueRow) => queueRow.key,
        toItem: summaryOfRow,
      }),
      keys: stocksOf(new DeviceKeys({ database, batch: new Batch(), onDamage: () => {} }, device)),
    };
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  #fresh(): Database {
    this.#database.refresh();
    return this.#database;
  }

  /** The device keys that have rows. */
  *#devices(request: PageRequest): Iterable<Uint8Array> {
    const database = this.#fresh();
    let range = startOf(request);
    for (;;) {
      const [key] = database.keys("queues", { ...range, limit: 1 });
      if (key === undefined) return;
      const device = key.slice(0, DEVICE_KEY_BYTES);
      yield device;
      range = { start: queueEnd(device) };
    }
  }

  #summary(device: Uint8Array): QueueSummary | undefined {
    const tail = this.#reader.tail(device);
    if (tail === undefined) return undefined;
    const floor = this.#reader.floor(device);
    let gapEntries = 0;
    let first: QueueRow | undefined;
    let oldest = tail;
    for (const row of this.#reader.walk(device)) {
      if (first === undefined) oldest = row;
      first ??= row;
      if (row.gap === undefined) {
        oldest = row;
        break;
      }
      gapEntries += row.entryCount;
    }
    const hasEntries = oldest.gap === undefined;
    const ackedCount = hasEntries ? oldest.entryCount - entriesAbove(oldest, floor) : 0;
    return {
      device: addressInKey(device),
      entries: hasEntries ? tail.entriesAfter - entriesBefore(oldest) - ackedCount : 0,
      bytes: hasEntries ? tail.bytesAfter - oldest.bytesAfter + oldest.entries.length : 0,
      gapEntries,
      firstSequence: first?.firstSequence ?? tail.firstSequence,
      lastSequence: tail.lastSequence,
      floor,
      oldestStoredAtMs: oldest.storedAtMs,
    };
  }
}

function summaryOfRow(row: QueueRow): QueueRowSummary {
  return {
    kind: row.gap === undefined ? "entries" : "gap",
    reason: row.gap,
    firstSequence: row.firstSequence,
    lastSequence: row.lastSequence,
    entries: row.entryCount,
    bytes: row.entries.length,
    storedAtMs: row.storedAtMs,
    isIntact: isIntact(row),
  };
}

function summaryOfBlock({ site, records }: JournalBlock): JournalSummary {
  const runs = records.flatMap((record) => record.runs);
  return {
    number: site.number,
    bytes: site.bytes,
    problem: undefined,
    timeMs: site.timeMs,
    runs: runs.length,
    entries: runs.reduce((sum, run) => sum + run.entryCount, 0),
    acks: records.reduce((sum, record) => sum + record.acks.length, 0),
  };
}

/** Opens a data directory for looking into it. Throws like openReadOnly. */
export function inspectDirectory(directory: string): Inspector {
  const { database, state } = openReadOnly(directory);
  return new Inspector(database, state);
}

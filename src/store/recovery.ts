/**
 * Opening: what stands between a data directory as a crash left it and a store
 * that takes commits. In order:
 *
 *   1. the format's version is checked, before anything is written; a new
 *      directory gets its tables and the version,
 *   2. the epoch rises by one, durably: every sequence of this run is above
 *      all earlier ones,
 *   3. every journal record is verified; a bad one is reported and passed over,
 *      its neighbours count,
 *   4. the acks of all records become floors, then their runs are spilled like
 *      live ones, except that what is acked or already queued is passed over,
 *      and the records are removed.
 *
 * A crash in the middle is harmless: 4 finds its own work done. The time it
 * takes follows the journal, which is bounded by the kernel's tail, and not
 * what is queued.
 */
import { CodedError } from "../wire/coded-error.js";
import type { Batch, Database } from "./database.js";
import { type Journal, readRecord, type SpillRun } from "./journal.js";
import type { QueueContext } from "./queues.js";
import {
  decodeNumber,
  deviceKey,
  encodeNumber,
  FORMAT_VERSION,
  metaKeys,
  numberKey,
  readU64BE,
  tableNames,
} from "./schema.js";
import { SpillWork } from "./spill.js";
import type { Writer } from "./writer.js";

function refuse(detail: string): CodedError {
  return new CodedError("directoryUnknown", { fatal: true, detail });
}

/** Throws unless the directory is of this version. False when it is new and empty. */
export function checkFormat(database: Database): boolean {
  const row = database.has("meta") ? database.get("meta", metaKeys.format) : undefined;
  if (row === undefined) {
    if (tableNames.some((name) => database.has(name) && database.rowCount(name) > 0)) {
      throw refuse("it holds rows and no format version");
    }
    return false;
  }
  const version = decodeNumber(metaKeys.format, row);
  if (version === undefined) throw refuse("the row with its format version is damaged");
  if (version !== FORMAT_VERSION) {
    throw refuse(`it has format version ${version}; this node reads and writes version ${FORMAT_VERSION}`);
  }
  for (const name of tableNames) if (!database.has(name)) throw refuse(`its table ${name} is missing`);
  return true;
}

/** Makes the directory this version's if it is new, and raises the epoch. Resolves with both counters, durable. */
export async function openRun(
  database: Database,
  writer: Writer,
): Promise<{ readonly epoch: number; readonly nextOrdinal: number }> {
  const isKnown = checkFormat(database);
  database.createTables();
  const number = (key: Uint8Array, whenNew: number): number => {
    const row = database.get("meta", key);
    const value = row && decodeNumber(key, row);
    if (value === undefined && isKnown)
      throw refuse(`its ${Buffer.from(key).toString()} is missing or damaged`);
    return value ?? whenNew;
  };
  const epoch = number(metaKeys.epoch, 0) + 1;
  const nextOrdinal = number(metaKeys.ordinal, 1);
  if (epoch >= 2 ** 21) throw refuse(`its epoch ${epoch} leaves no room for sequences`);
  const stage = (batch: Batch): boolean => {
    batch.put("meta", metaKeys.format, encodeNumber(metaKeys.format, FORMAT_VERSION));
    batch.put("meta", metaKeys.epoch, encodeNumber(metaKeys.epoch, epoch));
    batch.put("meta", metaKeys.ordinal, encodeNumber(metaKeys.ordinal, nextOrdinal));
    return true;
  };
  await writer.submitPrompt({ stage });
  return { epoch, nextOrdinal };
}

interface RecoveryParts {
  readonly database: Database;
  readonly writer: Writer;
  readonly journal: Journal;
  readonly queues: QueueContext;
  readonly bytesMax: number;
  readonly onDamage: (recordNumber: number, detail: string) => void;
}

export interface RecoveryResult {
  readonly records: number;
  readonly badRecords: number;
  readonly entries: number;
}

/** Empties the journal into the queues. */
export async function recover(parts: RecoveryParts): Promise<RecoveryResult> {
  const { database, journal, queues } = parts;
  const numbers: number[] = [];
  let badRecords = 0;
  for (const { key, value } of database.rows("journal")) {
    const number = readU64BE(key, 0);
    const record = readRecord(number, value);
    numbers.push(number);
    journal.adopt(number);
    if (typeof record === "string") {
      badRecords++;
      parts.onDamage(number, record);
    } else {
      for (const { device, floor } of record.acks) queues.floors.add(deviceKey(device), floor);
    }
  }
  const entries = await spillRecords(parts, numbers);
  return { records: numbers.length, badRecords, entries };
}

/** In portions of `bytesMax`, so that memory does not follow the journal's size. */
async function spillRecords(parts: RecoveryParts, numbers: readonly number[]): Promise<number> {
  const { database, journal, queues, writer, bytesMax } = parts;
  const before = queues.stats.spilledEntries;
  queues.floors.hold();
  let runs: SpillRun[] = [];
  let bytes = 0;
  for (const [i, number] of numbers.entries()) {
    const value = database.get("journal", numberKey(number));
    const record = value && readRecord(number, value);
    if (typeof record === "object") for (const run of record.runs) runs.push(run);
    bytes += value?.length ?? 0;
    if (bytes < bytesMax && i < numbers.length - 1) continue;
    const release = (batch: Batch): void => journal.removeThrough(batch, number);
    await writer.submitSlow(new SpillWork(queues, runs, { release, isRecovery: true }));
    runs = [];
    bytes = 0;
  }
  queues.floors.release();
  return queues.stats.spilledEntries - before;
}

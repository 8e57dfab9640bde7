/**
 * A data directory for reading only, by check and inspect: beside a running
 * node, in its process or another, or with none. It takes no lock and changes
 * no row; pages that the file counts and lacks are made up (database.ts). LMDB notes the reader in `store.mdb-lock`; while one read lasts, the
 * node cannot reuse the pages it sees, so reads here are short and start from
 * the newest state each.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../wire/coded-error.js";
import { asDamage, Database } from "./database.js";
import { type JournalBlock, readJournal } from "./journal-reader.js";
import { currentOwner } from "./lock.js";
import { checkFormat } from "./recovery.js";
import { DATA_FILE, decodeNumber, JOURNAL_FILE, metaKeys } from "./schema.js";

export interface DirectoryState {
  readonly formatVersion: number;
  /** How often the directory was opened; undefined when its row is damaged. */
  readonly epoch: number | undefined;
  /** What the next new device gets. */
  readonly nextOrdinal: number | undefined;
  /** The node that has it open, if it can be seen from here. */
  readonly ownerPid: number | undefined;
}

/** Throws CodedError directoryUnknown when there is no data of this format, directoryDamaged when LMDB cannot read it. */
export function openReadOnly(directory: string): { database: Database; state: DirectoryState } {
  if (!existsSync(join(directory, DATA_FILE))) {
    throw new CodedError("directoryUnknown", {
      fatal: true,
      detail: `there is no ${DATA_FILE} in ${directory}`,
    });
  }
  const database = Database.open(directory, { readOnly: true });
  try {
    const formatVersion = checkFormat(database);
    if (formatVersion === undefined) {
      throw new CodedError("directoryUnknown", { fatal: true, detail: "its first start was never finished" });
    }
    const state = {
      formatVersion,
      epoch: metaNumber(database, metaKeys.epoch),
      nextOrdinal: metaNumber(database, metaKeys.ordinal),
      ownerPid: currentOwner(directory)?.pid,
    };
    return { database, state };
  } catch (error) {
    void database.close();
    throw asDamage(error);
  }
}

function metaNumber(database: Database, key: Uint8Array): number | undefined {
  const row = database.get("meta", key);
  return row && decodeNumber(key, row);
}

export interface JournalDamage {
  readonly number: number;
  readonly detail: string;
}

/**
 * Hands every block that is not yet spilled to `visit`, in the order in which they lie in the file, and returns what
 * is damaged. A live directory changes while it is read: there, only what a second look finds too is damage.
 */
export function visitJournal(
  database: Database,
  { ownerPid }: DirectoryState,
  visit: (block: JournalBlock) => void,
): JournalDamage[] {
  const damages = scanJournal(database, visit);
  if (ownerPid === undefined || damages.length === 0) return damages;
  database.refresh();
  const again = new Set(scanJournal(database, () => {}).map(({ number }) => number));
  return damages.filter(({ number }) => again.has(number));
}

function scanJournal(database: Database, visit: (block: JournalBlock) => void): JournalDamage[] {
  const path = join(database.directory, JOURNAL_FILE);
  const tag = metaNumber(database, metaKeys.tag);
  const spilledBlock = metaNumber(database, metaKeys.spilled);
  const closedBlock = metaNumber(database, metaKeys.closed);
  if (tag === undefined || spilledBlock === undefined || closedBlock === undefined)
    return [{ number: 0, detail: "its numbers are damaged" }];
  if (!existsSync(path)) return [{ number: spilledBlock + 1, detail: "its file is missing" }];
  const damages: JournalDamage[] = [];
  const descriptor = openSync(path, "r");
  try {
    const onDamage = (number: number, detail: string): unknown => damages.push({ number, detail });
    for (const block of readJournal(descriptor, { tag, spilledBlock, closedBlock }, onDamage)) visit(block);
  } finally {
    closeSync(descriptor);
  }
  return damages;
}

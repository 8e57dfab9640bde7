/**
 * A data directory for reading only, by check and inspect: beside a running
 * node, in its process or another, or with none. It takes no lock and changes
 * no row. LMDB notes the reader in `store.mdb-lock`; while one read lasts, the
 * node cannot reuse the pages it sees, so reads here are short and start from
 * the newest state each.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../wire/coded-error.js";
import { Database } from "./database.js";
import { currentOwner } from "./lock.js";
import { checkFormat } from "./recovery.js";
import { DATA_FILE, decodeNumber, FORMAT_VERSION, metaKeys } from "./schema.js";

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
    if (!checkFormat(database)) {
      throw new CodedError("directoryUnknown", { fatal: true, detail: "its first start was never finished" });
    }
    const number = (key: Uint8Array): number | undefined => {
      const row = database.get("meta", key);
      return row && decodeNumber(key, row);
    };
    const state = {
      formatVersion: FORMAT_VERSION,
      epoch: number(metaKeys.epoch),
      nextOrdinal: number(metaKeys.ordinal),
      ownerPid: currentOwner(directory)?.pid,
    };
    return { database, state };
  } catch (error) {
    void database.close();
    throw error;
  }
}

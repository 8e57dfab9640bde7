/**
 * Damages the data file of a node that is stopped: rows are rewritten through
 * LMDB with flipped, cut or foreign bytes, or bytes of the file itself are flipped
 * wherever a given content lies. Knows the tables' names and no more.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import type { SeededRandom } from "../demo/seeded-random.js";

const DATA_FILE = "store.mdb";

export interface DamagedRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

interface Rows {
  getRange(): Iterable<{ key: Buffer; value: Buffer }>;
  put(key: Buffer, value: Buffer): Promise<boolean>;
}

function openFile(directory: string): RootDatabase {
  return open(join(directory, DATA_FILE), {
    noSubdir: true,
    encoding: "binary",
    keyEncoding: "binary",
    overlappingSync: false,
    maxDbs: 12,
  } as Parameters<typeof open>[0] & object) as RootDatabase;
}

function tableOf(root: RootDatabase, name: string): Rows {
  return root.openDB({ name, encoding: "binary", keyEncoding: "binary" } as {
    name: string;
  }) as unknown as Rows;
}

/** Rewrites what `choose` picks of a table's rows with what `spoil` makes of them. Returns the rows as they were. */
export async function damageRows(
  directory: string,
  table: string,
  choose: (rows: readonly DamagedRow[]) => readonly DamagedRow[],
  spoil: (row: DamagedRow) => Buffer,
): Promise<readonly DamagedRow[]> {
  const root = openFile(directory);
  try {
    const rows = tableOf(root, table);
    const all = [...rows.getRange()].map(({ key, value }) => ({
      key: Buffer.from(key),
      value: Buffer.from(value),
    }));
    const chosen = choose(all);
    await Promise.all(chosen.map((row) => rows.put(row.key, spoil(row))));
    return chosen;
  } finally {
    await root.close();
  }
}

/** The value with one to three bits flipped at or after `from`. */
export function flipBits(value: Buffer, random: SeededRandom, from = 0, to = value.length): Buffer {
  const spoilt = Buffer.from(value);
  for (let n = random.between(1, 3); n > 0; n--) {
    const at = random.between(from, to - 1);
    spoilt[at] = (spoilt[at] as number) ^ (1 << random.between(0, 7));
  }
  // Two flips may undo each other.
  return spoilt.equals(value) ? flipBits(value, random, from, to) : spoilt;
}

/** Flips a bit `offset` bytes after every place of the file where `content` stands; tells how many there were. */
export function damageFile(directory: string, content: Buffer, offset: number): number {
  const path = join(directory, DATA_FILE);
  const file = readFileSync(path);
  let places = 0;
  for (let at = file.indexOf(content); at >= 0; at = file.indexOf(content, at + content.length)) {
    file[at + offset] = (file[at + offset] as number) ^ 0x10;
    places++;
  }
  writeFileSync(path, file);
  return places;
}

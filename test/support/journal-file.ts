/**
 * Finds the blocks in a journal's file as docs and tests know them (src/store/journal-block.ts draws them), without the
 * store: what begins at a multiple of 4,096 with the magic, by number.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ALIGNMENT = 4096;

export interface FileBlock {
  readonly number: number;
  readonly position: number;
  /** A view of the file's bytes, without padding. */
  readonly bytes: Buffer;
}

/** Lets `change` alter the file of a closed directory through the blocks' views. */
export function changeJournal(directory: string, change: (blocks: readonly FileBlock[]) => void): void {
  const path = join(directory, "journal.dat");
  const file = readFileSync(path);
  change(blocksIn(file));
  writeFileSync(path, file);
}

/** All blocks that lie in the file, also those that are long spilled; numbers rise. */
export function journalBlocks(directory: string): FileBlock[] {
  return blocksIn(readFileSync(join(directory, "journal.dat")));
}

function blocksIn(file: Buffer): FileBlock[] {
  const blocks: FileBlock[] = [];
  for (let position = 0; position + 64 <= file.length; position += ALIGNMENT) {
    if (file.toString("latin1", position + 4, position + 8) !== "ILJ2") continue;
    const bytes = file.subarray(position, position + file.readUInt32LE(position + 24));
    blocks.push({ number: Number(file.readBigUInt64LE(position + 16)), position, bytes });
  }
  return blocks.sort((a, b) => a.number - b.number);
}

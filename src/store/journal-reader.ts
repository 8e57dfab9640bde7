/**
 * Reads the journal of a directory that nobody writes, or whose last block may
 * be in the middle of being written: the blocks that are not yet spilled, each
 * verified. A block that is bad, or missing between others, is told to
 * `onDamage`. Of a directory that was not closed, the last one may be bad because
 * its write never ended: nothing in it was receipted, and that is no damage.
 */
import { type BlockSite, findBlocks } from "./journal-block.js";
import { type JournalRecord, readRecords } from "./journal-record.js";

export type { BlockSite } from "./journal-block.js";

/** What `meta` says of the journal. */
export interface JournalMarks {
  readonly tag: number;
  /** Blocks up to this one are spilled. */
  readonly spilledBlock: number;
  /** Blocks up to this one were flushed when the directory was last closed. */
  readonly closedBlock: number;
}

export interface JournalBlock {
  readonly site: BlockSite;
  readonly records: readonly JournalRecord[];
  readonly dedupKeys: Uint8Array;
}

/** Good blocks in the order in which they lie in the file; theirs is that of their numbers. */
export function* readJournal(
  descriptor: number,
  { tag, spilledBlock, closedBlock }: JournalMarks,
  onDamage: (blockNumber: number, detail: string) => void,
): Generator<JournalBlock, void, void> {
  const seen = [spilledBlock];
  const bad: { readonly number: number; readonly detail: string }[] = [];
  for (const { site, content } of findBlocks(descriptor, { tag, after: spilledBlock })) {
    seen.push(site.number);
    const records = content === undefined ? "wrong CRC" : readRecords(content.records);
    if (content === undefined || typeof records === "string")
      bad.push({ number: site.number, detail: records as string });
    else yield { site, records, dedupKeys: content.dedupKeys };
  }
  seen.sort((a, b) => a - b);
  for (const { number, detail } of bad) {
    if (number <= closedBlock || number !== seen.at(-1)) onDamage(number, detail);
  }
  for (const [i, number] of seen.entries()) {
    const expected = (seen[i - 1] ?? number - 1) + 1;
    if (number > expected) onDamage(expected, `${number - expected} missing from here on`);
  }
  const newest = seen.at(-1) ?? spilledBlock;
  if (closedBlock > newest) onDamage(newest + 1, `${closedBlock - newest} missing from here on`);
}

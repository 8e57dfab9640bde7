/**
 * The journal: every commit is one block, appended to a file of its own
 * (journal-file.ts), and stays there until what is in it was spilled: its
 * entries to the queues, its acks to the floors, its dedup keys to the window.
 * The spill's transaction says so (`meta`, "spilled"), and only when that is on
 * disk may the block's place be written over.
 */
import { assert } from "../base/assert.js";
import type { Batch } from "./database.js";
import type { DedupWindow } from "./dedup-window.js";
import type { BlockWrite, JournalFile } from "./journal-file.js";
import { assertRecord } from "./journal-record.js";
import { encodeNumber, metaKeys } from "./schema.js";
import type { JournalCommit } from "./shapes.js";

interface LiveBlock {
  readonly number: number;
  readonly lastRecord: number;
  readonly timeMs: number;
  readonly dedupKeys: Uint8Array;
}

export class Journal {
  readonly #file: JournalFile;
  #blocks: LiveBlock[] = [];
  #nextNumber: number;

  /** Blocks are numbered from `firstNumber` on. */
  constructor(file: JournalFile, firstNumber: number) {
    this.#file = file;
    this.#nextNumber = firstNumber;
  }

  get blockCount(): number {
    return this.#file.blockCount;
  }

  get fileBytes(): number {
    return this.#file.fileBytes;
  }

  /** Begins to write a commit; one at a time. */
  append({ records, dedupKeys, timeMs }: JournalCommit): BlockWrite {
    for (const { number, bytes } of records) assertRecord(bytes, number);
    const lastRecord = records.at(-1)?.number ?? 0;
    assert(lastRecord > (this.#blocks.at(-1)?.lastRecord ?? 0), "record numbers rise");
    const number = this.#nextNumber++;
    this.#blocks.push({ number, lastRecord, timeMs, dedupKeys });
    return this.#file.write(
      { number, timeMs, lastRecord },
      { records: records.map(({ bytes }) => bytes), dedupKeys },
    );
  }

  /**
   * Stages that the blocks whose records are numbered up to `record` are
   * spilled. Returns what to call when that is on disk.
   */
  release(batch: Batch, record: number, dedup: DedupWindow): () => void {
    const kept = this.#blocks.findIndex(({ lastRecord }) => lastRecord > record);
    const count = kept < 0 ? this.#blocks.length : kept;
    const spilled = this.#blocks.slice(0, count);
    const last = spilled.at(-1);
    if (last === undefined) return () => {};
    dedup.add(batch, spilled);
    batch.put("meta", metaKeys.spilled, encodeNumber(metaKeys.spilled, last.number));
    return () => {
      this.#blocks.splice(0, count);
      this.#file.free(last.number);
    };
  }

  /**
   * Nothing more is written. Stages which blocks were, so that a damaged one
   * cannot pass for one whose write never ended.
   */
  stageEnd(batch: Batch): void {
    batch.put("meta", metaKeys.closed, encodeNumber(metaKeys.closed, this.#nextNumber - 1));
  }

  /** See JournalFile. */
  get isStuck(): boolean {
    return this.#file.isStuck;
  }

  /** Ends the thread that writes, when it has written what it was given. */
  close(): Promise<void> {
    return this.#file.close();
  }
}

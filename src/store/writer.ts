/**
 * One transaction after the other: whatever has gathered while one is flushed
 * goes into the next. Nothing else writes to the database, and a transaction
 * is put together only when none is under way; what is read meanwhile is thus
 * the state that the transaction will find. Commits do not come this way: they
 * are blocks of the journal (journal.ts).
 *
 * Two kinds of work. *Prompt* work (registrations) goes whole into the next
 * transaction; what takes long to put together (the change of a full group) lets
 * go of the event loop in between, while everything else waits for the next
 * transaction. *Slow* work (spills, trims, sweeps) is taken in order, one slice
 * per transaction, so that a sign-in waits for one slice at most and the event
 * loop is held for limits.storeSliceMs at most.
 *
 * Fail-stop: the first write that fails, throws or does not come back in time
 * ends it. `failed` resolves, everything pending and everything after rejects,
 * and no promise resolves any more, whatever LMDB still reports. Nothing is
 * retried: after a failed flush the page cache may say that pages are written
 * which are not.
 */
import { CodedError } from "../wire/coded-error.js";
import { Batch, type Database } from "./database.js";
import { Watchdog } from "./watchdog.js";

export interface Work {
  /**
   * Adds rows for one transaction. True when all of this work is in; false asks for another slice. Prompt work may take
   * its time; nothing else is written meanwhile.
   */
  stage(batch: Batch): boolean | Promise<boolean>;
}

/** What the writer needs of a database. */
export type WritableDatabase = Pick<Database, "refresh" | "write">;

interface Pending {
  readonly work: Work;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface WriterStats {
  flushes: number;
  bytesWritten: number;
  rowsWritten: number;
}

export class Writer {
  readonly failed: Promise<Error>;
  readonly stats: WriterStats = { flushes: 0, bytesWritten: 0, rowsWritten: 0 };
  readonly #database: WritableDatabase;
  #prompt: Pending[] = [];
  #slow: Pending[] = [];
  #staged: Pending[] = [];
  #running: Promise<void> | undefined;
  #error: Error | undefined;
  #settleFailed: (error: Error) => void = () => {};
  readonly #watchdog: Watchdog;

  constructor(database: WritableDatabase, options: { timeoutMs: number }) {
    this.#database = database;
    this.failed = new Promise((resolve) => {
      this.#settleFailed = resolve;
    });
    this.#watchdog = new Watchdog(options.timeoutMs, (error) => this.fail(error));
  }

  /** The failure that stopped the writer. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** True when a write never came back: LMDB may hold its locks for ever. */
  get isStuck(): boolean {
    return this.#watchdog.isOverdue;
  }

  submitPrompt(work: Work): Promise<void> {
    return this.#submit(this.#prompt, work);
  }

  submitSlow(work: Work): Promise<void> {
    return this.#submit(this.#slow, work);
  }

  #submit(queue: Pending[], work: Work): Promise<void> {
    const settled = new Promise<void>((resolve, reject) => {
      if (this.#error) reject(this.#error);
      else queue.push({ work, resolve, reject });
    });
    settled.catch(() => {});
    if (!this.#error) this.#running ??= this.#run();
    return settled;
  }

  /** Resolves when nothing is under way, whether it was written or rejected, or when what is under way is stuck. */
  async idle(): Promise<void> {
    while (this.#running && !this.isStuck) await Promise.race([this.#running, this.#watchdog.overdue]);
  }

  stop(): void {
    this.#watchdog.stop();
  }

  async #run(): Promise<void> {
    while (!this.#error && this.#prompt.length + this.#slow.length > 0) {
      try {
        await this.#transaction();
      } catch (error) {
        this.fail(error);
      }
    }
    this.#running = undefined;
  }

  async #transaction(): Promise<void> {
    const batch = new Batch();
    this.#database.refresh();
    const staged = this.#prompt.splice(0);
    this.#staged = staged;
    for (const { work } of staged) {
      const isStaged = work.stage(batch);
      if (isStaged instanceof Promise) await isStaged;
    }
    if (this.#error) return;
    const slow = this.#slow[0];
    if (slow?.work.stage(batch) === true) staged.push(this.#slow.shift() as Pending);
    if (batch.changes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    else await this.#write(batch);
    if (this.#error) return;
    this.#staged = [];
    this.#database.refresh();
    for (const then of batch.written) then();
    for (const { resolve } of staged) resolve();
  }

  async #write(batch: Batch): Promise<void> {
    this.#watchdog.begin();
    await this.#database.write(batch);
    this.#watchdog.end();
    this.stats.flushes++;
    this.stats.bytesWritten += batch.bytes;
    this.stats.rowsWritten += batch.changes.length;
  }

  /** Ends all writing. Only the first call counts. */
  fail(cause: unknown): void {
    if (this.#error) return;
    const detail = cause instanceof Error ? cause.message : String(cause);
    const error = new CodedError("storageFailed", { cause, fatal: true, detail });
    this.#error = error;
    for (const { reject } of [...this.#staged, ...this.#prompt, ...this.#slow]) reject(error);
    this.#staged = [];
    this.#prompt = [];
    this.#slow = [];
    this.#settleFailed(error);
  }
}

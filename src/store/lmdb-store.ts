/**
 * The store's parts put together (store.ts says what it promises): who is asked
 * for what, what is refused once the store has failed or closed, and which
 * damage was already reported.
 */
import { statfsSync } from "node:fs";
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import { type AccountRecord, Accounts } from "./accounts.js";
import { BrandBytes } from "./brand-bytes.js";
import type { Batch, Database } from "./database.js";
import { DedupWindow } from "./dedup-window.js";
import { Floors } from "./floors.js";
import { Journal, type SpillRun, sealRecord } from "./journal.js";
import type { DirectoryLock } from "./lock.js";
import { nameOf, type QueueItem, QueueReader } from "./queue-reader.js";
import type { QueueContext } from "./queues.js";
import { openRun, type RecoveryResult, recover } from "./recovery.js";
import { DEDUP_KEY_BYTES, deviceKey } from "./schema.js";
import { Slice, trimSlice } from "./slices.js";
import { SpillWork } from "./spill.js";
import type { CorruptionReport, JournalCommit, Store, StoreOptions, StoreStats } from "./store.js";
import { type SweepPlace, type SweepResult, SweepWork } from "./sweep.js";
import { type Work, Writer } from "./writer.js";

const REPORTS_REMEMBERED = 10_000;

export class LmdbStore implements Store {
  readonly failed: Promise<Error>;
  readonly #options: StoreOptions;
  readonly #lock: DirectoryLock;
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #journal = new Journal();
  readonly #dedup: DedupWindow;
  readonly #queues: QueueContext;
  readonly #sweepPlace: SweepPlace = { next: undefined };
  readonly #reported = new Set<string>();
  #accounts: Accounts | undefined;
  #epoch = 0;
  #recovery: RecoveryResult = { records: 0, badRecords: 0, entries: 0 };
  #commits = 0;
  #isCommitting = false;
  #closing: Promise<void> | undefined;

  constructor(options: StoreOptions, lock: DirectoryLock, database: Database) {
    this.#options = options;
    this.#lock = lock;
    this.#database = database;
    this.#writer = new Writer(database, { timeoutMs: options.commitTimeoutMs ?? limits.commitTimeoutMs });
    this.failed = this.#writer.failed;
    const bounds = { ...limits, ...options.quotas };
    this.#dedup = new DedupWindow(bounds);
    const reader = new QueueReader(database, ({ device, firstSequence, detail }) => {
      this.#report({ table: "queues", detail, address: device, number: firstSequence });
    });
    this.#queues = {
      database,
      reader,
      floors: new Floors(reader),
      brands: new BrandBytes(),
      bounds,
      nowMs: options.nowMs,
      stats: { spilledEntries: 0, chunksWritten: 0, trimmedRows: 0, quotaEntries: 0, expiredEntries: 0 },
    };
  }

  async open(): Promise<void> {
    const { epoch, nextOrdinal } = await openRun(this.#database, this.#writer);
    this.#epoch = epoch;
    this.#database.refresh();
    this.#accounts = new Accounts(this.#database, this.#writer, {
      nextOrdinal,
      onDamage: (address) =>
        this.#report({ table: "accounts", detail: "an account's row is damaged", address }),
    });
    this.#dedup.load(this.#database, (number) => {
      this.#report({ table: "dedup", detail: "a row of dedup keys is damaged", number });
    });
    this.#queues.brands.load(this.#database, (brand) => {
      this.#report({ table: "meta", detail: "a brand's byte counter is damaged", number: brand });
    });
    this.#recovery = await recover({
      database: this.#database,
      writer: this.#writer,
      journal: this.#journal,
      queues: this.#queues,
      bytesMax: limits.recoveryBytesMax,
      onDamage: (number, detail) => this.#report({ table: "journal", detail, number }),
    });
  }

  get epoch(): number {
    return this.#epoch;
  }

  recoveredDedupKeys(): Iterable<{ readonly timeMs: number; readonly keys: Uint8Array }> {
    return this.#read(() => this.#dedup.keys(this.#database, this.#options.nowMs()));
  }

  commit({ records, dedupKeys, timeMs }: JournalCommit): Promise<void> {
    assert(!this.#isCommitting || this.#writer.error !== undefined, "one commit at a time");
    assert(records.length >= 1, "a commit has a record");
    assert(dedupKeys.length % DEDUP_KEY_BYTES === 0, "dedup keys have 20 bytes each");
    this.#isCommitting = true;
    const startedMs = performance.now();
    for (const { number, bytes } of records) sealRecord(bytes, number);
    const stage = (batch: Batch): boolean => {
      for (const { number, bytes } of records) this.#journal.append(batch, number, bytes);
      this.#dedup.add(batch, dedupKeys, timeMs);
      this.#dedup.drop(batch, timeMs, limits.dedupRowsPerCommit);
      return true;
    };
    const settled = this.#submit("prompt", { stage });
    const durable = settled.then(() => {
      this.#isCommitting = false;
      this.#commits++;
      this.#options.onCommitted?.(performance.now() - startedMs);
    });
    durable.catch(() => {});
    return durable;
  }

  spill(runs: readonly SpillRun[], throughRecord: number): Promise<void> {
    const release = (batch: Batch): void => this.#journal.removeThrough(batch, throughRecord);
    return this.#submit("slow", new SpillWork(this.#queues, runs, { release, isRecovery: false }));
  }

  hasQueued(device: DeviceAddress): boolean {
    const key = deviceKey(device);
    return this.#read(() => this.#queues.reader.hasAbove(key, this.#queues.floors.overlay(nameOf(key))));
  }

  readQueue(device: DeviceAddress, after: number, bytesMax: number): QueueItem[] {
    const { reader, floors } = this.#queues;
    return this.#read(() => reader.items(device, Math.max(after, floors.known(deviceKey(device))), bytesMax));
  }

  floor(device: DeviceAddress): number {
    return this.#read(() => this.#queues.floors.known(deviceKey(device)));
  }

  trim(device: DeviceAddress, floor: number): void {
    if (floor > 0) this.#queues.floors.add(deviceKey(device), floor);
  }

  readAccount(address: AccountAddress): AccountRecord | undefined {
    return this.#read(() => this.#knownAccounts.read(address));
  }

  async registerDevice(address: AccountAddress, number: number): Promise<AccountRecord> {
    this.#refuseWhenEnded();
    return this.#knownAccounts.register(address, number);
  }

  async sweep(nowMs: number, rowBudget: number): Promise<SweepResult> {
    const work = new SweepWork(this.#queues, {
      dedup: this.#dedup,
      place: this.#sweepPlace,
      nowMs,
      rowBudget,
    });
    await this.#submit("slow", work);
    return work.result;
  }

  brandQueueBytes(brand: number): number {
    return this.#queues.brands.of(brand);
  }

  stats(): StoreStats {
    const file = this.#closing ? { mapBytes: 0, usedBytes: 0 } : this.#database.fileStats();
    const disk = statfsSync(this.#options.directory);
    return {
      ...this.#queues.stats,
      ...this.#writer.stats,
      commits: this.#commits,
      journalRows: this.#journal.rowCount,
      dedupRows: this.#dedup.rowCount,
      dedupKeys: this.#dedup.keyCount,
      queuedBytes: this.#queues.brands.total,
      pendingTrims: this.#queues.floors.pendingCount,
      corruptions: this.#reported.size,
      mapBytes: file.mapBytes,
      fileBytes: file.usedBytes,
      diskFreeBytes: disk.bavail * disk.bsize,
      recovery: this.#recovery,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#writer.error) {
      const stage = (batch: Batch): boolean => {
        const isDone = trimSlice(this.#queues, batch, new Slice());
        this.#queues.brands.stage(batch);
        return isDone;
      };
      await this.#writer.submitSlow({ stage }).catch(() => {});
    }
    if (this.#writer.isStuck) return;
    await this.#writer.idle();
    this.#writer.stop();
    await this.#database.close();
    this.#lock.release();
  }

  get #knownAccounts(): Accounts {
    assert(this.#accounts !== undefined, "the store is open");
    return this.#accounts;
  }

  #refuseWhenEnded(): void {
    if (this.#writer.error) throw this.#writer.error;
    if (this.#closing) throw new CodedError("storageFailed", { detail: "the store is closed" });
  }

  #submit(kind: "prompt" | "slow", work: Work): Promise<void> {
    try {
      this.#refuseWhenEnded();
    } catch (error) {
      const refused = Promise.reject(error as Error);
      refused.catch(() => {});
      return refused;
    }
    return kind === "prompt" ? this.#writer.submitPrompt(work) : this.#writer.submitSlow(work);
  }

  /** Reads are only refused by a database that is broken: that ends the store like a failed write. */
  #read<T>(read: () => T): T {
    this.#refuseWhenEnded();
    try {
      return read();
    } catch (error) {
      this.#writer.fail(error);
      throw this.#writer.error ?? error;
    }
  }

  /** Once per place and run. */
  #report(report: CorruptionReport): void {
    const address = report.address ? Buffer.from(report.address).toString("hex") : "";
    const place = `${report.table} ${address} ${report.number ?? ""}`;
    if (this.#reported.has(place) || this.#reported.size >= REPORTS_REMEMBERED) return;
    this.#reported.add(place);
    this.#options.onCorruption?.(report);
  }
}

/**
 * The store's parts put together (store.ts says what it promises): who is asked
 * for what, what is refused once the store has failed or closed, and which
 * damage was already reported.
 */
import { closeSync, existsSync, openSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import type { Group } from "../rules/groups.js";
import type { KeyUpload } from "../rules/keys.js";
import { limits } from "../rules/limits.js";
import type { DeliveryTokens, TokenChange } from "../rules/sealed.js";
import { CodedError } from "../wire/coded-error.js";
import { type AccountRecord, Accounts, type Arrival, type RosterChange } from "./accounts.js";
import { BrandBytes } from "./brand-bytes.js";
import { Changes } from "./changes.js";
import type { Contacts } from "./contacts.js";
import { CorruptionReports } from "./corruption-reports.js";
import type { Batch, Database } from "./database.js";
import { DedupWindow } from "./dedup-window.js";
import { Floors } from "./floors.js";
import { type ChangedGroup, Groups } from "./groups.js";
import { Journal } from "./journal.js";
import { JournalFile } from "./journal-file.js";
import type { SpillRun } from "./journal-record.js";
import type { ClaimedKeys, KeyClaim, KeyDigests, KeyStocks } from "./key-transaction.js";
import { Keys } from "./keys.js";
import type { DirectoryLock } from "./lock.js";
import { Memberships } from "./memberships.js";
import { type BrandName, Names } from "./names.js";
import { Outbox, type StoredNotice } from "./outbox.js";
import { type PartSource, SharedParts } from "./parts.js";
import { PushTargets } from "./push-targets.js";
import { nameOf, type QueueItem, QueueReader } from "./queue-reader.js";
import { type QueueContext, stageTotals } from "./queues.js";
import { type OpenedRun, openRun, type RecoveryResult, recover } from "./recovery.js";
import { blocksBefore, DEDUP_KEY_BYTES, deviceKey, JOURNAL_FILE, type TableName } from "./schema.js";
import { Slice, trimSlice } from "./slices.js";
import { SpillWork } from "./spill.js";
import type { Commit, JournalCommit, Store, StoreOptions, StoreStats } from "./store.js";
import { type SweepPlace, type SweepResult, SweepWork } from "./sweep.js";
import { Tombstones } from "./tombstones.js";
import { type Work, Writer } from "./writer.js";

export class LmdbStore implements Store {
  readonly failed: Promise<Error>;
  readonly pushTargets: PushTargets;
  readonly memberships: Memberships;
  readonly #options: StoreOptions;
  readonly #lock: DirectoryLock;
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #dedup: DedupWindow;
  readonly #queues: QueueContext;
  readonly #sweepPlace: SweepPlace = { next: undefined, endedAtMs: Number.NEGATIVE_INFINITY };
  readonly #reports: CorruptionReports;
  #journal: Journal | undefined;
  readonly #changes: Changes;
  readonly #tombstones: Tombstones;
  readonly #names: Names;
  #accounts: Accounts | undefined;
  #outbox: Outbox | undefined;
  #groups: Groups | undefined;
  #keys: Keys | undefined;
  #epoch = 0;
  #firstPart = 1;
  #recovery: RecoveryResult = { blocks: 0, badBlocks: 0, entries: 0 };
  #commits = 0;
  #closing: Promise<void> | undefined;

  constructor(options: StoreOptions, lock: DirectoryLock, database: Database) {
    this.#options = options;
    this.#reports = new CorruptionReports(options.onCorruption);
    this.#lock = lock;
    this.#database = database;
    this.#writer = new Writer(database, { timeoutMs: options.commitTimeoutMs ?? limits.commitTimeoutMs });
    this.failed = this.#writer.failed;
    const bounds = { ...limits, ...options.quotas };
    this.#dedup = new DedupWindow(bounds);
    const parts = new SharedParts(database, {
      // An entry is stored some time after its part, stays in a chunk that grows, and then as long as that is kept.
      livesMs: bounds.retentionMs + 2 * bounds.sharedGrowMs,
      nowMs: options.nowMs,
      onDamage: (number, detail) => this.#reports.add({ table: "shared", detail, number }),
    });
    const reader = new QueueReader(database, parts, ({ device, firstSequence, detail }) => {
      this.#reports.add({ table: "queues", detail, address: device, number: firstSequence });
    });
    this.#queues = {
      database,
      reader,
      floors: new Floors(reader),
      brands: new BrandBytes(),
      parts,
      bounds,
      nowMs: options.nowMs,
      stats: { spilledEntries: 0, chunksWritten: 0, trimmedRows: 0, quotaEntries: 0, expiredEntries: 0 },
    };
    this.#changes = new Changes(this.#writer);
    this.#tombstones = new Tombstones(database, this.#queues.floors, (address) =>
      this.#damaged("tombstones", "the mark of a removal is damaged", address),
    );
    this.#names = new Names(database, this.#changes, (brand) =>
      this.#reports.add({ table: "names", detail: "a name's row is damaged", number: brand }),
    );
    this.pushTargets = new PushTargets(database, this.#changes, {
      onDamage: (address) => this.#damaged("push", "a push target's row is damaged", address),
      guard: (read) => this.#read(read),
    });
    this.memberships = new Memberships(database, {
      onDamage: (table, address) =>
        this.#damaged(table, "the list of an account's groups is damaged", address),
      guard: (read) => this.#read(read),
    });
  }

  async open(): Promise<void> {
    const run = await openRun(this.#database, this.#writer);
    this.#epoch = run.epoch;
    this.#database.refresh();
    this.#outbox = new Outbox(this.#database, this.#writer, {
      bounds: { ...limits, ...this.#options.quotas },
      onDamage: (number) => this.#reports.add({ table: "outbox", detail: "a notice is damaged", number }),
      onStored: () => this.#options.onNotices?.(),
    });
    this.#accounts = new Accounts({
      database: this.#database,
      changes: this.#changes,
      outbox: this.#outbox,
      tombstones: this.#tombstones,
      names: this.#names,
      memberships: this.memberships,
      nextOrdinal: run.nextOrdinal,
      onDamage: (address, table) => this.#damaged(table, "a row of the account is damaged", address),
      onChanged: (record, removed) => this.#options.onRosterChanged?.(record, removed),
      onContactsChanged: (change) => this.#options.onContactsChanged?.(change),
    });
    this.#keys = new Keys(this.#database, this.#writer, this.#outbox, {
      bounds: { ...limits, ...this.#options.quotas },
      nowMs: this.#options.nowMs,
      onDamage: (address, detail) => this.#reports.add({ table: "keys", detail, address }),
    });
    this.#groups = new Groups({
      database: this.#database,
      changes: this.#changes,
      outbox: this.#outbox,
      memberships: this.memberships,
      isRemoved: (address) => this.#knownAccounts.read(address)?.isRemoved === true,
      onDamage: (address) => this.#damaged("groups", "a group's row is damaged", address),
    });
    this.#dedup.load(this.#database, (number) => {
      this.#reports.add({ table: "dedup", detail: "a row of dedup keys is damaged", number });
    });
    this.#queues.brands.load(this.#database, (brand) => {
      this.#reports.add({ table: "meta", detail: "a brand's byte counter is damaged", number: brand });
    });
    await this.#openJournal(run);
    this.#database.refresh();
    this.#firstPart = this.#queues.parts.nextNumber;
  }

  async #openJournal(run: OpenedRun): Promise<void> {
    const path = join(this.#options.directory, JOURNAL_FILE);
    const onDamage = (number: number, detail: string): void =>
      this.#reports.add({ table: "journal", detail, number });
    if (run.isKnown && !existsSync(path)) onDamage(run.spilledBlock + 1, "its file is missing");
    const descriptor = existsSync(path) ? openSync(path, "r") : undefined;
    try {
      this.#recovery = await recover({
        descriptor,
        run,
        writer: this.#writer,
        dedup: this.#dedup,
        queues: this.#queues,
        tombstones: this.#tombstones,
        isRegistered: (account, number) =>
          this.#knownAccounts.read(account)?.devices.some((device) => device.number === number) === true,
        bytesMax: limits.recoveryBytesMax,
        onDamage,
      });
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
    const file = await JournalFile.open(path, {
      tag: run.tag,
      timeoutMs: this.#options.commitTimeoutMs ?? limits.commitTimeoutMs,
      onFailure: (error) => this.#writer.fail(error),
    }).catch((error) => {
      throw this.#writer.error ?? error;
    });
    this.#journal = new Journal(file, blocksBefore(run.epoch) + 1);
  }

  get epoch(): number {
    return this.#epoch;
  }

  get firstPart(): number {
    return this.#firstPart;
  }

  recoveredDedupKeys(): Iterable<{ readonly timeMs: number; readonly keys: Uint8Array }> {
    return this.#read(() => this.#dedup.keys(this.#database, this.#options.nowMs()));
  }

  commit(commit: JournalCommit): Commit {
    assert(commit.records.length >= 1, "a commit has a record");
    assert(commit.dedupKeys.length % DEDUP_KEY_BYTES === 0, "dedup keys have 20 bytes each");
    const startedMs = performance.now();
    try {
      this.#refuseWhenEnded();
    } catch (error) {
      const durable = Promise.reject(error as Error);
      durable.catch(() => {});
      return { durable, isDurable: () => false };
    }
    const write = opened(this.#journal).append(commit);
    const durable = write.durable.then(
      () => {
        if (this.#writer.error) throw this.#writer.error;
        this.#commits++;
        this.#options.onCommitted?.(performance.now() - startedMs);
      },
      (error) => {
        throw this.#writer.error ?? error;
      },
    );
    durable.catch(() => {});
    return {
      durable,
      isDurable: (waitMs) => this.#writer.error === undefined && write.isDurable(waitMs),
    };
  }

  async spill(
    runs: readonly SpillRun[],
    throughRecord: number,
    partOf: PartSource = () => undefined,
  ): Promise<void> {
    let whenDurable = (): void => {};
    const release = (batch: Batch): void => {
      whenDurable = opened(this.#journal).release(batch, throughRecord, this.#dedup);
      this.#dedup.drop(batch, this.#options.nowMs(), limits.dedupRowsPerSpill);
    };
    await this.#submitSlow(new SpillWork(this.#queues, runs, { release, partOf, isRecovery: false }));
    whenDurable();
  }

  hasQueued(device: DeviceAddress): boolean {
    const key = deviceKey(device);
    return this.#read(() => this.#queues.reader.hasAbove(key, this.#queues.floors.overlay(nameOf(key))));
  }

  lastQueuedMs(device: DeviceAddress): number | undefined {
    const key = deviceKey(device);
    const { reader, floors } = this.#queues;
    const last = this.#read(() => reader.tail(key));
    return last && last.lastSequence > floors.overlay(nameOf(key)) ? last.storedAtMs : undefined;
  }

  readQueue(
    device: DeviceAddress,
    after: number,
    room: { readonly bytesMax: number; readonly entriesMax: number },
  ): QueueItem[] {
    const { reader, floors } = this.#queues;
    return this.#read(() => reader.items(device, Math.max(after, floors.known(deviceKey(device))), room));
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

  async registerDevice(address: AccountAddress, number: number, arrival?: Arrival): Promise<AccountRecord> {
    const { record } = await this.#openedAccounts.register(address, number, arrival);
    return record;
  }

  async addDevice(address: AccountAddress, number: number): Promise<RosterChange> {
    return this.#openedAccounts.add(address, number);
  }

  async removeDevice(address: AccountAddress, number: number, nowMs: number): Promise<RosterChange> {
    return this.#openedAccounts.remove(address, number, nowMs);
  }

  async createAccount(address: AccountAddress): Promise<RosterChange> {
    return this.#openedAccounts.create(address);
  }

  async removeAccount(address: AccountAddress, nowMs: number): Promise<RosterChange> {
    return this.#openedAccounts.removeAll(address, nowMs);
  }

  erase(device: DeviceAddress, through: number): void {
    this.#tombstones.erase(device, through);
  }

  readName(name: BrandName): AccountAddress | undefined {
    return this.#read(() => this.#names.read(name));
  }

  async giveName(address: AccountAddress, name: BrandName): Promise<boolean> {
    const accounts = this.#openedAccounts;
    return this.#names.give(address, name, () => accounts.isThere(address));
  }

  async takeName(name: BrandName): Promise<void> {
    this.#refuseWhenEnded();
    await this.#names.take(name);
  }

  get contacts(): Contacts {
    return this.#openedAccounts.contacts;
  }

  readGroup(address: AccountAddress): Group | undefined {
    return this.#read(() => opened(this.#groups).read(address));
  }

  async changeGroup(changed: ChangedGroup): Promise<readonly AccountAddress[]> {
    return this.#read(() => opened(this.#groups).change(changed));
  }

  owedEvent(group: AccountAddress): number | undefined {
    return opened(this.#outbox).owedEvent(group);
  }

  settledGroup(group: AccountAddress): Promise<void> | undefined {
    return opened(this.#outbox).settled(group);
  }

  deliveryTokens(address: AccountAddress): DeliveryTokens {
    return this.#read(() => this.#knownAccounts.deliveryTokens.read(address));
  }

  changeDeliveryTokens(address: AccountAddress, change: TokenChange): Promise<DeliveryTokens | undefined> {
    return this.#openedAccounts.changeDeliveryTokens(address, change, this.#options.nowMs());
  }

  noticeBrands(): readonly number[] {
    return opened(this.#outbox).brands;
  }

  notices(after: number, max: number, brand?: number): StoredNotice[] {
    return this.#read(() => opened(this.#outbox).read(after, max, brand));
  }

  dropNotices(numbers: readonly number[]): void {
    opened(this.#outbox).drop(numbers);
  }

  async uploadKeys(device: DeviceAddress, upload: KeyUpload): Promise<KeyStocks> {
    this.#refuseWhenEnded();
    return opened(this.#keys).upload(device, upload);
  }

  async claimKeys(claim: KeyClaim): Promise<ClaimedKeys> {
    this.#refuseWhenEnded();
    return opened(this.#keys).claim(claim);
  }

  keyStocks(device: DeviceAddress): KeyStocks {
    return this.#read(() => opened(this.#keys).stocks(device));
  }

  async keyDigests(device: DeviceAddress): Promise<KeyDigests> {
    this.#refuseWhenEnded();
    return opened(this.#keys).digests(device);
  }

  async sweep(nowMs: number, rowBudget: number, expiryMs = nowMs): Promise<SweepResult> {
    const parts = { dedup: this.#dedup, place: this.#sweepPlace };
    const work = new SweepWork(this.#queues, { ...parts, nowMs, expiryMs, rowBudget });
    await this.#submitSlow(work);
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
      journalBlocks: this.#journal?.blockCount ?? 0,
      journalBytes: this.#journal?.fileBytes ?? 0,
      dedupRows: this.#dedup.rowCount,
      dedupKeys: this.#dedup.keyCount,
      queuedBytes: this.#queues.brands.total,
      pendingTrims: this.#queues.floors.pendingCount,
      sharedParts: this.#closing ? 0 : Math.ceil(this.#database.rowCount("shared") / 2),
      corruptions: this.#reports.count,
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
    await this.#journal?.close();
    if (!this.#writer.error) {
      const stage = (batch: Batch): boolean => {
        const isDone = trimSlice(this.#queues, batch, new Slice());
        stageTotals(this.#queues, batch);
        this.#journal?.stageEnd(batch);
        return isDone;
      };
      await this.#writer.submitSlow({ stage }).catch(() => {});
    }
    await this.#writer.idle();
    // What is stuck may still be written: the file and the lock are left to the end of the process.
    if (this.#writer.isStuck || this.#journal?.isStuck) return;
    this.#writer.stop();
    await this.#database.close();
    this.#lock.release();
  }

  #damaged(table: TableName, detail: string, address: AccountAddress | DeviceAddress): void {
    this.#reports.add({ table, detail, address });
  }

  get #knownAccounts(): Accounts {
    return opened(this.#accounts);
  }

  /** For a change. */
  get #openedAccounts(): Accounts {
    this.#refuseWhenEnded();
    return this.#knownAccounts;
  }

  #refuseWhenEnded(): void {
    if (this.#writer.error) throw this.#writer.error;
    if (this.#closing) throw new CodedError("storageFailed", { detail: "the store is closed" });
  }

  async #submitSlow(work: Work): Promise<void> {
    this.#refuseWhenEnded();
    await this.#writer.submitSlow(work);
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
}

/** What open() has made. */
function opened<T>(part: T | undefined): T {
  assert(part !== undefined, "the store is open");
  return part;
}

/**
 * The store of an open directory (store.ts says what it promises): who of its parts (store-parts.ts) is asked for what.
 */
import { statfsSync } from "node:fs";
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import type { Group } from "../rules/groups.js";
import type { KeyUpload } from "../rules/keys.js";
import { limits } from "../rules/limits.js";
import type { DeliveryTokens, TokenChange } from "../rules/sealed.js";
import type { AccountRecord, Accounts, Arrival, RosterChange } from "./accounts.js";
import type { Contacts } from "./contacts.js";
import type { Batch } from "./database.js";
import type { ChangedGroup } from "./groups.js";
import type { SpillRun } from "./journal-record.js";
import type { ClaimedKeys, KeyClaim, KeyDigests, KeyStocks } from "./key-transaction.js";
import type { Memberships } from "./memberships.js";
import type { BrandName } from "./names.js";
import type { StoredNotice } from "./outbox.js";
import type { PushTargets } from "./push-targets.js";
import { nameOf, type QueueItem } from "./queue-reader.js";
import { stageTotals } from "./queues.js";
import { DEDUP_KEY_BYTES, deviceKey } from "./schema.js";
import type { Commit, JournalCommit, Store, StoreOptions, StoreStats } from "./shapes.js";
import type { PartSource } from "./shared-parts.js";
import { Slice, trimSlice } from "./slices.js";
import { SpillWork } from "./spill.js";
import type { StoreBase } from "./store-base.js";
import type { StoreParts } from "./store-parts.js";
import { type SweepPlace, type SweepResult, SweepWork } from "./sweep.js";

export class LmdbStore implements Store {
  readonly failed: Promise<Error>;
  readonly pushTargets: PushTargets;
  readonly memberships: Memberships;
  readonly #options: StoreOptions;
  readonly #base: StoreBase;
  readonly #parts: StoreParts;
  readonly #sweepPlace: SweepPlace = { next: undefined, endedAtMs: Number.NEGATIVE_INFINITY };
  #commits = 0;
  #closing: Promise<void> | undefined;

  constructor(options: StoreOptions, base: StoreBase, parts: StoreParts) {
    this.#options = options;
    this.#base = base;
    this.#parts = parts;
    this.failed = base.writer.failed;
    this.pushTargets = parts.pushTargets;
    this.memberships = parts.memberships;
  }

  get epoch(): number {
    return this.#parts.epoch;
  }

  get firstPart(): number {
    return this.#parts.firstPart;
  }

  recoveredDedupKeys(): Iterable<Uint8Array> {
    return this.#base.read(() => this.#parts.dedup.keys(this.#base.database));
  }

  commit(commit: JournalCommit): Commit {
    assert(commit.records.length >= 1, "a commit has a record");
    assert(commit.dedupKeys.length % DEDUP_KEY_BYTES === 0, "dedup keys have 20 bytes each");
    const startedMs = performance.now();
    try {
      this.#base.refuseWhenEnded();
    } catch (error) {
      const durable = Promise.reject(error as Error);
      durable.catch(() => {});
      return { durable, isDurable: () => false };
    }
    const write = this.#parts.journal.append(commit);
    const durable = write.durable.then(
      () => {
        if (this.#base.writer.error) throw this.#base.writer.error;
        this.#commits++;
        this.#options.onCommitted?.(performance.now() - startedMs);
      },
      (error) => {
        throw this.#base.writer.error ?? error;
      },
    );
    durable.catch(() => {});
    return {
      durable,
      isDurable: (waitMs) => this.#base.writer.error === undefined && write.isDurable(waitMs),
    };
  }

  async spill(
    runs: readonly SpillRun[],
    throughRecord: number,
    partOf: PartSource = () => undefined,
  ): Promise<void> {
    const { journal, dedup, queues } = this.#parts;
    let whenDurable = (): void => {};
    const release = (batch: Batch): void => {
      whenDurable = journal.release(batch, throughRecord, dedup);
      dedup.drop(batch, limits.dedupRowsPerSpill);
    };
    await this.#base.submitSlow(new SpillWork(queues, runs, { release, partOf, isRecovery: false }));
    whenDurable();
  }

  hasQueued(device: DeviceAddress): boolean {
    const key = deviceKey(device);
    const { reader, floors } = this.#parts.queues;
    return this.#base.read(() => reader.hasAbove(key, floors.overlay(nameOf(key))));
  }

  lastQueuedMs(device: DeviceAddress): number | undefined {
    const key = deviceKey(device);
    const { reader, floors } = this.#parts.queues;
    const last = this.#base.read(() => reader.tail(key));
    return last && last.lastSequence > floors.overlay(nameOf(key)) ? last.storedAtMs : undefined;
  }

  readQueue(
    device: DeviceAddress,
    after: number,
    room: { readonly bytesMax: number; readonly entriesMax: number },
  ): QueueItem[] {
    const { reader, floors } = this.#parts.queues;
    return this.#base.read(() =>
      reader.items(device, Math.max(after, floors.known(deviceKey(device))), room),
    );
  }

  floor(device: DeviceAddress): number {
    return this.#base.read(() => this.#parts.queues.floors.known(deviceKey(device)));
  }

  trim(device: DeviceAddress, floor: number): void {
    if (floor > 0) this.#parts.queues.floors.add(deviceKey(device), floor);
  }

  readAccount(address: AccountAddress): AccountRecord | undefined {
    return this.#base.read(() => this.#parts.accounts.read(address));
  }

  async registerDevice(address: AccountAddress, number: number, arrival?: Arrival): Promise<AccountRecord> {
    const { record } = await this.#accounts.register(address, number, arrival);
    return record;
  }

  async addDevice(address: AccountAddress, number: number): Promise<RosterChange> {
    return this.#accounts.add(address, number);
  }

  async removeDevice(address: AccountAddress, number: number, nowMs: number): Promise<RosterChange> {
    return this.#accounts.remove(address, number, nowMs);
  }

  async createAccount(address: AccountAddress): Promise<RosterChange> {
    return this.#accounts.create(address);
  }

  async removeAccount(address: AccountAddress, nowMs: number): Promise<RosterChange> {
    return this.#accounts.removeAll(address, nowMs);
  }

  erase(device: DeviceAddress, through: number): void {
    this.#parts.tombstones.erase(device, through);
  }

  readName(name: BrandName): AccountAddress | undefined {
    return this.#base.read(() => this.#parts.names.read(name));
  }

  async giveName(address: AccountAddress, name: BrandName): Promise<boolean> {
    const accounts = this.#accounts;
    return this.#parts.names.give(address, name, () => accounts.isThere(address));
  }

  async takeName(name: BrandName): Promise<void> {
    this.#base.refuseWhenEnded();
    await this.#parts.names.take(name);
  }

  get contacts(): Contacts {
    return this.#accounts.contacts;
  }

  readGroup(address: AccountAddress): Group | undefined {
    return this.#base.read(() => this.#parts.groups.read(address));
  }

  async changeGroup(changed: ChangedGroup): Promise<readonly AccountAddress[]> {
    return this.#base.read(() => this.#parts.groups.change(changed));
  }

  owedEvent(group: AccountAddress): number | undefined {
    return this.#parts.outbox.owedEvent(group);
  }

  settledGroup(group: AccountAddress): Promise<void> | undefined {
    return this.#parts.outbox.settled(group);
  }

  deliveryTokens(address: AccountAddress): DeliveryTokens {
    return this.#base.read(() => this.#parts.accounts.deliveryTokens.read(address));
  }

  changeDeliveryTokens(address: AccountAddress, change: TokenChange): Promise<DeliveryTokens | undefined> {
    return this.#accounts.changeDeliveryTokens(
      address,
      change,
      Math.floor(this.#options.clock.monotonicMs()),
    );
  }

  noticeBrands(): readonly number[] {
    return this.#parts.outbox.brands;
  }

  notices(after: number, max: number, brand?: number): StoredNotice[] {
    return this.#base.read(() => this.#parts.outbox.read(after, max, brand));
  }

  dropNotices(numbers: readonly number[]): void {
    this.#parts.outbox.drop(numbers);
  }

  async uploadKeys(device: DeviceAddress, upload: KeyUpload): Promise<KeyStocks> {
    this.#base.refuseWhenEnded();
    return this.#parts.keys.upload(device, upload);
  }

  async claimKeys(claim: KeyClaim): Promise<ClaimedKeys> {
    this.#base.refuseWhenEnded();
    return this.#parts.keys.claim(claim);
  }

  keyStocks(device: DeviceAddress): KeyStocks {
    return this.#base.read(() => this.#parts.keys.stocks(device));
  }

  async keyDigests(device: DeviceAddress): Promise<KeyDigests> {
    this.#base.refuseWhenEnded();
    return this.#parts.keys.digests(device);
  }

  async sweep(nowMs: number, rowBudget: number, expiryMs = nowMs): Promise<SweepResult> {
    const parts = { dedup: this.#parts.dedup, place: this.#sweepPlace };
    const work = new SweepWork(this.#parts.queues, { ...parts, nowMs, expiryMs, rowBudget });
    await this.#base.submitSlow(work);
    return work.result;
  }

  brandQueueBytes(brand: number): number {
    return this.#parts.queues.brands.of(brand);
  }

  stats(): StoreStats {
    const { database, isClosing, writer } = this.#base;
    const { dedup, journal, queues, recovery, reports } = this.#parts;
    const file = isClosing ? { mapBytes: 0, usedBytes: 0 } : database.fileStats();
    const disk = statfsSync(this.#options.directory);
    return {
      ...queues.stats,
      ...writer.stats,
      commits: this.#commits,
      journalBlocks: journal.blockCount,
      journalBytes: journal.fileBytes,
      dedupRows: dedup.rowCount,
      dedupKeys: dedup.keyCount,
      queuedBytes: queues.brands.total,
      pendingTrims: queues.floors.pendingCount,
      sharedParts: isClosing ? 0 : Math.ceil(database.rowCount("shared") / 2),
      corruptions: reports.count,
      mapBytes: file.mapBytes,
      fileBytes: file.usedBytes,
      diskFreeBytes: disk.bavail * disk.bsize,
      recovery,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { queues, journal } = this.#parts;
    this.#base.beginClosing();
    await journal.close();
    if (!this.#base.writer.error) {
      const stage = (batch: Batch): boolean => {
        const isDone = trimSlice(queues, batch, new Slice());
        stageTotals(queues, batch);
        journal.stageEnd(batch);
        return isDone;
      };
      await this.#base.writer.submitSlow({ stage }).catch(() => {});
    }
    await this.#base.close(() => journal.isStuck);
  }

  /** For a change. */
  get #accounts(): Accounts {
    this.#base.refuseWhenEnded();
    return this.#parts.accounts;
  }
}

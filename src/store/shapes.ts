/** What a store is asked for and with what; store.ts says what all of it may be relied on for. */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import type { Group } from "../rules/groups.js";
import type { KeyBounds, KeyUpload } from "../rules/keys.js";
import type { DeliveryTokens, TokenChange } from "../rules/sealed.js";
import type { AccountRecord, Arrival, RosterChange } from "./accounts.js";
import type { ContactChange, Contacts } from "./contacts.js";
import type { DedupBounds } from "./dedup-window.js";
import type { ChangedGroup } from "./groups.js";
import type { SpillRun } from "./journal-record.js";
import type { ClaimedKeys, KeyClaim, KeyDigests, KeyStocks } from "./key-transaction.js";
import type { Memberships } from "./memberships.js";
import type { BrandName } from "./names.js";
import type { OutboxBounds, StoredNotice } from "./outbox.js";
import type { PushTargets } from "./push-targets.js";
import type { QueueItem } from "./queue-reader.js";
import type { QueueBounds, QueueStats } from "./queues.js";
import type { RecoveryResult } from "./recovery.js";
import type { StorePart } from "./schema.js";
import type { PartSource } from "./shared-parts.js";
import type { SweepResult } from "./sweep.js";

export interface JournalCommit {
  /** One or more records, numbers rising; copied. */
  readonly records: readonly { readonly number: number; readonly bytes: Uint8Array }[];
  /** Concatenated 20-byte dedup keys accepted in this commit; the store's from now on. */
  readonly dedupKeys: Uint8Array;
  readonly timeMs: number;
}

/** A commit on its way to the disk. */
export interface Commit {
  /** Resolves when all of it is there; rejects when it, or any write before, failed. */
  readonly durable: Promise<void>;
  /** Whether it is there by now, without waiting for the promise's turn; waits up to `waitMs`, holding the thread. */
  isDurable(waitMs: number): boolean;
}

/** Something on disk is not as it was written. Holds addresses: not for logs as it is. */
export interface CorruptionReport {
  readonly table: StorePart;
  readonly detail: string;
  /** Of the queue or roster that is hit. */
  readonly address?: DeviceAddress | AccountAddress;
  /** Of the journal's block, the dedup row, or the chunk's first entry. */
  readonly number?: number;
}

export interface StoreStats extends Readonly<QueueStats> {
  readonly commits: number;
  readonly flushes: number;
  readonly bytesWritten: number;
  readonly rowsWritten: number;
  /** Blocks that are not yet spilled, and how far their file was written since the store was opened. */
  readonly journalBlocks: number;
  readonly journalBytes: number;
  readonly dedupRows: number;
  readonly dedupKeys: number;
  /** Frames on disk, of all brands. */
  readonly queuedBytes: number;
  readonly pendingTrims: number;
  /** Shared parts that queues refer to. */
  readonly sharedParts: number;
  readonly corruptions: number;
  readonly mapBytes: number;
  readonly fileBytes: number;
  readonly diskFreeBytes: number;
  readonly recovery: RecoveryResult;
}

export interface StoreOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly onCorruption?: (report: CorruptionReport) => void;
  /** How long a commit took, its flush included. */
  readonly onCommitted?: (durationMs: number) => void;
  /** A roster's change is on disk, and nobody has seen it yet; `removed`: numbers of devices that went. */
  readonly onRosterChanged?: (record: AccountRecord, removed: readonly number[]) => void;
  /** What two accounts have agreed to with each other may have changed, durably. */
  readonly onContactsChanged?: (change: ContactChange) => void;
  /** A transaction that holds notices is on disk. */
  readonly onNotices?: () => void;
  /** Overrides of limits. */
  readonly quotas?: Partial<QueueBounds & DedupBounds & KeyBounds & OutboxBounds>;
  readonly commitTimeoutMs?: number;
}

export interface Store {
  /** Rose by one with this open; sequences of this run start at `epoch * 2^32`. */
  readonly epoch: number;
  /** Shared parts of this run are numbered from here: above all that are stored. */
  readonly firstPart: number;
  /** Dedup keys of the window at open, oldest first. For once, at start. */
  recoveredDedupKeys(): Iterable<Uint8Array>;
  /** Begins to write it; one at a time. */
  commit(commit: JournalCommit): Commit;
  /**
   * Moves runs to their devices' queues, applies quotas, then gives up the
   * journal's records numbered up to `throughRecord`, with their acks: what they
   * acked must have been told by trim(), or be left out of the runs. `partOf`
   * has the shared parts that the runs refer to, unchanged until the promise
   * settles. Resolves when all of it is on disk.
   */
  spill(runs: readonly SpillRun[], throughRecord: number, partOf?: PartSource): Promise<void>;
  /** Whether anything beyond the device's floor is queued on disk. */
  hasQueued(device: DeviceAddress): boolean;
  /** When the newest of what is queued on disk for the device was stored; undefined when nothing is. */
  lastQueuedMs(device: DeviceAddress): number | undefined;
  /**
   * Items beyond `after` and the floor, in order: at least one if there is any, of frames at most `bytesMax` or one
   * whole frame, of entries at most `entriesMax`, where a gap counts as one. It stops only where the next entry does not
   * fit: one that leaves room for another of any size has come to the queue's end.
   */
  readQueue(
    device: DeviceAddress,
    after: number,
    room: { readonly bytesMax: number; readonly entriesMax: number },
  ): QueueItem[];
  /** What the device has acked, as far as its queue still needs to know; 0 when it does not. */
  floor(device: DeviceAddress): number;
  /** The device has acked up to `floor`. Its rows go with the next sweep or spill; reads obey at once. */
  trim(device: DeviceAddress, floor: number): void;
  readAccount(address: AccountAddress): AccountRecord | undefined;
  /**
   * A device comes in: it is added to its account if it is not there. This and every change of a roster is told to the
   * account's other devices. Rejects with tokenRevoked, deviceUnknown, tooManyDevices or rateLimited.
   */
  registerDevice(address: AccountAddress, number: number, arrival?: Arrival): Promise<AccountRecord>;
  /** Adds a device ahead of its first sign-in. Rejects with notFound (no such account), tooManyDevices or rateLimited. */
  addDevice(address: AccountAddress, number: number): Promise<RosterChange>;
  /** Tokens of the device issued up to `nowMs` are refused from then on. Rejects with notFound. */
  removeDevice(address: AccountAddress, number: number, nowMs: number): Promise<RosterChange>;
  /** An account without devices, if there is none. */
  createAccount(address: AccountAddress): Promise<RosterChange>;
  /**
   * All its devices go, with its names, delivery tokens and agreements, and it is to leave its groups (memberships).
   * Rejects with notFound.
   */
  removeAccount(address: AccountAddress, nowMs: number): Promise<RosterChange>;
  /**
   * A removal was carried out: everything of the device up to this sequence goes, and a device that gets its number has
   * higher ones. To be called inside onRosterChanged, for each device removed.
   */
  erase(device: DeviceAddress, through: number): void;
  /** The account that has this name. */
  readName(name: BrandName): AccountAddress | undefined;
  /** False when it had the name. Rejects with notFound, nameTaken or tooManyNames. */
  giveName(address: AccountAddress, name: BrandName): Promise<boolean>;
  /** Rejects with notFound. */
  takeName(name: BrandName): Promise<void>;
  /** What accounts have agreed to with each other (contacts.ts). */
  readonly contacts: Pick<Contacts, "both" | "list" | "allow" | "withdraw">;
  readGroup(address: AccountAddress): Group | undefined;
  /**
   * Writes a group's roster and what tells of it; one change of a group at a time. Resolves when it is on disk, with those
   * of its newcomers that are removed accounts. Rejects with tooManyGroups or rateLimited.
   */
  changeGroup(changed: ChangedGroup): Promise<readonly AccountAddress[]>;
  /** Who is in which groups, and who has yet to leave which. */
  readonly memberships: Pick<Memberships, "of" | "toLeave" | "leaving">;
  /** The number of the notice that the group's members have yet to be sent: until then they send nothing. */
  owedEvent(group: AccountAddress): number | undefined;
  /** Resolves when everybody was told of the group's last change, durably; undefined when they are. */
  settledGroup(group: AccountAddress): Promise<void> | undefined;
  /** With which tokens somebody who is not named may send to the account, noTokens if with none; the same work for both. */
  deliveryTokens(address: AccountAddress): DeliveryTokens;
  /** Told to all devices of the account. Rejects with notFound (no such account, or no token that could be rotated) or rateLimited. */
  changeDeliveryTokens(address: AccountAddress, change: TokenChange): Promise<DeliveryTokens | undefined>;
  /** Brands because of which notices are owed. */
  noticeBrands(): readonly number[];
  /** Notices that are owed, numbered above `after`, in order, because of this brand or of any (outbox.ts). */
  notices(after: number, max: number, brand?: number): StoredNotice[];
  /** Those of these numbers are in a flushed commit: they go with the next transaction. */
  dropNotices(numbers: readonly number[]): void;
  /** Stores keys in the place of those of their kinds. Rejects with badRequest, tooManyKeys, keyTooLarge, rateLimited, notFound, overloaded. */
  uploadKeys(device: DeviceAddress, upload: KeyUpload): Promise<KeyStocks>;
  /** Hands out keys of another device, one-time keys once and for ever. Rejects with rateLimited, notFound, keysMissing, overloaded. */
  claimKeys(claim: KeyClaim): Promise<ClaimedKeys>;
  /** What is stored of a device's keys. */
  keyStocks(device: DeviceAddress): KeyStocks;
  /** The same with a digest of each kind. Rejects with rateLimited, notFound, overloaded. */
  keyDigests(device: DeviceAddress): Promise<KeyDigests>;
  /** Where devices want to be woken, and what became of the last wake-up. */
  readonly pushTargets: PushTargets;
  /** Background work, about once a second, over at most `rowBudget` rows. Entries expire by `expiryMs`, or by `nowMs` without it. */
  sweep(nowMs: number, rowBudget: number, expiryMs?: number): Promise<SweepResult>;
  /** Bytes of frames queued on disk for a brand. */
  brandQueueBytes(brand: number): number;
  stats(): StoreStats;
  /** Resolves when the store has failed; never otherwise. */
  readonly failed: Promise<Error>;
  /** Writes what is pending, then closes. */
  close(): Promise<void>;
}

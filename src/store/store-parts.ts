/**
 * The parts of an open store (lmdb-store.ts asks them): each is made when those that it needs are there, and what a crash
 * left in the journal is recovered before the journal is written on.
 *
 *   run (recovery.ts) ─▶ queues ─▶ directory: accounts, names, groups, keys, … ─▶ dedup, counters ─▶ recovery ─▶ journal
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { limits } from "../rules/limits.js";
import { Accounts } from "./accounts.js";
import { BrandBytes } from "./brand-bytes.js";
import { Changes } from "./changes.js";
import { CorruptionReports } from "./corruption-reports.js";
import { DedupWindow } from "./dedup-window.js";
import { Floors } from "./floors.js";
import { Groups } from "./groups.js";
import { Journal } from "./journal.js";
import { JournalFile } from "./journal-file.js";
import { Keys } from "./keys.js";
import { Memberships } from "./memberships.js";
import { Names } from "./names.js";
import { Outbox } from "./outbox.js";
import { PushTargets } from "./push-targets.js";
import { QueueReader } from "./queue-reader.js";
import type { QueueContext } from "./queues.js";
import { type OpenedRun, openRun, type RecoveryResult, recover } from "./recovery.js";
import { blocksBefore, JOURNAL_FILE, type TableName } from "./schema.js";
import type { StoreOptions } from "./shapes.js";
import { SharedParts } from "./shared-parts.js";
import type { StoreBase } from "./store-base.js";
import { Tombstones } from "./tombstones.js";

export interface StoreParts extends Directory {
  readonly epoch: number;
  /** Shared parts of this run are numbered from here. */
  readonly firstPart: number;
  readonly recovery: RecoveryResult;
  readonly reports: CorruptionReports;
  readonly queues: QueueContext;
  readonly dedup: DedupWindow;
  readonly journal: Journal;
}

/** What is kept of accounts, beside their devices' queues. */
interface Directory {
  readonly accounts: Accounts;
  readonly tombstones: Tombstones;
  readonly names: Names;
  readonly memberships: Memberships;
  readonly groups: Groups;
  readonly keys: Keys;
  readonly pushTargets: PushTargets;
  readonly outbox: Outbox;
}

/** Throws what LMDB throws, and CodedError storageFailed when a write failed; the base is the caller's to close. */
export async function openParts(options: StoreOptions, base: StoreBase): Promise<StoreParts> {
  const { database } = base;
  const reports = new CorruptionReports(options.onCorruption);
  const queues = queuesIn(options, base, reports);
  const run = await openRun(database, base.writer);
  database.refresh();
  const directory = directoryIn(options, base, { queues, reports, nextOrdinal: run.nextOrdinal });
  const dedup = new DedupWindow(boundsOf(options), options.clock.monotonicMs);
  dedup.load(database, (number) =>
    reports.add({ table: "dedup", detail: "a row of dedup keys is damaged", number }),
  );
  queues.brands.load(database, (brand) =>
    reports.add({ table: "meta", detail: "a brand's byte counter is damaged", number: brand }),
  );
  const own = { ...directory, reports, queues, dedup };
  const recovery = await recovered(options, base, run, own);
  database.refresh();
  const firstPart = queues.parts.nextNumber;
  // Last: it has a thread, which whoever closes a base that has no parts knows nothing of.
  return { ...own, epoch: run.epoch, firstPart, recovery, journal: await openJournal(options, base, run) };
}

function boundsOf({ quotas }: StoreOptions) {
  return { ...limits, ...quotas };
}

function queuesIn(options: StoreOptions, { database }: StoreBase, reports: CorruptionReports): QueueContext {
  const bounds = boundsOf(options);
  const parts = new SharedParts(database, {
    // An entry is stored some time after its part, stays in a chunk that grows, and then as long as that is kept.
    livesMs: bounds.retentionMs + 2 * bounds.sharedGrowMs,
    nowMs: options.clock.wallMs,
    onDamage: (number, detail) => reports.add({ table: "shared", detail, number }),
  });
  const reader = new QueueReader(database, parts, ({ device, firstSequence, detail }) =>
    reports.add({ table: "queues", detail, address: device, number: firstSequence }),
  );
  return {
    database,
    reader,
    floors: new Floors(reader),
    brands: new BrandBytes(),
    parts,
    bounds,
    nowMs: options.clock.wallMs,
    stats: { spilledEntries: 0, chunksWritten: 0, trimmedRows: 0, quotaEntries: 0, expiredEntries: 0 },
  };
}

function directoryIn(
  options: StoreOptions,
  base: StoreBase,
  own: { readonly queues: QueueContext; readonly reports: CorruptionReports; readonly nextOrdinal: number },
): Directory {
  const { database, writer } = base;
  const { queues, reports, nextOrdinal } = own;
  const bounds = boundsOf(options);
  const damaged = (table: TableName, detail: string, address: AccountAddress | DeviceAddress): void =>
    reports.add({ table, detail, address });
  const guard = <T>(read: () => T): T => base.read(read);
  const changes = new Changes(writer);
  const tombstones = new Tombstones(database, queues.floors, (address) =>
    damaged("tombstones", "the mark of a removal is damaged", address),
  );
  const names = new Names(database, changes, (brand) =>
    reports.add({ table: "names", detail: "a name's row is damaged", number: brand }),
  );
  const pushTargets = new PushTargets(database, changes, {
    onDamage: (address) => damaged("push", "a push target's row is damaged", address),
    guard,
  });
  const memberships = new Memberships(database, {
    onDamage: (table, address) => damaged(table, "the list of an account's groups is damaged", address),
    guard,
  });
  const outbox = new Outbox(database, writer, {
    bounds,
    onDamage: (number) => reports.add({ table: "outbox", detail: "a notice is damaged", number }),
    onStored: () => options.onNotices?.(),
  });
  const accounts = new Accounts({
    ...{ database, changes, outbox, tombstones, names, memberships, nextOrdinal },
    onDamage: (address, table) => damaged(table, "a row of the account is damaged", address),
    onChanged: (record, removed) => options.onRosterChanged?.(record, removed),
    onContactsChanged: (change) => options.onContactsChanged?.(change),
  });
  const keys = new Keys(database, writer, outbox, {
    bounds,
    nowMs: () => Math.floor(options.clock.monotonicMs()),
    onDamage: (address, detail) => damaged("keys", detail, address),
  });
  const groups = new Groups({
    ...{ database, changes, outbox, memberships },
    isRemoved: (address) => accounts.read(address)?.isRemoved === true,
    onDamage: (address) => damaged("groups", "a group's row is damaged", address),
  });
  return { accounts, tombstones, names, memberships, groups, keys, pushTargets, outbox };
}

async function recovered(
  options: StoreOptions,
  { writer }: StoreBase,
  run: OpenedRun,
  own: Pick<StoreParts, "accounts" | "tombstones" | "reports" | "queues" | "dedup">,
): Promise<RecoveryResult> {
  const { accounts, tombstones, reports, queues, dedup } = own;
  const path = journalPath(options);
  const onDamage = (number: number, detail: string): void =>
    reports.add({ table: "journal", detail, number });
  if (run.isKnown && !existsSync(path)) onDamage(run.spilledBlock + 1, "its file is missing");
  const descriptor = existsSync(path) ? openSync(path, "r") : undefined;
  try {
    return await recover({
      ...{ descriptor, run, writer, dedup, queues, tombstones, onDamage },
      isRegistered: (account, number) =>
        accounts.read(account)?.devices.some((device) => device.number === number) === true,
      bytesMax: limits.recoveryBytesMax,
    });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

async function openJournal(
  options: StoreOptions,
  { writer, timeoutMs }: StoreBase,
  { tag, epoch }: OpenedRun,
): Promise<Journal> {
  const file = await JournalFile.open(journalPath(options), {
    tag,
    timeoutMs,
    onFailure: (error) => writer.fail(error),
  }).catch((error) => {
    throw writer.error ?? error;
  });
  return new Journal(file, blocksBefore(epoch) + 1);
}

function journalPath({ directory }: StoreOptions): string {
  return join(directory, JOURNAL_FILE);
}

/**
 * Opening: what stands between a data directory as a crash left it and a store
 * that takes commits. In order:
 *
 *   1. the format's version is checked, before anything is written; a new
 *      directory gets its tables and the version, and one of an earlier
 *      version the tables that it lacks,
 *   2. the epoch rises by one, durably: every sequence of this run is above
 *      all earlier ones,
 *   3. every block of the journal is verified; a bad or missing one is reported
 *      and passed over, its neighbours count,
 *   4. the acks of all blocks become floors, and so does what removed devices
 *      must not leave behind (tombstones.ts); then the runs are spilled like
 *      live ones, except that what is acked or already queued is passed over,
 *      and the blocks are named as spilled.
 *
 * A crash in the middle is harmless: 4 finds its own work done. The time it
 * takes follows the journal, which is bounded by the kernel's tail, and not
 * what is queued.
 */
import { randomInt } from "node:crypto";
import type { AccountAddress } from "../base/address.js";
import { CodedError } from "../wire/coded-error.js";
import type { Batch, Database } from "./database.js";
import type { DedupWindow } from "./dedup-window.js";
import { readBlock } from "./journal-block.js";
import { type BlockSite, type JournalMarks, readJournal } from "./journal-reader.js";
import { readRecords, type SpillRun } from "./journal-record.js";
import { type QueueContext, stageTotals } from "./queues.js";
import {
  blocksBefore,
  decodeNumber,
  deviceKey,
  encodeNumber,
  FORMAT_VERSION,
  FORMAT_VERSION_MIN,
  metaKeys,
  tableNames,
  tablesOf,
} from "./schema.js";
import { Slice, trimSlice } from "./slices.js";
import { SpillWork } from "./spill.js";
import type { Tombstones } from "./tombstones.js";
import type { Writer } from "./writer.js";

function refuse(detail: string): CodedError {
  return new CodedError("directoryUnknown", { fatal: true, detail });
}

/** The directory's version; throws unless it is one that is read. Undefined when it is new and empty. */
export function checkFormat(database: Database): number | undefined {
  const row = database.has("meta") ? database.get("meta", metaKeys.format) : undefined;
  if (row === undefined) {
    if (tableNames.some((name) => database.has(name) && database.rowCount(name) > 0)) {
      throw refuse("it holds rows and no format version");
    }
    return undefined;
  }
  const version = decodeNumber(metaKeys.format, row);
  if (version === undefined) throw refuse("the row with its format version is damaged");
  if (version < FORMAT_VERSION_MIN || version > FORMAT_VERSION) {
    const read = `reads versions ${FORMAT_VERSION_MIN} to ${FORMAT_VERSION}`;
    throw refuse(`it has format version ${version}; this node ${read}`);
  }
  for (const name of tablesOf(version)) if (!database.has(name)) throw refuse(`its table ${name} is missing`);
  return version;
}

/** What one opening of a data directory goes by. */
export interface OpenedRun extends JournalMarks {
  readonly epoch: number;
  readonly nextOrdinal: number;
  /** False when the directory was just made. */
  readonly isKnown: boolean;
}

/** Makes the directory this version's if it is new, and raises the epoch. Resolves with its numbers, durable. */
export async function openRun(database: Database, writer: Writer): Promise<OpenedRun> {
  const isKnown = checkFormat(database) !== undefined;
  database.createTables();
  const number = (key: Uint8Array, whenNew: number): number => {
    const row = database.get("meta", key);
    const value = row && decodeNumber(key, row);
    if (value === undefined && isKnown)
      throw refuse(`its ${Buffer.from(key).toString()} is missing or damaged`);
    return value ?? whenNew;
  };
  const epoch = number(metaKeys.epoch, 0) + 1;
  const nextOrdinal = number(metaKeys.ordinal, 1);
  const tag = number(metaKeys.tag, randomInt(1, 2 ** 48 - 1));
  const spilledBlock = number(metaKeys.spilled, 0);
  const closedBlock = number(metaKeys.closed, 0);
  if (epoch >= 2 ** 21) throw refuse(`its epoch ${epoch} leaves no room for sequences`);
  const rows = [
    [metaKeys.format, FORMAT_VERSION],
    [metaKeys.epoch, epoch],
    [metaKeys.ordinal, nextOrdinal],
    [metaKeys.tag, tag],
    [metaKeys.spilled, spilledBlock],
    [metaKeys.closed, closedBlock],
  ] as const;
  const stage = (batch: Batch): boolean => {
    for (const [key, value] of rows) batch.put("meta", key, encodeNumber(key, value));
    return true;
  };
  await writer.submitPrompt({ stage });
  return { epoch, nextOrdinal, tag, spilledBlock, closedBlock, isKnown };
}

interface RecoveryParts {
  /** Of the journal's file; undefined where there is none yet. */
  readonly descriptor: number | undefined;
  readonly run: OpenedRun;
  readonly writer: Writer;
  readonly dedup: DedupWindow;
  readonly queues: QueueContext;
  readonly tombstones: Tombstones;
  readonly isRegistered: (account: AccountAddress, number: number) => boolean;
  readonly bytesMax: number;
  readonly onDamage: (blockNumber: number, detail: string) => void;
}

export interface RecoveryResult {
  readonly blocks: number;
  readonly badBlocks: number;
  readonly entries: number;
}

/** Empties the journal into the queues and the dedup window. */
export async function recover(parts: RecoveryParts): Promise<RecoveryResult> {
  const { descriptor, run, queues, writer, tombstones } = parts;
  const sites: BlockSite[] = [];
  let badBlocks = 0;
  const damage = (number: number, detail: string): void => {
    badBlocks++;
    parts.onDamage(number, detail);
  };
  if (descriptor !== undefined) {
    for (const { site, records } of readJournal(descriptor, run, damage)) {
      sites.push(site);
      for (const { device, floor } of records.flatMap(({ acks }) => acks))
        queues.floors.add(deviceKey(device), floor);
    }
  }
  const hasErasures = tombstones.recover(blocksBefore(run.epoch), parts.isRegistered);
  const entries = descriptor === undefined ? 0 : await spillBlocks(parts, descriptor, inOrder(sites));
  const next = encodeNumber(metaKeys.spilled, blocksBefore(run.epoch));
  await writer.submitSlow({
    stage(batch) {
      // What devices have acked may go later; what removed ones had is gone before anybody comes in.
      const isErased = !hasErasures || trimSlice(queues, batch, new Slice());
      stageTotals(queues, batch);
      if (!isErased) return false;
      tombstones.stageRecovered(batch);
      batch.put("meta", metaKeys.spilled, next);
      return true;
    },
  });
  return { blocks: sites.length + badBlocks, badBlocks, entries };
}

const inOrder = (sites: readonly BlockSite[]): BlockSite[] => [...sites].sort((a, b) => a.number - b.number);

/** In portions of `bytesMax`, so that memory does not follow the journal's size. */
async function spillBlocks(
  given: RecoveryParts,
  descriptor: number,
  sites: readonly BlockSite[],
): Promise<number> {
  const { queues, writer, bytesMax, dedup } = given;
  const before = queues.stats.spilledEntries;
  queues.floors.hold();
  let runs: SpillRun[] = [];
  let parts = new Map<number, Uint8Array>();
  let commits: { timeMs: number; dedupKeys: Uint8Array }[] = [];
  let bytes = 0;
  for (const [i, site] of sites.entries()) {
    const content = readBlock(descriptor, site);
    const records = content && readRecords(content.records);
    for (const record of typeof records === "object" ? records : []) {
      for (const run of record.runs) runs.push(run);
      for (const [number, part] of record.parts) parts.set(number, part);
    }
    if (content) commits.push({ timeMs: site.timeMs, dedupKeys: content.dedupKeys });
    bytes += site.bytes;
    if (bytes < bytesMax && i < sites.length - 1) continue;
    const keys = commits;
    const release = (batch: Batch): void => {
      dedup.add(batch, keys);
      batch.put("meta", metaKeys.spilled, encodeNumber(metaKeys.spilled, site.number));
    };
    const known = parts;
    const partOf = (number: number): Uint8Array | undefined => known.get(number);
    await writer.submitSlow(new SpillWork(queues, runs, { release, partOf, isRecovery: true }));
    runs = [];
    parts = new Map();
    commits = [];
    bytes = 0;
  }
  queues.floors.release();
  return queues.stats.spilledEntries - before;
}

/**
 * Reads device queues as they are committed: rows in order, the size of a
 * queue, and what is to be delivered next. Changes nothing.
 *
 * Damage is met here. A row whose header is bad is rebuilt from its
 * neighbours: its count and bytes are the difference of their running totals (or
 * 1, and what its own length says, when a neighbour is missing or bad too), its
 * last sequence the one before the next row's first. Running totals go on from
 * the last good row before it. A row whose frames are bad keeps its header's numbers. A
 * row that is missing shows as a jump of the totals. All of them are delivered
 * as gaps with reason `corrupt`; nothing of their bytes is.
 */
import type { DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { concatBytes, equalBytes } from "../base/bytes.js";
import type { GapReason } from "../wire/protocol.js";
import { areEntriesIntact, type ChunkRow, decodeRow, entriesOfDamaged } from "./chunk-rows.js";
import type { Database, Row } from "./database.js";
import {
  entryBytesAt,
  frameBytesAt,
  frameSequenceAt,
  isReferenceAt,
  passFrames,
  readReference,
} from "./frames.js";
import { composeFrame } from "./part-rows.js";
import { addressInKey, decodeNumber, deviceKey, firstSequenceInKey, queueEnd, queueKey } from "./schema.js";
import type { SharedParts } from "./shared-parts.js";

export type QueueItem =
  | {
      readonly kind: "entries";
      readonly firstSequence: number;
      readonly lastSequence: number;
      readonly entryCount: number;
      /** Whole deliver frames; the caller's own. */
      readonly frames: Uint8Array;
    }
  | {
      readonly kind: "gap";
      readonly firstSequence: number;
      readonly lastSequence: number;
      readonly entryCount: number;
      readonly reason: GapReason;
    };

/** A row of a queue, as read or rebuilt. */
export interface QueueRow extends ChunkRow {
  readonly key: Uint8Array;
  readonly firstSequence: number;
  readonly value: Uint8Array;
  readonly isHeaderDamaged: boolean;
}

/** What a row says of itself, without its entries: a look at it copies nothing of them. */
export interface RowSummary {
  readonly key: Uint8Array;
  readonly isGap: boolean;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly storedAtMs: number;
  /** Then totals are only as good as its neighbours. */
  readonly isHeaderDamaged: boolean;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly addedBefore: number;
  readonly addedAfter: number;
}

/** More than any row has: what totals say beyond it is no row's. */
const ROW_BYTES_SANE = 16 << 20;

export const entriesBefore = (row: QueueRow): number => row.entriesAfter - row.entryCount;
export const bytesBefore = (row: QueueRow): number => row.bytesAfter - row.entries.length;
export const addedBefore = (row: QueueRow): number => row.addedAfter - row.added;

/** A device key as a map's key. */
export function nameOf(device: Uint8Array): string {
  return Buffer.from(device.buffer, device.byteOffset, device.length).toString("latin1");
}

function parse({ key, value }: Row): QueueRow | undefined {
  const row = decodeRow(key, value);
  // What is new comes first: behind a spread each new property costs Node 20 some 4 µs.
  return row && { key, firstSequence: firstSequenceInKey(key), value, isHeaderDamaged: false, ...row };
}

/** What can be known of a row with a bad header. */
function rebuild(row: Row, previous: QueueRow | undefined, next: Row | undefined): QueueRow {
  const firstSequence = firstSequenceInKey(row.key);
  const nextRow = next && parse(next);
  const entries = entriesBetween(previous, nextRow) ?? entriesOfDamaged(row.value);
  const before = previous?.entriesAfter;
  const entriesAfter = nextRow ? entriesBefore(nextRow) : (before ?? 0) + 1;
  return {
    gap: undefined,
    key: row.key,
    value: row.value,
    entries,
    firstSequence,
    lastSequence: next ? Math.max(firstSequence, firstSequenceInKey(next.key) - 1) : firstSequence,
    entryCount: before === undefined ? 1 : Math.max(1, entriesAfter - before),
    storedAtMs: previous?.storedAtMs ?? nextRow?.storedAtMs ?? 0,
    firstStoredAtMs: 0,
    entriesAfter,
    bytesAfter: nextRow ? bytesBefore(nextRow) : (previous?.bytesAfter ?? 0) + entries.length,
    addedAfter: nextRow ? addedBefore(nextRow) : (previous?.addedAfter ?? 0),
    added: 0,
    isHeaderDamaged: true,
  };
}

/** As many bytes as the totals of both neighbours say that lie between them; nobody reads them. */
function entriesBetween(previous: QueueRow | undefined, next: QueueRow | undefined): Uint8Array | undefined {
  if (previous === undefined || previous.isHeaderDamaged || next === undefined) return undefined;
  const bytes = bytesBefore(next) - previous.bytesAfter;
  return bytes >= 0 && bytes < ROW_BYTES_SANE ? new Uint8Array(bytes) : undefined;
}

function summaryOf(row: QueueRow): RowSummary {
  return {
    key: row.key,
    isGap: row.gap !== undefined,
    firstSequence: row.firstSequence,
    lastSequence: row.lastSequence,
    storedAtMs: row.storedAtMs,
    isHeaderDamaged: row.isHeaderDamaged,
    bytesBefore: bytesBefore(row),
    bytesAfter: row.bytesAfter,
    addedBefore: addedBefore(row),
    addedAfter: row.addedAfter,
  };
}

/** True when every byte of the row is as it was stored. */
export function isIntact(row: QueueRow): boolean {
  return !row.isHeaderDamaged && (row.gap !== undefined || areEntriesIntact(row.value));
}

/** How many entries of the row come after `floor`. Frames that cannot be trusted count whole. */
export function entriesAbove(row: QueueRow, floor: number): number {
  if (row.lastSequence <= floor) return 0;
  if (row.firstSequence > floor || row.gap !== undefined || !isIntact(row)) return row.entryCount;
  return row.entryCount - passFrames(row.entries, { sequenceMax: floor }).entryCount;
}

/** What a call of items() still takes. */
interface Room {
  /** Of frames. */
  readonly bytesMax: number;
  readonly entriesMax: number;
  /** Take one entry even if it does not fit. */
  readonly mustTake: boolean;
}

export interface DamageSite {
  readonly device: DeviceAddress;
  readonly firstSequence: number;
  readonly detail: string;
}

export class QueueReader {
  readonly #database: Database;
  readonly #parts: Pick<SharedParts, "read">;
  readonly #onDamage: (site: DamageSite) => void;

  constructor(database: Database, parts: Pick<SharedParts, "read">, onDamage: (site: DamageSite) => void) {
    this.#database = database;
    this.#parts = parts;
    this.#onDamage = onDamage;
  }

  /** The queue's rows from `start` on, each complete: a damaged one waits for its successor. */
  *walk(device: Uint8Array, start: Uint8Array = device): Generator<QueueRow, void, void> {
    let previous: QueueRow | undefined;
    let waiting: Row | undefined;
    for (const raw of this.#database.rows("queues", { start, end: queueEnd(device) })) {
      if (waiting !== undefined) {
        previous = rebuild(waiting, previous, raw);
        yield previous;
        waiting = undefined;
      }
      const row = parse(raw);
      if (row === undefined) {
        waiting = raw;
        continue;
      }
      previous = row;
      yield row;
    }
    if (waiting !== undefined) yield rebuild(waiting, previous, undefined);
  }

  /** The row under `key`, which must exist. A damaged one is rebuilt, for which it is read with its neighbours. */
  summaryAt(device: Uint8Array, key: Uint8Array): RowSummary {
    const value = this.#database.peek("queues", key);
    const row = value && parse({ key, value });
    return summaryOf(row ?? this.#rebuilt(device, key));
  }

  /** A damaged row, for which the queue is read from the last good row before it. */
  #rebuilt(device: Uint8Array, key: Uint8Array): QueueRow {
    let start = key;
    // `end` is exclusive, and a queue's rows stand behind its device's key.
    for (const row of this.#database.rowsBackward("queues", { start: key, end: device })) {
      start = row.key;
      if (parse(row) !== undefined) break;
    }
    for (const row of this.walk(device, start)) if (equalBytes(row.key, key)) return row;
    assert(false, "a key that was found has its row");
  }

  /** The queue's last row. */
  tail(device: Uint8Array): QueueRow | undefined {
    const range = { start: queueEnd(device), end: device };
    const [last] = this.#database.rowsBackward("queues", { limit: 1, ...range });
    if (last === undefined) return undefined;
    return parse(last) ?? this.#rebuilt(device, last.key);
  }

  /** The first row that holds entries; gaps stand before it. */
  firstEntries(device: Uint8Array): RowSummary | undefined {
    for (const key of this.#database.keys("queues", { start: device, end: queueEnd(device) })) {
      const row = this.summaryAt(device, key);
      if (!row.isGap) return row;
    }
    return undefined;
  }

  /** The key of the last row that begins at or before `sequence`. */
  keyAtOrBefore(device: Uint8Array, sequence: number): Uint8Array | undefined {
    return this.#database.lastKey("queues", { start: queueKey(device, sequence), end: device });
  }

  /** The durable floor; 0 when none is stored. A damaged one counts as none: entries come again, none is lost. */
  floor(device: Uint8Array): number {
    const row = this.#database.get("floors", device);
    if (row === undefined) return 0;
    const floor = decodeNumber(device, row);
    if (floor === undefined) this.#damage(device, 0, "the floor's row is damaged");
    return floor ?? 0;
  }

  /** True when the last row reaches beyond `floor`, which need not be a stored one: such lies inside the first row. */
  hasAbove(device: Uint8Array, floor: number): boolean {
    const last = this.#database.lastKey("queues", { start: queueEnd(device), end: device });
    if (last === undefined) return false;
    return floor < firstSequenceInKey(last) || floor < this.summaryAt(device, last).lastSequence;
  }

  /**
   * Items beyond `floor`, in order: at least one if there is any; of frames at
   * most `bytesMax`, or one whole frame; of at most `entriesMax` entries, where
   * a gap counts as one.
   */
  items(
    address: DeviceAddress,
    floor: number,
    { bytesMax, entriesMax }: Omit<Room, "mustTake">,
  ): QueueItem[] {
    const device = deviceKey(address);
    const items: QueueItem[] = [];
    let bytes = 0;
    let entries = 0;
    let previous: QueueRow | undefined;
    for (const row of this.walk(device, this.keyAtOrBefore(device, floor) ?? device)) {
      if (row.lastSequence > floor) {
        const missing = this.#missingBetween(previous, row, floor);
        if (missing) items.push(missing);
        const mustTake = items.length === 0;
        const room = { bytesMax: bytesMax - bytes, entriesMax: entriesMax - entries, mustTake };
        const more = room.entriesMax <= 0 ? [] : this.#itemsOf(row, floor, room);
        for (const item of more) {
          items.push(item);
          entries += item.kind === "gap" ? 1 : item.entryCount;
          if (item.kind === "entries") bytes += item.frames.length;
        }
        if (bytes >= bytesMax || entries >= entriesMax || (more.at(-1)?.lastSequence ?? 0) < row.lastSequence)
          break;
      }
      previous = row;
    }
    return items;
  }

  /** What of the row fits; nothing when its first entry does not fit and need not be taken. */
  #itemsOf(row: QueueRow, floor: number, room: Room): QueueItem[] {
    const firstSequence = Math.max(row.firstSequence, floor + 1);
    const { lastSequence, entryCount, entries } = row;
    if (row.gap !== undefined) {
      return [{ kind: "gap", firstSequence, lastSequence, entryCount, reason: row.gap }];
    }
    if (!isIntact(row)) return [this.#corrupt(row, firstSequence)];
    if (row.added > 0) return this.#composed(row, floor, room);
    const isWhole =
      row.firstSequence > floor && entries.length <= room.bytesMax && entryCount <= room.entriesMax;
    if (isWhole) return [{ kind: "entries", firstSequence, lastSequence, entryCount, frames: entries }];
    return this.#partOf(row, floor, room);
  }

  /** The entries of a row of frames beyond `floor` that fit. */
  #partOf({ entries, firstSequence, ...row }: QueueRow, floor: number, room: Room): QueueItem[] {
    const from = passFrames(entries, { sequenceMax: floor }).at;
    const { entriesMax } = room;
    let stop = passFrames(entries, { from, bytesMax: from + room.bytesMax, entriesMax });
    if (stop.entryCount === 0) {
      const one = passFrames(entries, { from, entriesMax: 1 });
      if (one.entryCount === 0) {
        return [this.#corrupt({ ...row, entries, firstSequence }, Math.max(firstSequence, floor + 1))];
      }
      if (!room.mustTake) return [];
      stop = one;
    }
    return [
      {
        kind: "entries",
        firstSequence: frameSequenceAt(entries, from),
        lastSequence: stop.lastSequence,
        entryCount: stop.entryCount,
        frames: entries.subarray(from, stop.at),
      },
    ];
  }

  /** The same of a row with references: their frames are composed, and one whose part is lost leaves a gap. */
  #composed(row: QueueRow, floor: number, room: Room): QueueItem[] {
    const { entries } = row;
    const composition = new Composition();
    let { bytesMax, entriesMax } = room;
    for (
      let at = passFrames(entries, { sequenceMax: floor }).at;
      at < entries.length && entriesMax > 0;
      entriesMax--
    ) {
      const entryBytes = entryBytesAt(entries, at);
      if (entryBytes === 0) return [this.#corrupt(row, Math.max(row.firstSequence, floor + 1))];
      bytesMax -= frameBytesAt(entries, at);
      if (bytesMax < 0 && !(room.mustTake && composition.isEmpty)) break;
      const sequence = frameSequenceAt(entries, at);
      const frame = isReferenceAt(entries, at)
        ? this.#frame(entries, at)
        : entries.subarray(at, at + entryBytes);
      if (frame === undefined)
        this.#damage(row.key, sequence, "an entry's shared part is missing or damaged");
      composition.add(sequence, frame);
      at += entryBytes;
    }
    return composition.end();
  }

  #frame(entries: Uint8Array, at: number): Uint8Array | undefined {
    const reference = readReference(entries, at);
    const part = this.#parts.read(reference.part);
    return part && composeFrame(reference, part);
  }

  #corrupt(row: QueueRow, firstSequence: number): QueueItem {
    const what = row.isHeaderDamaged ? "header" : "frames";
    this.#damage(row.key, row.firstSequence, `a chunk's ${what} are damaged`);
    const { lastSequence, entryCount } = row;
    return { kind: "gap", firstSequence, lastSequence, entryCount, reason: "corrupt" };
  }

  /** What of it lies beyond `floor`: a device that was told of the gap is not told again. */
  #missingBetween(previous: QueueRow | undefined, row: QueueRow, floor: number): QueueItem | undefined {
    if (previous === undefined || row.gap !== undefined || row.firstSequence - 1 <= floor) return undefined;
    const entryCount = entriesBefore(row) - previous.entriesAfter;
    if (entryCount <= 0) return undefined;
    const firstSequence = previous.lastSequence + 1;
    this.#damage(row.key, firstSequence, `${entryCount} entries are missing`);
    return { kind: "gap", firstSequence, lastSequence: row.firstSequence - 1, entryCount, reason: "corrupt" };
  }

  #damage(key: Uint8Array, firstSequence: number, detail: string): void {
    this.#onDamage({ device: addressInKey(key), firstSequence, detail });
  }
}

/** Puts frames together to items, with gaps in the places of those that are lost. */
class Composition {
  readonly #items: QueueItem[] = [];
  #frames: Uint8Array[] = [];
  #first = 0;
  #last = 0;

  get isEmpty(): boolean {
    return this.#items.length === 0 && this.#frames.length === 0;
  }

  add(sequence: number, frame: Uint8Array | undefined): void {
    if (frame === undefined) {
      this.#close();
      const site = { firstSequence: sequence, lastSequence: sequence, entryCount: 1 };
      this.#items.push({ kind: "gap", ...site, reason: "corrupt" });
      return;
    }
    if (this.#frames.length === 0) this.#first = sequence;
    this.#last = sequence;
    this.#frames.push(frame);
  }

  end(): QueueItem[] {
    this.#close();
    return this.#items;
  }

  #close(): void {
    const { length } = this.#frames;
    if (length === 0) return;
    const frames = length === 1 ? (this.#frames[0] as Uint8Array) : concatBytes(this.#frames);
    const site = { firstSequence: this.#first, lastSequence: this.#last, entryCount: length };
    this.#items.push({ kind: "entries", ...site, frames });
    this.#frames = [];
  }
}

/**
 * Reads device queues as they are committed: rows in order, the size of a
 * queue, and what is to be delivered next. Changes nothing.
 *
 * Damage is met here. A row whose header is bad is rebuilt from its
 * neighbours: its count is the difference of their running totals (or 1, when
 * a neighbour is missing or bad too), its last sequence the one before the
 * next row's first. A row whose frames are bad keeps its header's numbers. A
 * row that is missing shows as a jump of the totals. All of them are delivered
 * as gaps with reason `corrupt`; nothing of their bytes is.
 */
import type { DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import type { GapReason } from "../wire/protocol.js";
import type { Database, Row } from "./database.js";
import { frameSequenceAt, passFrames } from "./frames.js";
import {
  addressInKey,
  areFramesIntact,
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  decodeChunkHeader,
  decodeNumber,
  deviceKey,
  firstSequenceInKey,
  queueEnd,
  queueKey,
} from "./schema.js";

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
export interface QueueRow extends ChunkHeader {
  readonly key: Uint8Array;
  readonly firstSequence: number;
  /** Empty in a gap. Their CRC is not yet checked. */
  readonly frames: Uint8Array;
  readonly value: Uint8Array;
  readonly isHeaderDamaged: boolean;
}

export const entriesBefore = (row: QueueRow): number => row.entriesAfter - row.entryCount;
export const bytesBefore = (row: QueueRow): number => row.bytesAfter - row.frames.length;

/** A device key as a map's key. */
export function nameOf(device: Uint8Array): string {
  return Buffer.from(device.buffer, device.byteOffset, device.length).toString("latin1");
}

function parse({ key, value }: Row): QueueRow | undefined {
  const header = decodeChunkHeader(key, value);
  if (header === undefined) return undefined;
  const frames = value.subarray(CHUNK_HEADER_BYTES);
  return { ...header, key, firstSequence: firstSequenceInKey(key), frames, value, isHeaderDamaged: false };
}

/** What can be known of a row with a bad header. */
function rebuild(row: Row, previous: QueueRow | undefined, next: Row | undefined): QueueRow {
  const firstSequence = firstSequenceInKey(row.key);
  const nextRow = next && parse(next);
  const frames = row.value.subarray(CHUNK_HEADER_BYTES);
  const before = previous?.entriesAfter;
  const entriesAfter = nextRow ? entriesBefore(nextRow) : (before ?? 0) + 1;
  return {
    gap: undefined,
    key: row.key,
    value: row.value,
    frames,
    firstSequence,
    lastSequence: next ? Math.max(firstSequence, firstSequenceInKey(next.key) - 1) : firstSequence,
    entryCount: before === undefined ? 1 : Math.max(1, entriesAfter - before),
    storedAtMs: previous?.storedAtMs ?? nextRow?.storedAtMs ?? 0,
    entriesAfter,
    bytesAfter: nextRow ? bytesBefore(nextRow) : (previous?.bytesAfter ?? 0) + frames.length,
    isHeaderDamaged: true,
  };
}

/** True when every byte of the row is as it was stored. */
export function isIntact(row: QueueRow): boolean {
  return !row.isHeaderDamaged && (row.gap !== undefined || areFramesIntact(row.value));
}

/** How many entries of the row come after `floor`. Frames that cannot be trusted count whole. */
export function entriesAbove(row: QueueRow, floor: number): number {
  if (row.lastSequence <= floor) return 0;
  if (row.firstSequence > floor || row.gap !== undefined || !isIntact(row)) return row.entryCount;
  return row.entryCount - passFrames(row.frames, { sequenceMax: floor }).entryCount;
}

/** What a call of items() still takes. */
interface Room {
  readonly bytesMax: number;
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
  readonly #onDamage: (site: DamageSite) => void;

  constructor(database: Database, onDamage: (site: DamageSite) => void) {
    this.#database = database;
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

  /** The row under `key`, which must exist. */
  rowAt(device: Uint8Array, key: Uint8Array): QueueRow {
    const [row] = this.walk(device, key);
    assert(row !== undefined, "a key that was found has its row");
    return row;
  }

  /** The queue's last row. */
  tail(device: Uint8Array): QueueRow | undefined {
    const range = { start: queueEnd(device), end: device };
    const [last] = this.#database.rowsBackward("queues", { ...range, limit: 1 });
    if (last === undefined) return undefined;
    const row = parse(last);
    if (row !== undefined) return row;
    const [, before] = this.#database.rowsBackward("queues", { ...range, limit: 2 });
    return rebuild(last, before && parse(before), undefined);
  }

  /** The first row that holds entries; gaps stand before it. */
  firstEntries(device: Uint8Array): QueueRow | undefined {
    for (const row of this.walk(device)) if (row.gap === undefined) return row;
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
    if (floor === 0)
      return this.#database.lastKey("queues", { start: queueEnd(device), end: device }) !== undefined;
    return (this.tail(device)?.lastSequence ?? 0) > floor;
  }

  /**
   * Items beyond `floor`, in order: at least one if there is any; of frames at
   * most `bytesMax`, or one whole frame.
   */
  items(address: DeviceAddress, floor: number, bytesMax: number): QueueItem[] {
    const device = deviceKey(address);
    const items: QueueItem[] = [];
    let bytes = 0;
    let previous: QueueRow | undefined;
    for (const row of this.walk(device, this.keyAtOrBefore(device, floor) ?? device)) {
      if (row.lastSequence > floor) {
        const missing = this.#missingBetween(previous, row);
        if (missing) items.push(missing);
        const item = this.#item(row, floor, { bytesMax: bytesMax - bytes, mustTake: items.length === 0 });
        if (item === undefined) break;
        items.push(item);
        if (item.kind === "entries") bytes += item.frames.length;
        if (bytes >= bytesMax || item.lastSequence < row.lastSequence) break;
      }
      previous = row;
    }
    return items;
  }

  /** The row as an item; undefined when its first entry does not fit and need not be taken. */
  #item(row: QueueRow, floor: number, room: Room): QueueItem | undefined {
    const firstSequence = Math.max(row.firstSequence, floor + 1);
    const { lastSequence } = row;
    if (row.gap !== undefined) {
      return { kind: "gap", firstSequence, lastSequence, entryCount: row.entryCount, reason: row.gap };
    }
    if (!isIntact(row)) return this.#corrupt(row, firstSequence);
    if (row.firstSequence > floor && row.frames.length <= room.bytesMax) {
      return { kind: "entries", firstSequence, lastSequence, entryCount: row.entryCount, frames: row.frames };
    }
    return this.#part(row, floor, room);
  }

  /** The entries of a row beyond `floor` that fit. */
  #part(row: QueueRow, floor: number, room: Room): QueueItem | undefined {
    const from = passFrames(row.frames, { sequenceMax: floor }).at;
    let stop = passFrames(row.frames, { from, bytesMax: from + room.bytesMax });
    if (stop.entryCount === 0) {
      const one = passFrames(row.frames, { from, entriesMax: 1 });
      if (one.entryCount === 0) return this.#corrupt(row, Math.max(row.firstSequence, floor + 1));
      if (!room.mustTake) return undefined;
      stop = one;
    }
    return {
      kind: "entries",
      firstSequence: frameSequenceAt(row.frames, from),
      lastSequence: stop.lastSequence,
      entryCount: stop.entryCount,
      frames: row.frames.subarray(from, stop.at),
    };
  }

  #corrupt(row: QueueRow, firstSequence: number): QueueItem {
    const what = row.isHeaderDamaged ? "header" : "frames";
    this.#damage(row.key, row.firstSequence, `a chunk's ${what} are damaged`);
    const { lastSequence, entryCount } = row;
    return { kind: "gap", firstSequence, lastSequence, entryCount, reason: "corrupt" };
  }

  #missingBetween(previous: QueueRow | undefined, row: QueueRow): QueueItem | undefined {
    if (previous === undefined || row.gap !== undefined) return undefined;
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

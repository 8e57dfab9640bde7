/** The part of check.ts that reads device queues: each as a whole, in one snapshot. */
import { deviceParts } from "../base/address.js";
import type { CheckReport } from "./check-report.js";
import type { Checker } from "./checker.js";
import { addedBy } from "./chunk-rows.js";
import { entryBytesAt, isReferenceAt, partAt, passFrames } from "./frames.js";
import {
  addedBefore,
  bytesBefore,
  entriesBefore,
  isIntact,
  QueueReader,
  type QueueRow,
} from "./queue-reader.js";
import { addressInKey, DEVICE_KEY_BYTES, decodeNumber, queueEnd } from "./schema.js";

/** Empty when the frames are what the header says. */
function faultInFrames(row: QueueRow): string {
  const { entries: frames } = row;
  let at = 0;
  let count = 0;
  let previous = row.firstSequence - 1;
  while (at < frames.length) {
    const one = passFrames(frames, { from: at, entriesMax: 1 });
    if (one.entryCount === 0) return "its entries are no deliver frames or references";
    if (one.lastSequence <= previous) return "its sequences do not rise";
    if (count === 0 && one.lastSequence !== row.firstSequence) return "its key is not its first sequence";
    previous = one.lastSequence;
    at = one.at;
    count++;
  }
  if (addedBy(frames) !== row.added) return "its references add something else than it says";
  if (previous !== row.lastSequence) return "its last sequence is not the one it says";
  return count === row.entryCount ? "" : `it holds ${count} entries and says ${row.entryCount}`;
}

/** Empty when `row` may follow `previous`. */
function faultBetween(previous: QueueRow, row: QueueRow): string {
  if (row.firstSequence <= previous.lastSequence) return "its sequences begin before the previous row's end";
  if (row.isHeaderDamaged || previous.isHeaderDamaged) return "";
  if (row.gap !== undefined) {
    if (previous.gap === undefined) return "a gap stands behind entries";
    return entriesBefore(row) < previous.entriesAfter ? "its totals overlap the previous row's" : "";
  }
  const missing = entriesBefore(row) - previous.entriesAfter;
  if (missing !== 0) return missing > 0 ? `${missing} entries before it are missing` : "its totals overlap";
  if (addedBefore(row) !== previous.addedAfter)
    return "what its references add does not follow from the previous row's";
  return bytesBefore(row) === previous.bytesAfter ? "" : "its bytes do not follow from the previous row's";
}

class QueueCheck {
  readonly counts = { devices: 0, rows: 0, entries: 0, gapEntries: 0, bytes: 0 };
  readonly #checker: Checker;
  readonly #reader: QueueReader;

  constructor(checker: Checker) {
    this.#checker = checker;
    this.#reader = new QueueReader(checker.database, { read: () => undefined }, () => {});
  }

  queue(device: Uint8Array): void {
    const address = addressInKey(device);
    this.counts.devices++;
    this.#checker.requirePartition("queues", device);
    let previous: QueueRow | undefined;
    for (const row of this.#reader.walk(device)) {
      const number = row.firstSequence;
      if (previous === undefined) {
        this.#floor(device, row);
        this.#checker.requireRegistered("queues", address, number);
      } else {
        const detail = faultBetween(previous, row);
        if (detail) this.#checker.find({ table: "queues", kind: "order", detail, address, number });
      }
      this.#row(device, row);
      previous = row;
    }
  }

  #row(device: Uint8Array, row: QueueRow): void {
    const address = addressInKey(device);
    const number = row.firstSequence;
    this.counts.rows++;
    if (row.gap !== undefined) {
      this.counts.gapEntries += row.entryCount;
      return;
    }
    const { brand } = deviceParts(address);
    this.counts.entries += row.entryCount;
    this.counts.bytes += row.entries.length;
    this.#checker.brandBytes.set(brand, (this.#checker.brandBytes.get(brand) ?? 0) + row.entries.length);
    if (!isIntact(row)) {
      const detail = `its ${row.isHeaderDamaged ? "header" : "frames"} are damaged`;
      this.#checker.find({ table: "queues", kind: "damaged", detail, address, number });
      return;
    }
    if (row.added > 0) this.#countReferences(row);
    const detail = faultInFrames(row);
    if (detail) this.#checker.find({ table: "queues", kind: "order", detail, address, number });
  }

  #countReferences({ entries }: QueueRow): void {
    const { references } = this.#checker;
    for (let at = 0; at < entries.length; ) {
      const bytes = entryBytesAt(entries, at);
      if (bytes === 0) return;
      if (isReferenceAt(entries, at))
        references.set(partAt(entries, at), (references.get(partAt(entries, at)) ?? 0) + 1);
      at += bytes;
    }
  }

  #floor(device: Uint8Array, first: QueueRow): void {
    const row = this.#checker.database.get("floors", device);
    if (row === undefined) return;
    const floor = decodeNumber(device, row);
    const address = addressInKey(device);
    if (floor === undefined) {
      this.#checker.find({ table: "floors", kind: "damaged", detail: "the row is damaged", address });
    } else if (floor < first.firstSequence || floor >= first.lastSequence) {
      const detail = `the floor ${floor} is not inside the queue's first row`;
      this.#checker.find({ table: "floors", kind: "order", detail, address });
    }
  }
}

export async function checkQueues(checker: Checker): Promise<CheckReport["queues"]> {
  const check = new QueueCheck(checker);
  let start: Uint8Array | undefined;
  try {
    for (;;) {
      checker.database.refresh();
      const [key] = checker.database.keys("queues", { ...(start && { start }), limit: 1 });
      if (key === undefined) break;
      const device = key.slice(0, DEVICE_KEY_BYTES);
      check.queue(device);
      start = queueEnd(device);
      if (check.counts.devices % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    checker.find({ table: "queues", kind: "unreadable", detail: (error as Error).message });
  }
  await checker.eachRow("floors", ({ key }) => {
    const [first] = checker.database.keys("queues", { start: key, end: queueEnd(key), limit: 1 });
    if (first !== undefined) return;
    const address = addressInKey(key);
    checker.find({ table: "floors", kind: "reference", detail: "its device has no queue", address });
  });
  return check.counts;
}

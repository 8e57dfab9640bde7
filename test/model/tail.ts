/**
 * The model of the journal's tail: records in a ring of bytes, from the oldest not released to the one being written,
 * and what their bytes are. Offsets count from the ring's beginning.
 *
 * A piece of a record must lie in one stretch. It fits where the last one ended, or else at the ring's beginning, when
 * at least 64 bytes stay free behind it and its record's header; a record that cannot go on is closed there.
 */
import type { ModelDevice } from "./residents.js";

const HEADER_BYTES = 64;
const ACK_BYTES = 32;
const SPARE_BYTES = 64;
const RECORDS_MAX = 16381;

/** One ciphertext for one device. */
export interface Item {
  readonly sender: Uint8Array;
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
  readonly sequence: number;
}

export interface Run {
  readonly device: ModelDevice;
  readonly first: number;
  /** One deliver frame an entry. */
  readonly frames: readonly Uint8Array[];
  isScanned: boolean;
}

interface TailRecord {
  readonly number: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly runs: readonly Run[];
  readonly sealedAtMs: number;
  isCommitted: boolean;
  isScanned: boolean;
}

interface OpenRecord {
  readonly offset: number;
  readonly parts: Uint8Array[];
  readonly runs: Run[];
}

export class Tail {
  records: TailRecord[] = [];
  open: OpenRecord | undefined;
  /** Devices whose floor goes into the next record that has room for it, the newest first. */
  readonly acksWaiting: ModelDevice[] = [];
  /** Bytes of runs and acks that are in no committed record. */
  uncommittedBytes = 0;
  private write = 0;
  private timeMs = 0;
  private sealedAtMs = 0;

  constructor(
    private readonly size: number,
    private readonly uncommittedBytesMax: number,
    private nextNumber: number,
  ) {}

  /** Where the oldest byte still needed lies; undefined when the tail is empty. */
  private get oldest(): number | undefined {
    return this.records[0]?.offset ?? this.open?.offset;
  }

  hasRoom(bytes: number): boolean {
    if (this.uncommittedBytes + bytes > this.uncommittedBytesMax) return false;
    if (this.records.length > RECORDS_MAX) return false;
    const need = bytes + HEADER_BYTES + SPARE_BYTES;
    const { oldest, write } = this;
    if (oldest === undefined) return need < this.size;
    if (write < oldest) return need < oldest - write;
    return need < this.size - write || need < oldest;
  }

  /** Opens a record unless one is open that takes so many bytes more; room for them there is. */
  prepare(bytes: number, nowMs: number): void {
    this.timeMs = nowMs;
    const { oldest } = this;
    if (oldest === undefined) this.write = 0;
    const isFirstStretch = oldest === undefined || this.write >= oldest;
    if (isFirstStretch && bytes + HEADER_BYTES + SPARE_BYTES >= this.size - this.write) {
      if (this.open !== undefined) this.close();
      this.write = 0;
    }
    if (this.open !== undefined) return;
    this.open = { offset: this.write, parts: [], runs: [] };
    this.write += HEADER_BYTES;
  }

  addRun(run: Run, bytes: Uint8Array): void {
    const { parts, runs } = this.open as OpenRecord;
    parts.push(bytes);
    runs.push(run);
    this.grow(bytes.length);
  }

  private grow(bytes: number): void {
    this.write += bytes;
    this.uncommittedBytes += bytes;
  }

  /** Closes the record that is open, or is needed for something that no record holds yet; true when it did. */
  seal(nowMs: number, monotonicMs: number, isNeeded: boolean): boolean {
    this.timeMs = nowMs;
    this.sealedAtMs = monotonicMs;
    if (this.open === undefined && isNeeded && this.hasRoom(ACK_BYTES)) this.prepare(ACK_BYTES, nowMs);
    if (this.open === undefined) return false;
    this.close();
    return true;
  }

  /** A record that is closed because a piece does not fit has the age of the seal before. */
  private close(): void {
    const { offset, parts, runs } = this.open as OpenRecord;
    const runsBytes = parts.reduce((sum, part) => sum + part.length, 0);
    const acks = this.takeAcks();
    const bytes = recordBytes({ number: this.nextNumber, timeMs: this.timeMs, runsBytes, parts, acks });
    this.records.push({
      number: this.nextNumber++,
      offset,
      bytes,
      runs,
      sealedAtMs: this.sealedAtMs,
      isCommitted: false,
      isScanned: false,
    });
    this.open = undefined;
  }

  private takeAcks(): Uint8Array[] {
    const oldest = this.records[0]?.offset;
    const end = oldest !== undefined && this.write < oldest ? oldest : this.size;
    const acks: Uint8Array[] = [];
    while (this.acksWaiting.length > 0 && this.write + ACK_BYTES + SPARE_BYTES < end) {
      const device = this.acksWaiting.pop() as ModelDevice;
      device.isAckWaiting = false;
      acks.push(ackBytes(device));
      this.grow(ACK_BYTES);
    }
    return acks;
  }

  get uncommitted(): TailRecord[] {
    return this.records.slice(this.records.findLastIndex((record) => record.isCommitted) + 1);
  }

  commit(recordCount: number): void {
    for (const record of this.uncommitted.slice(0, recordCount)) {
      record.isCommitted = true;
      this.uncommittedBytes -= record.bytes.length - HEADER_BYTES;
    }
  }

  /** From the oldest byte needed to the place of writing, with what is left unused before the ring's end. */
  get used(): number {
    const { oldest, write } = this;
    if (oldest === undefined) return 0;
    return write >= oldest ? write - oldest : this.size - (oldest - write);
  }

  oldestAgeMs(monotonicMs: number): number {
    const record = this.records.find((candidate) => !candidate.isScanned);
    return record?.isCommitted ? monotonicMs - record.sealedAtMs : 0;
  }

  /** The oldest committed runs that were not looked at before, and the last record of which all were. */
  scan(runsBudget: number, take: (run: Run) => boolean): { seen: number; record: number } {
    let seen = 0;
    let record = 0;
    for (const candidate of this.records) {
      if (!candidate.isCommitted) break;
      if (candidate.isScanned) continue;
      for (const run of candidate.runs) {
        if (run.isScanned) continue;
        if (seen === runsBudget || !take(run)) return { seen, record };
        run.isScanned = true;
        seen++;
      }
      candidate.isScanned = true;
      record = candidate.number;
    }
    return { seen, record };
  }

  /** Gives up everything that was scanned. */
  release(): void {
    for (const record of this.records) {
      for (const run of record.runs) {
        if (run.isScanned) run.device.runs = run.device.runs.filter((kept) => kept !== run);
      }
    }
    this.records = this.records.filter((record) => !record.isScanned);
  }
}

/** A deliver frame: [33, sequence, sender, id, timeMs, payload] in its fixed shape. */
export function deliverFrame(item: Item, timeMs: number): Uint8Array {
  const frame = Buffer.alloc(65 + item.payload.length);
  frame.set([0x96, 33, 0xcf], 0);
  frame.writeBigUInt64BE(BigInt(item.sequence), 3);
  frame.set([0xc4, 20], 11);
  frame.set(item.sender, 13);
  frame.set([0xc4, 16], 33);
  frame.set(item.id, 35);
  frame[51] = 0xcf;
  frame.writeBigUInt64BE(BigInt(timeMs), 52);
  frame[60] = 0xc6;
  frame.writeUInt32BE(item.payload.length, 61);
  frame.set(item.payload, 65);
  return frame;
}

/** A receipt frame: [34, position, 2] in its fixed shape. */
export function receiptFrame(position: number): Uint8Array {
  const frame = Buffer.from([0x93, 34, 0xce, 0, 0, 0, 0, 2]);
  frame.writeUInt32BE(position, 3);
  return frame;
}

/** A run in a record. */
export function runBytes(run: Run): Uint8Array {
  const frames = Buffer.concat(run.frames);
  const bytes = Buffer.alloc(HEADER_BYTES + Math.ceil(frames.length / 8) * 8);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(frames.length, 4);
  bytes.writeUInt32LE(run.frames.length, 8);
  bytes.writeBigUInt64LE(BigInt(run.first), 16);
  bytes.writeBigUInt64LE(BigInt(run.first + run.frames.length - 1), 24);
  bytes.set(run.device.address, 32);
  bytes.set(frames, HEADER_BYTES);
  return bytes;
}

function ackBytes(device: ModelDevice): Uint8Array {
  const bytes = Buffer.alloc(ACK_BYTES);
  bytes.set(device.address, 0);
  bytes.writeBigUInt64LE(BigInt(device.floor), 24);
  return bytes;
}

function recordBytes(record: {
  readonly number: number;
  readonly timeMs: number;
  readonly runsBytes: number;
  readonly parts: readonly Uint8Array[];
  readonly acks: readonly Uint8Array[];
}): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("ILJ1", "latin1");
  header.writeUInt16LE(1, 4);
  header.writeUInt32LE(HEADER_BYTES + record.runsBytes + ACK_BYTES * record.acks.length, 8);
  header.writeUInt32LE(record.runsBytes, 12);
  header.writeUInt32LE(record.acks.length, 16);
  header.writeBigUInt64LE(BigInt(record.number), 24);
  header.writeBigUInt64LE(BigInt(record.timeMs), 32);
  return Buffer.concat([header, ...record.parts, ...record.acks]);
}

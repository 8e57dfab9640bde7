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

/** One ciphertext for one device; with `part` it is the block beside that. */
export interface Item {
  readonly sender: Uint8Array;
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
  readonly sequence: number;
  readonly part?: Part;
  /** From a device of the own account to this one alone. */
  readonly isOwn: boolean;
}

/** What a send says to everybody. */
export interface Part {
  readonly number: number;
  readonly payload: Uint8Array;
  readonly group?: { readonly address: Uint8Array; readonly version: number };
}

export interface Run {
  readonly device: ModelDevice;
  readonly first: number;
  /** The frame of each entry. */
  readonly frames: readonly Uint8Array[];
  /** What lies in the run for each entry: its frame, or a reference. */
  readonly entries: readonly Uint8Array[];
  readonly hasReferences: boolean;
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

  addPart(bytes: Uint8Array): void {
    (this.open as OpenRecord).parts.push(bytes);
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

/** What a device is sent for an item. */
export function frameOf(item: Item, timeMs: number): Uint8Array {
  const { part } = item;
  if (part === undefined) return deliverFrame(item, timeMs);
  const head = Buffer.alloc(11);
  head.set([part.group === undefined ? 0x97 : 0x99, part.group === undefined ? 44 : 45, 0xcf]);
  head.writeBigUInt64BE(BigInt(item.sequence), 3);
  const blockHead = Buffer.from([0xc5, item.payload.length >> 8, item.payload.length & 0xff]);
  return Buffer.concat([head, middleOf(item, timeMs), blockHead, item.payload, sharedOf(part)]);
}

/** Of a shared frame: sender, id and time, then the group and its version if it has one. */
function middleOf({ sender, id, part }: Pick<Item, "sender" | "id" | "part">, timeMs: number): Uint8Array {
  const time = Buffer.alloc(9);
  time[0] = 0xcf;
  time.writeBigUInt64BE(BigInt(timeMs), 1);
  const pieces = [Buffer.from([0xc4, 20]), sender, Buffer.from([0xc4, 16]), id, time];
  if (part?.group !== undefined) {
    const version = Buffer.alloc(5);
    version[0] = 0xce;
    version.writeUInt32BE(part.group.version, 1);
    pieces.push(Buffer.from([0xc4, 18]), part.group.address, version);
  }
  return Buffer.concat(pieces);
}

function sharedOf({ payload }: Part): Uint8Array {
  const head = Buffer.alloc(5);
  head[0] = 0xc6;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** What lies in a run for an item. */
export function entryOf(item: Item, timeMs: number): Uint8Array {
  const { part } = item;
  if (part === undefined) return deliverFrame(item, timeMs);
  const entry = Buffer.alloc(24);
  entry.set([0xc1, part.group === undefined ? 44 : 45]);
  entry.writeBigUInt64BE(BigInt(item.sequence), 3);
  entry.writeUInt16LE(item.payload.length, 12);
  entry.writeUIntLE(part.number, 14, 6);
  entry.writeUInt32LE(frameOf(item, timeMs).length, 20);
  return Buffer.concat([entry, item.payload]);
}

/** A shared part in a record. */
export function partBytes(
  part: Part,
  of: { sender: Uint8Array; id: Uint8Array },
  timeMs: number,
): Uint8Array {
  const middle = middleOf({ ...of, part }, timeMs);
  const shared = sharedOf(part);
  const bytes = Buffer.alloc(Math.ceil((32 + middle.length + shared.length) / 8) * 8);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(part.payload.length, 4);
  bytes.writeUInt32LE(2, 12);
  bytes.writeBigUInt64LE(BigInt(part.number), 16);
  bytes.set([part.group === undefined ? 44 : 45, middle.length], 24);
  bytes.set(middle, 32);
  bytes.set(shared, 32 + middle.length);
  return bytes;
}

/** A deliver frame: [33 or 46, sequence, sender, id, timeMs, payload] in its fixed shape. */
function deliverFrame(item: Item, timeMs: number): Uint8Array {
  const frame = Buffer.alloc(65 + item.payload.length);
  frame.set([0x96, item.isOwn ? 46 : 33, 0xcf], 0);
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
  const entries = Buffer.concat(run.entries);
  const bytes = Buffer.alloc(HEADER_BYTES + Math.ceil(entries.length / 8) * 8);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(entries.length, 4);
  bytes.writeUInt32LE(run.entries.length, 8);
  bytes.writeUInt32LE(run.hasReferences ? 1 : 0, 12);
  bytes.writeBigUInt64LE(BigInt(run.first), 16);
  bytes.writeBigUInt64LE(BigInt(run.first + run.frames.length - 1), 24);
  bytes.set(run.device.address, 32);
  bytes.set(entries, HEADER_BYTES);
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

/**
 * The kernels' host: it moves messages into the inbox, and gives typed access to the columns and to the tail; whom the kernel
 * knows is in kernel-tables.ts, its memory in kernel-memory.ts, and wasm.ts loads it. It decides nothing. The calls mirror
 * assembly/index.ts, where each is explained; assembly/layout.ts holds the offsets that both sides use.
 *
 * Everything is synchronous, and views on the memory stay valid for ever because the memory never grows after
 * construction. What a column holds is valid until the next call that fills it.
 */
import * as L from "../../assembly/layout.js";
import { ACCOUNT_ADDRESS_BYTES } from "../base/address.js";
import { assert } from "../base/assert.js";
import { type Counters, counterFields } from "./counters.js";
import { KernelTables } from "./kernel-tables.js";
import type { KernelSizes, SealedBatch, SpillRow } from "./shapes.js";
import { type Call, randomSeeds } from "./wasm.js";

export type * from "./shapes.js";

/** The code of an outcome that is no refusal but a control frame for the host. */
export const OUTCOME_CONTROL = L.OUTCOME_CONTROL;

export const statuses = {
  done: L.STATUS_DONE,
  accounts: L.STATUS_ACCOUNTS,
  again: L.STATUS_AGAIN,
  group: L.STATUS_GROUP,
} as const;

export class Kernel extends KernelTables {
  readonly inboxAt: number;
  readonly inboxEnd: number;
  private readonly dedupLogAt: number;
  private readonly composeSend: Call;
  private composedAt = 0;
  private composedView: Uint8Array = new Uint8Array(0);
  private inboxWrite: number;

  /**
   * `firstPart` is the number of the first shared part, above those of all that are stored; `build` is one of the two
   * that belong to the engine, or a file with another.
   */
  constructor(
    sizes: KernelSizes,
    { epoch, firstPart }: { readonly epoch: number; readonly firstPart: number },
    build: "release" | "debug" | URL = "release",
  ) {
    super(sizes, build);
    const { region } = this;
    const seeds = randomSeeds();
    const [seedA, seedB] = [seeds[0] as number, seeds[1] as number];
    this.call("start")(seedA, seedB, epoch, sizes.dedupMs, sizes.uncommittedBytes, firstPart);
    this.inboxAt = region("inbox");
    this.inboxEnd = this.inboxAt + sizes.inboxBytes;
    this.inboxWrite = this.inboxAt;
    this.dedupLogAt = region("dedupLog");
    this.composeSend = this.call("composeSend");
  }

  // The inbox.

  /** Copies one message in; false when the inbox is full until the next tick. */
  push(slot: number, connection: number, message: Uint8Array): boolean {
    const at = this.inboxWrite;
    const next = at + L.MESSAGE_HEADER_BYTES + ((message.length + 7) & ~7);
    if (next > this.inboxEnd) return false;
    this.words[at >> 2] = slot;
    this.words[(at + L.MESSAGE_CONNECTION) >> 2] = connection;
    this.words[(at + L.MESSAGE_BYTES) >> 2] = message.length;
    this.bytes.set(message, at + L.MESSAGE_HEADER_BYTES);
    this.inboxWrite = next;
    return true;
  }

  get inboxUsed(): number {
    return this.inboxWrite - this.inboxAt;
  }

  /** One step of the turn; after `done` the inbox is empty. */
  tick(nowMs: number, monotonicMs: number): number {
    return this.call("tick")(this.inboxAt, this.inboxWrite, nowMs, monotonicMs);
  }

  clearInbox(): void {
    this.inboxWrite = this.inboxAt;
  }

  /** How many accounts tick asked for. */
  get neededCount(): number {
    return this.control(L.CONTROL_NEEDED);
  }

  /** Whether they are members of a group that is sent to. */
  get areMembersNeeded(): boolean {
    return this.control(L.CONTROL_NEEDED_MEMBERS) !== 0;
  }

  /** The address (18 bytes, a copy) of one of them. */
  neededAccount(i: number): Uint8Array {
    return this.addressAt(this.word(this.at.needed + 4 * i));
  }

  /** The address (18 bytes, a copy) of the group that tick asked for. */
  neededGroup(): Uint8Array {
    return this.addressAt(this.control(L.CONTROL_NEEDED));
  }

  private addressAt(at: number): Uint8Array {
    return this.bytes.slice(at, at + ACCOUNT_ADDRESS_BYTES);
  }

  /** The slot whose send asks for them. */
  neededBy(): number {
    return this.control(L.CONTROL_NEEDED_BY);
  }

  // Columns.

  get sendCount(): number {
    return this.control(L.CONTROL_SENDS);
  }

  sendSlot(i: number): number {
    return this.word(this.at.sends + i * L.SEND_BYTES + L.SEND_SLOT);
  }

  /** The bytes to send, a view; what is composed is good until the next call, and of tailSpans. */
  sendBytes(i: number): Uint8Array {
    const row = this.at.sends + i * L.SEND_BYTES;
    const length = this.word(row + L.SEND_LENGTH);
    if (this.word(row + L.SEND_STORED) !== 0) return this.composed(this.composeSend(i) >>> 0, length);
    const from = this.word(row + L.SEND_OFFSET);
    return this.bytes.subarray(from, from + length);
  }

  /** Members of a group are sent frames of one length from one place: one view serves them all. */
  private composed(from: number, length: number): Uint8Array {
    if (this.composedAt !== from || this.composedView.length !== length) {
      this.composedAt = from;
      this.composedView = this.bytes.subarray(from, from + length);
    }
    return this.composedView;
  }

  clearSends(): void {
    this.words[(this.at.control + L.CONTROL_SENDS) >> 2] = 0;
  }

  get outcomeCount(): number {
    return this.control(L.CONTROL_OUTCOMES);
  }

  outcome(i: number): { slot: number; code: number; frame: Uint8Array; position: number } {
    const row = this.at.outcomes + i * L.OUTCOME_BYTES;
    const from = this.word(row + L.OUTCOME_FRAME);
    return {
      slot: this.word(row + L.OUTCOME_SLOT),
      code: this.word(row + L.OUTCOME_CODE),
      frame: this.bytes.subarray(from, from + this.word(row + L.OUTCOME_FRAME_BYTES)),
      position: this.word(row + L.OUTCOME_POSITION),
    };
  }

  clearOutcomes(): void {
    this.words[(this.at.control + L.CONTROL_OUTCOMES) >> 2] = 0;
  }

  /** The slots that want the host's look since the last call; each once. */
  takeAttention(): number[] {
    const n = this.control(L.CONTROL_ATTENTION);
    const slots: number[] = [];
    for (let i = 0; i < n; i++) {
      const slot = this.word(this.at.attention + 4 * i);
      this.words[this.slotAt(slot) >> 2] = this.flags(slot) & ~L.FLAG_ATTENTION;
      slots.push(slot);
    }
    this.words[(this.at.control + L.CONTROL_ATTENTION) >> 2] = 0;
    return slots;
  }

  // The tail, its journal and the receipts.

  /** Frames of the device in the tail above its cursor: views on the tail, or composed and good until the next call. */
  tailSpans(
    slot: number,
    bytesMax: number,
    entriesMax: number,
  ): { frames: Uint8Array; entries: number; last: number }[] {
    const n = this.call("tailSpans")(slot, bytesMax, entriesMax);
    const spans = [];
    for (let i = 0; i < n; i++) {
      const row = this.at.spans + i * L.SPAN_BYTES;
      const from = this.word(row + L.SPAN_OFFSET);
      spans.push({
        frames: this.bytes.subarray(from, from + this.word(row + L.SPAN_LENGTH)),
        entries: this.word(row + L.SPAN_ENTRIES),
        last: this.floats[(row + L.SPAN_LAST) >> 3] as number,
      });
    }
    return spans;
  }

  /** Closes what was accepted since the last seal; undefined when there is nothing to commit. */
  seal(nowMs: number, monotonicMs: number): SealedBatch | undefined {
    const n = this.call("seal")(nowMs, monotonicMs);
    if (n === 0) return undefined;
    const records = [];
    for (let i = 0; i < n; i++) {
      const record = this.call("sealedRecord")(i) >>> 0;
      const from = this.word(record + L.RECORD_OFFSET);
      records.push({
        number: this.wide(record + L.RECORD_NUMBER),
        bytes: this.bytes.subarray(from, from + this.word(record + L.RECORD_LENGTH)),
      });
    }
    const dedupBytes = this.control(L.CONTROL_DEDUP_LOG_KEYS) * 20;
    return {
      records,
      dedupKeys: this.bytes.slice(this.dedupLogAt, this.dedupLogAt + dedupBytes),
      receiptLogEnd: this.control(L.CONTROL_RECEIPT_LOG_END),
    };
  }

  /** The batch is flushed: its receipts are due from now on. */
  committed(batch: SealedBatch, monotonicMs: number): void {
    this.call("commitRecords")(batch.records.length);
    this.call("settleReceipts")(batch.receiptLogEnd, monotonicMs);
  }

  /** Puts before the frames of each send, which must be a tick's, the receipt that its device is due. */
  rideReceipts(): void {
    this.call("rideReceipts")();
  }

  /** Fills the sends with receipts that waited at least `holdMs`, at most `max`, which the control block has room for. */
  collectReceipts(monotonicMs: number, holdMs: number, max: number): number {
    const room = L.CONTROL_BYTES / 2;
    assert(max * L.RECEIPT_BYTES <= room, "more receipts than the control block takes");
    return this.call("collectReceipts")(monotonicMs, holdMs, this.at.control + room, max);
  }

  get dueReceipts(): number {
    return this.call("dueCount")();
  }

  get uncommittedBytes(): number {
    return this.call("uncommittedBytes")();
  }

  /** Whether receipts wait for a seal: of what lies in the open record, or of sends that left nothing in it. */
  get hasUnsealedReceipts(): boolean {
    return this.call("unsealedReceipts")() !== 0;
  }

  get dirtyAcks(): number {
    return this.call("dirtyAckTotal")();
  }

  get tailUsed(): number {
    return this.call("tailUse")();
  }

  oldestRecordAgeMs(monotonicMs: number): number {
    return this.call("oldestRecordAgeMs")(monotonicMs);
  }

  /** Looks at the oldest committed runs; the unacked ones come as rows. `record` is the last one wholly seen, 0 if none. */
  spillScan(runsBudget: number): { seen: number; record: number; rows: SpillRow[] } {
    const seen = this.call("spillScan")(runsBudget);
    const rows: SpillRow[] = [];
    for (let i = 0; i < this.control(L.CONTROL_SPILLS); i++) {
      const row = this.at.spills + i * L.SPILL_BYTES;
      const from = this.word(row + L.SPILL_OFFSET);
      const slot = this.word(row + L.SPILL_SLOT);
      rows.push({
        device: this.address(slot),
        firstSequence: this.floats[(row + L.SPILL_FIRST) >> 3] as number,
        lastSequence: this.floats[(row + L.SPILL_LAST) >> 3] as number,
        entryCount: this.word(row + L.SPILL_ENTRIES),
        frames: this.bytes.subarray(from, from + this.word(row + L.SPILL_LENGTH)),
        hasReferences: this.word(row + L.SPILL_SHARED) !== 0,
      });
    }
    return { seen, record: this.floats[(this.at.control + L.CONTROL_SPILL_RECORD) >> 3] as number, rows };
  }

  /** The shared part to which references of the last spillScan's rows refer; a view on the tail. */
  part(number: number): Uint8Array {
    const at = this.call("partAt")(number % 2 ** 32) >>> 0;
    assert(this.wide(at + 16) === number, "a part that is referred to is in the tail");
    return this.bytes.subarray(at, at + this.word(at));
  }

  /** What the last spillScan saw is in the queues or acked: its place in the tail is free again. */
  release(): void {
    this.call("release")();
  }

  /** Takes keys into the dedup window, oldest first, through the inbox (which must be empty). */
  restoreDedup(keys: Uint8Array, monotonicMs: number): void {
    assert(this.inboxWrite === this.inboxAt && keys.length % 20 === 0, "whole keys, and an empty inbox");
    const batch = Math.floor((this.inboxEnd - this.inboxAt) / 21);
    for (let from = 0; from < keys.length; from += batch * 20) {
      const part = keys.subarray(from, Math.min(keys.length, from + batch * 20));
      this.bytes.set(part, this.inboxAt);
      this.call("dedupBatch")(this.inboxAt, part.length / 20, this.inboxAt + part.length, monotonicMs);
    }
  }

  /** Answers, one byte a key (1 known, 0 new), for keys of 20 bytes that lie in the inbox; for measurement. */
  dedupInPlace(keyCount: number, monotonicMs: number): number {
    const answers = this.inboxAt + keyCount * 20;
    this.call("dedupBatch")(this.inboxAt, keyCount, answers, monotonicMs);
    return answers;
  }

  counters(): Counters {
    const entries = Object.entries(counterFields).map(([name, at]) => [
      name,
      this.wide(this.at.control + at),
    ]);
    return Object.fromEntries(entries) as Counters;
  }

  /** 0 when nothing was written across a region's end, else the region's number. */
  brokenRegion(): number {
    return this.call("checkCanaries")();
  }
}

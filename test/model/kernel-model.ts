/**
 * The whole kernel as a model: what assembly/ does, with plain objects, one envelope at a time, in the words of its
 * promises. Its methods are those of src/kernel/kernel.ts, so that lockstep.ts can ask both the same.
 *
 * It shares no code with the kernel. Slow and obvious wins over short.
 */
import { audienceOf, type ModelAudience } from "./audience.js";
import { ByteReader, Unreadable } from "./byte-reader.js";
import { begin, disconnect, goLive, setCursor, type Window } from "./connections.js";
import { DedupWindow, dedupKey, textOf } from "./dedup-window.js";
import { Gather, partBytesMax } from "./gather.js";
import { type GroupRecord, Groups } from "./groups.js";
import { Receipts } from "./receipts.js";
import { type AccountRecord, type ModelDevice, Residents } from "./residents.js";
import {
  type AnySend,
  type Crossing,
  codes,
  type GroupSend,
  judgeAnySend,
  type Recipient,
  readAnySend,
  type SendContext,
  type Verdict,
} from "./send-rules.js";
import { type Part, Tail } from "./tail.js";
import { type ModelSpan, type ModelSpill, spansOf, unackedRest } from "./tail-views.js";

const MESSAGE_HEADER_BYTES = 16;
const OUTCOMES_MAX = 4096;
const ITEMS_MAX = 65_536;
const ITEMS_PER_SEND_MAX = 4096;
const PARTS_MAX = 4096;
const GATHER_BYTES_MAX = 8 * 1024 * 1024;
const DEDUP_LOG_KEYS_MAX = 131_072;
const ASKS_PER_SEND_MAX = 8;
const SPILLS_MAX = 4096;

export interface ModelSizes {
  readonly inboxBytes: number;
  readonly tailBytes: number;
  readonly accounts: number;
  readonly devices: number;
  readonly dedupKeys: number;
  readonly dedupMs: number;
  readonly uncommittedBytes: number;
  readonly groups: number;
  readonly groupMembers: number;
  readonly brands: readonly number[];
}

interface Message {
  readonly slot: number;
  readonly connection: number;
  readonly bytes: Uint8Array;
}

export interface ModelOutcome {
  readonly slot: number;
  /** 0: a control frame. */
  readonly code: number;
  readonly frame: Uint8Array;
  readonly position: number;
}

export interface ModelBatch {
  readonly records: readonly { readonly number: number; readonly bytes: Uint8Array }[];
  readonly dedupKeys: Uint8Array;
  readonly receiptLogEnd: number;
}

export type Status = "done" | "accounts" | "group" | "again";

export class KernelModel {
  readonly residents: Residents;
  readonly outcomes: ModelOutcome[] = [];
  readonly counts = { accepted: 0, duplicates: 0, refused: 0, acks: 0 };
  /** Accounts that are needed. */
  needed: readonly Uint8Array[] = [];
  areMembersNeeded = false;
  neededGroup = new Uint8Array(0);
  readonly groups: Groups;
  isDiskLow = false;
  readonly receipts = new Receipts();
  readonly tail: Tail;
  readonly gather: Gather;
  private readonly window: DedupWindow;
  private dedupLog: Uint8Array[] = [];
  private inbox: Message[] = [];
  inboxUsed = 0;
  private turn: Generator<Status, void> | undefined;
  private timeMs = 0;
  private passedMs = 0;
  private attention: ModelDevice[] = [];
  private spilling: ModelSpill[] = [];
  private readonly crossings = new Map<string, Crossing>();

  constructor(
    private readonly sizes: ModelSizes,
    epoch: number,
    private nextPart: number,
  ) {
    this.groups = new Groups(sizes.groups, sizes.groupMembers);
    this.residents = new Residents(sizes.accounts, sizes.devices, epoch * 2 ** 32);
    this.tail = new Tail(sizes.tailBytes, sizes.uncommittedBytes, epoch * 2 ** 32 + 1);
    this.gather = new Gather(this.tail, this.receipts, (device) => this.callAttention(device));
    this.window = new DedupWindow(sizes.dedupKeys, sizes.dedupMs);
  }

  setCrossing(from: number, to: number, state: Crossing): void {
    this.crossings.set(`${this.sizes.brands[from]}>${this.sizes.brands[to]}`, state);
  }

  device(slot: number): ModelDevice {
    const device = this.residents.bySlot[slot];
    if (device === undefined) throw new Error(`the model has no device in slot ${slot}`);
    return device;
  }

  loadAccount(record: AccountRecord): boolean {
    return this.residents.load(record);
  }

  sequenceCeiling(): number {
    return this.residents.sequenceBase;
  }

  loadGroup(group: GroupRecord): void {
    this.groups.load(group);
  }

  openGroup(address: Uint8Array): void {
    this.groups.open(address);
  }

  groupVersion(address: Uint8Array): number | undefined {
    return this.groups.find(address)?.version;
  }

  findDevice(address: Uint8Array): number | undefined {
    return this.residents.device(address)?.slot;
  }

  audience(address: Uint8Array, slot: number, membersMax: number): ModelAudience {
    return audienceOf(this.groups.find(address), this.device(slot), {
      membersMax,
      residents: this.residents,
      isClosed: (from, to) => (this.crossings.get(`${from}>${to}`) ?? "closed") === "closed",
    });
  }

  // The turn.

  push(slot: number, connection: number, message: Uint8Array): boolean {
    const bytes = MESSAGE_HEADER_BYTES + Math.ceil(message.length / 8) * 8;
    if (this.inboxUsed + bytes > this.sizes.inboxBytes) return false;
    this.inboxUsed += bytes;
    this.inbox.push({ slot, connection, bytes: message.slice() });
    return true;
  }

  clearInbox(): void {
    this.inbox = [];
    this.inboxUsed = 0;
  }

  tick(nowMs: number, monotonicMs: number): Status {
    this.turn ??= this.run(nowMs, monotonicMs);
    const step = this.turn.next();
    if (!step.done) return step.value;
    this.turn = undefined;
    return "done";
  }

  private *run(nowMs: number, monotonicMs: number): Generator<Status, void> {
    this.timeMs = nowMs;
    this.passedMs = monotonicMs;
    this.window.age(monotonicMs);
    for (const message of this.inbox) {
      const reader = new ByteReader(message.bytes);
      while (!reader.isAtEnd) {
        const device = this.residents.bySlot[message.slot];
        // What a connection sent before it ended or was replaced is as if it had been lost on the way.
        if (device === undefined || device.connection !== message.connection) break;
        if (this.isBatchFull) {
          this.finishBatch();
          yield "again";
        } else {
          yield* this.readFrame(device, message.bytes, reader);
        }
      }
    }
    this.finishBatch();
  }

  private get isBatchFull(): boolean {
    return (
      this.gather.itemCount + ITEMS_PER_SEND_MAX > ITEMS_MAX ||
      this.gather.parts.length === PARTS_MAX ||
      this.gather.bytes >= GATHER_BYTES_MAX ||
      this.outcomes.length >= OUTCOMES_MAX
    );
  }

  /** Leaves the reader behind the frame, or at the message's end when the frame ended the connection. */
  private *readFrame(device: ModelDevice, message: Uint8Array, reader: ByteReader): Generator<Status, void> {
    const from = reader.at;
    try {
      const fields = reader.array();
      const kind = reader.uint();
      const isSend =
        (kind === 2 && fields === 3) ||
        (kind === 8 && fields === 4) ||
        (kind === 9 && fields === 6) ||
        (kind === 10 && fields === 4);
      if (isSend) yield* this.readSend(device, message, reader, { from, kind });
      else if (kind === 3 && fields === 2) this.readAck(device, message, reader, from);
      else if ((kind >= 4 && kind <= 7) || kind === 14) {
        reader.at = from;
        reader.skip();
        this.addOutcome(device, 0, message.subarray(from, reader.at));
      } else throw new Unreadable();
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      this.endConnection(device, codes.badFrame, message, reader, from);
    }
  }

  private endConnection(
    device: ModelDevice,
    code: number,
    message: Uint8Array,
    reader: ByteReader,
    from: number,
  ): void {
    reader.at = message.length;
    this.addOutcome(device, code, message.subarray(from));
    disconnect(device);
    this.callAttention(device);
  }

  private addOutcome(device: ModelDevice, code: number, frame: Uint8Array): void {
    this.outcomes.push({ slot: device.slot, code, frame, position: device.position });
  }

  private callAttention(device: ModelDevice): void {
    if (!device.wantsAttention) this.attention.push(device);
    device.wantsAttention = true;
  }

  takeAttention(): number[] {
    const slots = this.attention.map((device) => device.slot);
    for (const device of this.attention) device.wantsAttention = false;
    this.attention = [];
    return slots;
  }

  private readAck(device: ModelDevice, message: Uint8Array, reader: ByteReader, from: number): void {
    const sequence = reader.uint();
    if (sequence > device.cursor) {
      this.endConnection(device, codes.positionAhead, message, reader, from);
      return;
    }
    if (sequence <= device.floor) return;
    const { floor, cursor } = device;
    const since = Math.max(floor, device.liveBase);
    if (sequence > since) {
      device.inFlightBytes = Math.floor((device.inFlightBytes * (cursor - sequence)) / (cursor - since));
    }
    this.raiseFloor(device, sequence);
    this.counts.acks++;
    if (!device.isLive || device.isQueued) this.callAttention(device);
  }

  private raiseFloor(device: ModelDevice, sequence: number): void {
    device.floor = sequence;
    if (!device.isAckWaiting) this.tail.acksWaiting.push(device);
    device.isAckWaiting = true;
  }

  private *readSend(
    device: ModelDevice,
    message: Uint8Array,
    reader: ByteReader,
    { from, kind }: { readonly from: number; readonly kind: number },
  ): Generator<Status, void> {
    const send = readAnySend(reader, kind);
    const verdict: Verdict =
      typeof send === "number" ? { kind: "refused", code: send } : yield* this.judge(device, send);
    device.position++;
    if (verdict.kind === "refused") {
      // Where the frame ends is known only when all of it can be read.
      reader.at = from;
      reader.skip();
      this.counts.refused++;
      this.addOutcome(device, verdict.code, message.subarray(from, reader.at));
      return;
    }
    this.receipts.expect(device);
    if (verdict.kind === "duplicate") this.counts.duplicates++;
    else if (verdict.kind === "accepted") this.accept(device, send as AnySend, verdict.recipients);
  }

  /** What is not resident is asked for, and the send is judged again; a few times. */
  private *judge(sender: ModelDevice, send: AnySend): Generator<Status, Verdict> {
    for (let asks = 0; ; ) {
      const context = this.contextOf(sender, send);
      const verdict = judgeAnySend(send, context);
      if (verdict.kind === "batchFull") {
        this.finishBatch();
        yield "again";
        continue;
      }
      if (verdict.kind !== "missing" && verdict.kind !== "unknownGroup") return verdict;
      if (asks++ === ASKS_PER_SEND_MAX) return { kind: "refused", code: codes.overloaded };
      if (verdict.kind === "missing") {
        this.needed = verdict.accounts.map((address) => address.slice());
        this.areMembersNeeded = "group" in send;
        yield "accounts";
      } else {
        this.neededGroup = (send as GroupSend).group.slice();
        yield "group";
      }
    }
  }

  private contextOf(sender: ModelDevice, send: AnySend): SendContext {
    const partBytes = send.shared === undefined ? 0 : partBytesMax(send.shared);
    return {
      sender,
      residents: this.residents,
      groups: this.groups,
      hasReceiptRoom: this.receipts.hasRoomFor(sender),
      isDuplicate: this.window.has(textOf(dedupKey(sender.ordinal, send.id))),
      isDiskLow: this.isDiskLow,
      isDedupLogFull: this.dedupLog.length >= DEDUP_LOG_KEYS_MAX,
      hasRoom: (entriesBytes) => this.tail.hasRoom(this.gather.bytes + partBytes + entriesBytes),
      itemsLeft: ITEMS_MAX - this.gather.itemCount,
      itemsMax: ITEMS_MAX,
      crossing: (fromBrand, toBrand) => this.crossings.get(`${fromBrand}>${toBrand}`) ?? "closed",
    };
  }

  private accept(sender: ModelDevice, send: AnySend, recipients: readonly Recipient[]): void {
    const key = dedupKey(sender.ordinal, send.id);
    this.window.add(textOf(key), this.passedMs);
    this.dedupLog.push(key);
    this.counts.accepted++;
    const part = recipients.length > 0 ? this.partOf(send) : undefined;
    if (part !== undefined) this.gather.addPart(part, sender.address, send.id);
    for (const { device, payload } of recipients)
      this.gather.add(device, sender.address, send.id, payload, part, "own" in send);
  }

  private partOf(send: AnySend): Part | undefined {
    if (send.shared === undefined) return undefined;
    const number = this.nextPart++;
    if (!("group" in send)) return { number, payload: send.shared };
    return { number, payload: send.shared, group: { address: send.group, version: send.version } };
  }

  private finishBatch(): void {
    this.gather.finish(this.timeMs);
    this.receipts.endBatch();
  }

  // Connections.

  attach(slot: number, connection: number, wanted: Window & { readonly floor: number }): boolean {
    const device = this.device(slot);
    if (wanted.floor > device.last) return false;
    if (wanted.floor > device.floor) this.raiseFloor(device, wanted.floor);
    begin(device, connection, wanted);
    return true;
  }

  detach(slot: number, connection: number): void {
    const device = this.residents.bySlot[slot];
    if (device !== undefined && device.connection === connection) disconnect(device);
  }

  tailSpans(slot: number, bytesMax: number, entriesMax: number): ModelSpan[] {
    return spansOf(this.device(slot), bytesMax, entriesMax);
  }

  setCursor(slot: number, sequence: number): void {
    setCursor(this.device(slot), sequence);
  }

  setWindow(slot: number, entries: number, bytes: number): void {
    const device = this.device(slot);
    device.windowEntries = entries;
    device.windowBytes = bytes;
  }

  goLive(slot: number): boolean {
    return goLive(this.device(slot));
  }

  goLagging(slot: number): void {
    this.device(slot).isLive = false;
  }

  setQueued(slot: number, isQueued: boolean): void {
    this.device(slot).isQueued = isQueued;
  }

  // Journal and receipts.

  seal(nowMs: number, monotonicMs: number): ModelBatch | undefined {
    const isNeeded = this.tail.acksWaiting.length > 0 || this.receipts.hasUnsealed;
    const hasSealed = this.tail.seal(nowMs, monotonicMs, isNeeded);
    const records = this.tail.uncommitted.map(({ number, bytes }) => ({ number, bytes }));
    if (records.length === 0) return undefined;
    if (!hasSealed) return { records, dedupKeys: new Uint8Array(0), receiptLogEnd: this.receipts.sealedEnd };
    const dedupKeys = Buffer.concat(this.dedupLog);
    this.dedupLog = [];
    this.receipts.seal();
    return { records, dedupKeys, receiptLogEnd: this.receipts.sealedEnd };
  }

  committed(batch: ModelBatch, monotonicMs: number): void {
    this.tail.commit(batch.records.length);
    this.receipts.settle(batch.receiptLogEnd, monotonicMs);
  }

  rideReceipts(): void {
    this.gather.ride();
  }

  collectReceipts(monotonicMs: number, holdMs: number, max: number): void {
    this.gather.sends.push(...this.receipts.collect(monotonicMs, holdMs, max));
  }

  spillScan(runsBudget: number): { seen: number; record: number; rows: readonly ModelSpill[] } {
    const rows: ModelSpill[] = [];
    const scan = this.tail.scan(runsBudget, (run) => {
      if (rows.length === SPILLS_MAX) return false;
      rows.push(...unackedRest(run));
      return true;
    });
    this.spilling = rows;
    return { ...scan, rows };
  }

  release(): void {
    for (const { device, firstSequence } of this.spilling) {
      device.isQueued = true;
      if (device.floor >= firstSequence || !device.isLive) this.callAttention(device);
    }
    this.spilling = [];
    this.tail.release();
    this.residents.freeLeftOver();
  }

  /** Takes keys into the dedup window, as recovery does; an answer a key: whether it was known. */
  restoreDedup(keys: Uint8Array, monotonicMs: number): boolean[] {
    const answers: boolean[] = [];
    for (let from = 0; from < keys.length; from += 20) {
      const key = textOf(keys.subarray(from, from + 20));
      answers.push(this.window.has(key));
      if (!this.window.has(key)) this.window.add(key, monotonicMs);
    }
    return answers;
  }
}

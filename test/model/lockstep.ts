/**
 * A kernel and its model side by side: every call goes to both, and whatever can be seen of it is compared at once.
 * The first difference throws, with what was asked and both answers.
 *
 * `operations` counts what was processed and compared: a frame, a run sent, a receipt, a record, a spilled run, a
 * span, an account loaded, a connection's call.
 */
import { Kernel, type KernelSizes, type SealedBatch, statuses } from "../../src/kernel/kernel.js";
import { entryBytesAt, isReferenceAt, readReference } from "../../src/store/frames.js";
import { composeFrame, decodePart, encodePart, partKey } from "../../src/store/part-rows.js";
import { inFlight } from "./connections.js";
import type { Moment } from "./disk.js";
import type { GroupRecord } from "./groups.js";
import { KernelModel, type ModelBatch, type ModelOutcome } from "./kernel-model.js";
import type { AccountRecord } from "./residents.js";
import type { Crossing } from "./send-rules.js";

export type Build = "release" | "debug" | URL;

export class Difference extends Error {}

export interface Sealed {
  readonly kernel: SealedBatch;
  readonly model: ModelBatch;
}

export interface SpilledRun {
  readonly device: Uint8Array;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Composed from what lies in the run. */
  readonly frames: Uint8Array;
}

/** What one batch of a turn gave, already compared. */
export interface Batch {
  readonly sends: readonly { readonly slot: number; readonly bytes: Uint8Array }[];
  readonly outcomes: readonly ModelOutcome[];
}

/** What a host does in the course of a turn. */
export interface TurnHost {
  account(address: Uint8Array): AccountRecord;
  group(address: Uint8Array): GroupRecord;
  /** Before receipts ride with what a batch sends: a commit may begin, or be flushed. */
  beforeSends?(): void;
  take(batch: Batch): void;
}

export class Lockstep {
  readonly kernel: Kernel;
  readonly model: KernelModel;
  operations = 0;
  private lastRecordAt = 0;
  /** How often what happened, so that a test can say that it did. */
  readonly happened = new Map<string, number>();

  constructor(sizes: KernelSizes, epoch: number, build: Build, firstPart = 1) {
    this.kernel = new Kernel(sizes, { epoch, firstPart }, build);
    this.model = new KernelModel(sizes, epoch, firstPart);
  }

  note(what: string): void {
    this.happened.set(what, (this.happened.get(what) ?? 0) + 1);
  }

  /** Compares two answers to the same question. */
  same<T>(what: string, kernel: T, model: T): T {
    if (kernel !== model) throw new Difference(`${what}: the kernel says ${kernel}, the model ${model}`);
    return kernel;
  }

  sameBytes(what: string, kernel: Uint8Array, model: Uint8Array): void {
    if (Buffer.compare(kernel, model) === 0) return;
    const at = model.findIndex((byte, i) => kernel[i] !== byte);
    const from = Math.max(0, at - 8);
    const show = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(from, at + 24)).toString("hex");
    throw new Difference(
      `${what}: ${kernel.length} and ${model.length} bytes, the first that differs at ${at}: ` +
        `the kernel has … ${show(kernel)}, the model … ${show(model)}`,
    );
  }

  // Accounts and connections.

  load(record: AccountRecord): boolean {
    this.operations++;
    const isLoaded = this.kernel.loadAccount(record);
    if (!isLoaded) this.note("tables full");
    return this.same("an account is loaded", isLoaded, this.model.loadAccount(record));
  }

  sequenceCeiling(): number {
    return this.same("the ceiling", this.kernel.sequenceCeiling(), this.model.sequenceCeiling());
  }

  loadGroup(group: GroupRecord): void {
    this.operations++;
    this.kernel.loadGroup(group);
    this.model.loadGroup(group);
    this.groupVersion(group.address);
  }

  openGroup(address: Uint8Array): void {
    this.operations++;
    this.kernel.openGroup(address);
    this.model.openGroup(address);
  }

  audience(address: Uint8Array, slot: number, membersMax: number): void {
    const model = this.model.audience(address, slot, membersMax);
    const kernel = this.kernel.audience(address, slot, membersMax);
    const text = (audience: typeof kernel | typeof model): string =>
      typeof audience === "string" ? audience : `${audience.slots.join()} of ${audience.members}`;
    this.same("whom a signal is for", text(kernel), text(model));
    this.note(
      typeof model === "string" ? `audience ${model}` : `audience of ${Math.min(model.slots.length, 2)}`,
    );
  }

  groupVersion(address: Uint8Array): number | undefined {
    return this.same(
      "a group's version",
      this.kernel.groupVersion(address),
      this.model.groupVersion(address),
    );
  }

  findDevice(address: Uint8Array): number | undefined {
    return this.same("a device's slot", this.kernel.findDevice(address), this.model.findDevice(address));
  }

  attach(
    slot: number,
    connection: number,
    wanted: { readonly floor: number; readonly windowEntries: number; readonly windowBytes: number },
  ): boolean {
    this.operations++;
    const kernel = this.kernel.attach(slot, connection, wanted);
    if (!kernel) this.note("resume refused");
    return this.same("a connection is attached", kernel, this.model.attach(slot, connection, wanted));
  }

  detach(slot: number, connection: number): void {
    this.operations++;
    this.kernel.detach(slot, connection);
    this.model.detach(slot, connection);
  }

  setCursor(slot: number, sequence: number): void {
    this.kernel.setCursor(slot, sequence);
    this.model.setCursor(slot, sequence);
  }

  setWindow(slot: number, entries: number, bytes: number): void {
    this.kernel.setWindow(slot, entries, bytes);
    this.model.setWindow(slot, entries, bytes);
  }

  goLive(slot: number): boolean {
    this.operations++;
    return this.same("a device goes live", this.kernel.goLive(slot), this.model.goLive(slot));
  }

  goLagging(slot: number): void {
    this.kernel.goLagging(slot);
    this.model.goLagging(slot);
  }

  setQueued(slot: number, isQueued: boolean): void {
    this.kernel.setQueued(slot, isQueued);
    this.model.setQueued(slot, isQueued);
  }

  isQueued(slot: number): boolean {
    return this.same("a device is queued", this.kernel.isQueued(slot), this.model.device(slot).isQueued);
  }

  setDiskLow(isLow: boolean): void {
    this.kernel.setDiskLow(isLow);
    this.model.isDiskLow = isLow;
  }

  setCrossing(from: number, to: number, state: Crossing): void {
    this.kernel.setCrossing(from, to, state);
    this.model.setCrossing(from, to, state);
  }

  takeAttention(): number[] {
    const kernel = this.kernel.takeAttention();
    this.same("the slots that want attention", kernel.join(), this.model.takeAttention().join());
    return kernel;
  }

  // The turn.

  push(slot: number, connection: number, message: Uint8Array): boolean {
    const kernel = this.kernel.push(slot, connection, message);
    return this.same("a message is taken in", kernel, this.model.push(slot, connection, message));
  }

  /** A whole turn; `take` gets each batch before the kernel goes on. */
  turn({ wallMs, monotonicMs }: Moment, host: TurnHost): void {
    for (;;) {
      const kernel = this.kernel.tick(wallMs, monotonicMs);
      const model = this.model.tick(wallMs, monotonicMs);
      this.same("the status of a tick", kernel, statuses[model]);
      if (kernel === statuses.accounts) {
        this.loadNeeded(host);
        continue;
      }
      if (kernel === statuses.group) {
        this.sameBytes("the group that is needed", this.kernel.neededGroup(), this.model.neededGroup);
        this.loadGroup(host.group(this.model.neededGroup));
        continue;
      }
      if (kernel === statuses.again) this.note("column full");
      host.beforeSends?.();
      this.kernel.rideReceipts();
      this.model.rideReceipts();
      host.take({ sends: this.takeSends(), outcomes: this.takeOutcomes() });
      if (kernel === statuses.done) break;
    }
    this.kernel.clearInbox();
    this.model.clearInbox();
  }

  private loadNeeded(host: TurnHost): void {
    const { kernel, model } = this;
    this.same("the number of needed accounts", kernel.neededCount, model.needed.length);
    this.same("whether members are needed", kernel.areMembersNeeded, model.areMembersNeeded);
    model.needed.forEach((address, i) => {
      this.sameBytes("an account that is needed", kernel.neededAccount(i), address);
    });
    for (const address of model.needed) this.load(host.account(address));
  }

  /** Copies of what the sends hold, in their order. */
  takeSends(): { slot: number; bytes: Uint8Array }[] {
    const { kernel, model } = this;
    this.same("the number of sends", kernel.sendCount, model.gather.sends.length);
    const sends = model.gather.sends.splice(0);
    sends.forEach((send, i) => {
      this.same("the slot of a send", kernel.sendSlot(i), send.slot);
      if (send.run?.isComposed) this.note("frames composed for a send");
      this.sameBytes(`what is sent to slot ${send.slot}`, kernel.sendBytes(i), send.bytes);
    });
    kernel.clearSends();
    this.operations += sends.length;
    return sends;
  }

  private takeOutcomes(): ModelOutcome[] {
    const { kernel, model } = this;
    this.same("the number of outcomes", kernel.outcomeCount, model.outcomes.length);
    const outcomes = model.outcomes.splice(0);
    outcomes.forEach((expected, i) => {
      const outcome = kernel.outcome(i);
      this.same("the slot of an outcome", outcome.slot, expected.slot);
      this.same("the code of an outcome", outcome.code, expected.code);
      this.note(`code ${expected.code}`);
      this.same("the position of an outcome", outcome.position, expected.position);
      this.sameBytes("the frame of an outcome", outcome.frame, expected.frame);
    });
    kernel.clearOutcomes();
    return outcomes;
  }

  // Journal, receipts, spill.

  seal(nowMs: number, monotonicMs: number): Sealed | undefined {
    const kernel = this.kernel.seal(nowMs, monotonicMs);
    const model = this.model.seal(nowMs, monotonicMs);
    this.same("there is something to commit", kernel !== undefined, model !== undefined);
    if (kernel === undefined || model === undefined) return undefined;
    this.sameBytes("the dedup keys of a commit", kernel.dedupKeys, model.dedupKeys);
    this.compareRecords({ kernel, model });
    return { kernel, model };
  }

  private compareRecords({ kernel, model }: Sealed): void {
    this.same("the number of records", kernel.records.length, model.records.length);
    if (model.records.length > 1) this.note("several records in a commit");
    model.records.forEach((expected, i) => {
      const record = kernel.records[i] as SealedBatch["records"][number];
      this.same("the number of a record", record.number, expected.number);
      this.sameBytes("the bytes of a record", record.bytes, expected.bytes);
      if (record.bytes.byteOffset < this.lastRecordAt) this.note("ring turned over");
      this.lastRecordAt = record.bytes.byteOffset;
    });
    this.operations += model.records.length;
  }

  committed(sealed: Sealed, monotonicMs: number): void {
    this.kernel.committed(sealed.kernel, monotonicMs);
    this.model.committed(sealed.model, monotonicMs);
  }

  collectReceipts(monotonicMs: number, holdMs: number, max: number): { slot: number; bytes: Uint8Array }[] {
    this.kernel.collectReceipts(monotonicMs, holdMs, max);
    this.model.collectReceipts(monotonicMs, holdMs, max);
    return this.takeSends();
  }

  /** Rows with copies of the frames. */
  spillScan(runsBudget: number): { seen: number; record: number; rows: SpilledRun[] } {
    const kernel = this.kernel.spillScan(runsBudget);
    const model = this.model.spillScan(runsBudget);
    this.same("the runs seen by a scan", kernel.seen, model.seen);
    this.same("the record that a scan went through", kernel.record, model.record);
    this.same("the rows of a scan", kernel.rows.length, model.rows.length);
    if (kernel.seen > model.rows.length) this.note("run acked before its spill");
    const rows = model.rows.map((expected, i) => {
      const row = kernel.rows[i] as (typeof kernel.rows)[number];
      this.sameBytes("the device of a spilled run", row.device, expected.device.address);
      this.same("the first sequence of a spilled run", row.firstSequence, expected.firstSequence);
      this.same("the last sequence of a spilled run", row.lastSequence, expected.lastSequence);
      this.same("the entries of a spilled run", row.entryCount, expected.entryCount);
      this.sameBytes("the frames of a spilled run", row.frames, expected.frames);
      this.same("a spilled run has references", row.hasReferences, expected.hasReferences);
      const { firstSequence, lastSequence } = expected;
      const frames = expected.hasReferences ? this.framesOf(row.frames) : expected.frames;
      return { device: expected.device.address, firstSequence, lastSequence, frames };
    });
    this.operations += rows.length;
    return { seen: kernel.seen, record: kernel.record, rows };
  }

  /** What stands for frames in a run, as the store composes it from the parts that the kernel hands out. */
  private framesOf(entries: Uint8Array): Uint8Array {
    this.note("references spilled");
    const frames: Uint8Array[] = [];
    for (let at = 0; at < entries.length; ) {
      const bytes = entryBytesAt(entries, at);
      if (bytes === 0) throw new Difference("a spilled run holds something else than entries");
      frames.push(isReferenceAt(entries, at) ? this.composed(entries, at) : entries.slice(at, at + bytes));
      at += bytes;
    }
    return Buffer.concat(frames);
  }

  private composed(entries: Uint8Array, at: number): Uint8Array {
    const reference = readReference(entries, at);
    const key = partKey(reference.part);
    const part = decodePart(key, encodePart(key, this.kernel.part(reference.part), 1));
    const frame = part && composeFrame(reference, part);
    if (frame === undefined) throw new Difference("a reference and its part do not agree");
    return frame;
  }

  release(): void {
    this.kernel.release();
    this.model.release();
  }

  tailSpans(slot: number, bytesMax: number, entriesMax: number): { frames: Uint8Array; last: number }[] {
    const kernel = this.kernel.tailSpans(slot, bytesMax, entriesMax);
    const model = this.model.tailSpans(slot, bytesMax, entriesMax);
    this.same("the number of spans", kernel.length, model.length);
    if (this.model.device(slot).runs.some((run) => run.hasReferences) && model.length > 0)
      this.note("frames composed for a span");
    model.forEach((expected, i) => {
      const span = kernel[i] as (typeof kernel)[number];
      this.same("the entries of a span", span.entries, expected.entries);
      this.same("the last sequence of a span", span.last, expected.last);
      this.sameBytes("the frames of a span", span.frames, expected.frames);
    });
    this.operations += model.length;
    return model.map(({ frames, last }) => ({ frames, last }));
  }

  /** Keys into the dedup window, with an answer for each. */
  dedup(keys: Uint8Array, monotonicMs: number): void {
    this.kernel.bytes.set(keys, this.kernel.inboxAt);
    const answersAt = this.kernel.dedupInPlace(keys.length / 20, monotonicMs);
    this.model.restoreDedup(keys, monotonicMs).forEach((isKnown, i) => {
      this.same("a dedup key is known", this.kernel.bytes[answersAt + i] === 1, isKnown);
    });
    this.operations += keys.length / 20;
  }

  // Everything that can be asked at any time.

  compareState(monotonicMs: number): void {
    const { kernel, model } = this;
    this.same("the region that was written across", kernel.brokenRegion(), 0);
    this.same("the uncommitted bytes", kernel.uncommittedBytes, model.tail.uncommittedBytes);
    this.same("the acks that wait", kernel.dirtyAcks, model.tail.acksWaiting.length);
    this.same("receipts wait for a seal", kernel.hasUnsealedReceipts, model.receipts.hasUnsealed);
    this.same("the tail in use", kernel.tailUsed, model.tail.used);
    this.same("the receipts due", kernel.dueReceipts, model.receipts.dueCount);
    this.same(
      "the age of the oldest record",
      kernel.oldestRecordAgeMs(monotonicMs),
      model.tail.oldestAgeMs(monotonicMs),
    );
    this.compareCounters();
    for (const device of model.residents.all) this.compareDevice(device);
  }

  private compareCounters(): void {
    const counters = this.kernel.counters();
    const { counts, gather, receipts, residents } = this.model;
    this.same("sends accepted", counters.sendsAccepted, counts.accepted);
    this.same("duplicates", counters.duplicates, counts.duplicates);
    this.same("sends refused", counters.sendsRefused, counts.refused);
    this.same("entries", counters.entries, gather.entries);
    this.same("entries delivered", counters.delivered, gather.delivered);
    this.same("acks", counters.acks, counts.acks);
    this.same("receipts that rode along", counters.receiptsRidden, receipts.ridden);
    this.same("receipts sent by themselves", counters.receiptsSent, receipts.sent);
    this.same("accounts given up", counters.accountsEvicted, residents.evicted);
  }

  private compareDevice(device: KernelModel["residents"]["all"][number]): void {
    const { kernel } = this;
    const { slot } = device;
    this.same("a device's connection", kernel.connection(slot), device.connection);
    this.same("a device is connected", kernel.isConnected(slot), device.connection !== 0);
    this.same("a device is live", kernel.isLive(slot), device.isLive);
    this.same("a device is queued", kernel.isQueued(slot), device.isQueued);
    this.same("a device's floor", kernel.floor(slot), device.floor);
    this.same("a device's cursor", kernel.cursor(slot), device.cursor);
    this.same("a device's entries in flight", kernel.inFlight(slot), inFlight(device));
    this.same("a device's bytes in flight", kernel.inFlightBytes(slot), device.inFlightBytes);
    this.same("a device's last sequence", kernel.last(slot), device.last);
  }
}

/**
 * Spill: runs out of the journal go to the end of their devices' queues, then
 * the journal's blocks they came from are given up. Slow work (writer.ts), cut into
 * slices of limits.storeSliceMs and one transaction each, in this order:
 *
 *   trim      what was acked up to now leaves the queues, because the journal's
 *             record of those acks is about to go
 *   group     runs are gathered by device and put in the order of partitions,
 *             so that a slice touches neighbouring pages
 *   append    chunks are written; a small last chunk is grown instead
 *   quota     queues that grew beyond their bounds lose their oldest entries
 *   release   the journal's blocks are named as spilled
 *
 * A crash between slices leaves the journal's blocks, and recovery does the same
 * work again: entries at or below a queue's last sequence are there already
 * and are passed over. Running live, such entries are our bug.
 */
import { assert } from "../base/assert.js";
import type { Batch } from "./database.js";
import type { SpillRun } from "./journal-record.js";
import { QueueAppender } from "./queue-appender.js";
import { nameOf } from "./queue-reader.js";
import { enforceQuota, type QueueContext, stageTotals } from "./queues.js";
import { deviceKey, PARTITIONS } from "./schema.js";
import type { PartSource } from "./shared-parts.js";
import { Slice, trimSlice } from "./slices.js";
import type { Work } from "./writer.js";

interface DeviceRuns {
  readonly device: Uint8Array;
  readonly runs: SpillRun[];
  /** How many of `runs` were taken up. */
  begun: number;
  appender: QueueAppender | undefined;
}

export class SpillWork implements Work {
  readonly #context: QueueContext;
  readonly #runs: readonly SpillRun[];
  readonly #release: (batch: Batch) => void;
  readonly #partOf: PartSource;
  readonly #isRecovery: boolean;
  readonly #byAddress = new Map<string, DeviceRuns>();
  #devices: DeviceRuns[] = [];
  readonly #beyondQuota: Uint8Array[] = [];
  #isTrimmed = false;
  #groupedCount = 0;
  /** Of the runs, how many an appender has taken up: all of them, or their records must not be given up. */
  #begunCount = 0;
  #appendedCount = 0;

  constructor(
    context: QueueContext,
    runs: readonly SpillRun[],
    options: {
      readonly release: (batch: Batch) => void;
      /** The shared parts that the runs refer to. */
      readonly partOf: PartSource;
      readonly isRecovery: boolean;
    },
  ) {
    this.#context = context;
    this.#runs = runs;
    this.#release = options.release;
    this.#partOf = options.partOf;
    this.#isRecovery = options.isRecovery;
    context.floors.hold();
  }

  stage(batch: Batch): boolean {
    const isDone = this.#stageSlice(batch, new Slice());
    if (isDone) {
      assert(this.#begunCount === this.#runs.length, "a spill that is done has taken up every run");
      this.#release(batch);
      this.#context.floors.release();
    }
    stageTotals(this.#context, batch);
    return isDone;
  }

  /** Trims, appends and quotas go to transactions of their own: each reads what the one before has committed. */
  #stageSlice(batch: Batch, slice: Slice): boolean {
    if (!this.#isTrimmed) {
      this.#isTrimmed = trimSlice(this.#context, batch, slice);
      if (!this.#isTrimmed || batch.changes.length > 0) return false;
    }
    if (this.#groupedCount < this.#runs.length) {
      this.#group(slice);
      if (this.#groupedCount < this.#runs.length || slice.isOver) return false;
    }
    if (this.#appendedCount < this.#devices.length) {
      this.#append(batch, slice);
      return this.#appendedCount === this.#devices.length && this.#beyondQuota.length === 0;
    }
    return this.#enforceQuotas(batch, slice);
  }

  #group(slice: Slice): void {
    while (this.#groupedCount < this.#runs.length) {
      const run = this.#runs[this.#groupedCount++] as SpillRun;
      const address = nameOf(run.device);
      const group = this.#byAddress.get(address);
      if (group !== undefined) group.runs.push(run);
      else {
        const device = deviceKey(run.device);
        this.#byAddress.set(address, { device, runs: [run], begun: 0, appender: undefined });
      }
      if ((this.#groupedCount & 255) === 0 && slice.isOver) break;
    }
    if (this.#groupedCount < this.#runs.length) return;
    this.#devices = inPartitionOrder([...this.#byAddress.values()]);
    this.#byAddress.clear();
  }

  #append(batch: Batch, slice: Slice): void {
    const { queueEntriesMax, queueBytesMax } = this.#context.bounds;
    while (this.#appendedCount < this.#devices.length) {
      const group = this.#devices[this.#appendedCount] as DeviceRuns;
      group.appender ??= new QueueAppender(this.#context, group.device, {
        isRecovery: this.#isRecovery,
        partOf: this.#partOf,
      });
      if (!this.#appendRuns(batch, group, group.appender, slice)) return;
      group.appender.flush(batch);
      const { entries, bytes } = group.appender.totals;
      if (entries > queueEntriesMax || bytes > queueBytesMax) this.#beyondQuota.push(group.device);
      group.appender = undefined;
      this.#appendedCount++;
      if (slice.isOver) return;
    }
  }

  /** False when the slice ended before the device's runs were in. */
  #appendRuns(batch: Batch, group: DeviceRuns, appender: QueueAppender, slice: Slice): boolean {
    for (;;) {
      while (appender.step(batch)) if (slice.isOver) return false;
      const run = group.runs[group.begun];
      if (run === undefined) return true;
      appender.begin(run);
      group.begun++;
      this.#begunCount++;
    }
  }

  #enforceQuotas(batch: Batch, slice: Slice): boolean {
    for (let device = this.#beyondQuota.at(-1); device !== undefined; device = this.#beyondQuota.at(-1)) {
      if (slice.isOver) return false;
      const changesBefore = batch.changes.length;
      const isMoreLeft = enforceQuota(this.#context, batch, device, slice.rowsLeft);
      slice.spend(1 + batch.changes.length - changesBefore);
      if (isMoreLeft) return false;
      this.#beyondQuota.pop();
    }
    return true;
  }
}

/** Sorted by the first two bytes of the key, the partition, by counting. */
function inPartitionOrder(devices: readonly DeviceRuns[]): DeviceRuns[] {
  const partitionOf = ({ device }: DeviceRuns) => ((device[0] as number) << 8) | (device[1] as number);
  const starts = new Uint32Array(PARTITIONS + 1);
  for (const group of devices) starts[partitionOf(group) + 1]!++;
  for (let i = 1; i <= PARTITIONS; i++) starts[i]! += starts[i - 1] as number;
  const sorted = new Array<DeviceRuns>(devices.length);
  for (const group of devices) sorted[starts[partitionOf(group)]!++] = group;
  return sorted;
}

/**
 * Device queues against a naive model: whatever is spilled, acked, read,
 * expired, cut by a quota or reopened, every entry that was not acked is either
 * readable, in order and unchanged, or counted by exactly one gap.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { accountOf, type DeviceAddress } from "../../src/base/address.js";
import { checkDirectory, openStore, type QueueItem, type Store } from "../../src/store/store.js";
import { deliverFrame, sequencesIn, testDevice, testPayload, testRun } from "../support/journal-record.js";

const DEVICES = [testDevice(1), testDevice(1, 2), testDevice(2, 1, 2)];
const everything = { bytesMax: 1 << 30, entriesMax: 1 << 30 };
const QUOTAS = {
  queueEntriesMax: 25,
  queueBytesMax: 9_000,
  retentionMs: 1_000,
  chunkBytesMax: 1_500,
  chunkMergeBytesMax: 600,
};
const PAYLOAD_BYTES_MAX = 400;
/** A read with so much room left has left nothing. */
const FRAME_BYTES_MAX = PAYLOAD_BYTES_MAX + 65;
/** In memory where that can be had: what is tested here is not the disk, whose flushes would take most of the time. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

interface ModelEntry {
  readonly sequence: number;
  readonly payloadBytes: number;
  state: "queued" | "gone" | "told";
  /** Of the gap that counts it, while it is gone. */
  gapLast: number;
}

interface ModelQueue {
  readonly device: DeviceAddress;
  entries: ModelEntry[];
  floor: number;
  nextSequence: number;
}

type Step =
  | {
      readonly kind: "spill";
      readonly runs: readonly { device: number; sizes: readonly number[]; skip: number }[];
    }
  | { readonly kind: "ack"; readonly device: number; readonly sharePercent: number }
  | {
      readonly kind: "read";
      readonly device: number;
      readonly sharePercent: number;
      readonly bytesMax: number;
    }
  | { readonly kind: "sweep"; readonly passMs: number; readonly budget: number }
  | { readonly kind: "reopen" };

const anyDevice = fc.integer({ min: 0, max: DEVICES.length - 1 });
const anyRun = fc.record({
  device: anyDevice,
  sizes: fc.array(fc.integer({ min: 0, max: PAYLOAD_BYTES_MAX }), { minLength: 1, maxLength: 12 }),
  skip: fc.integer({ min: 0, max: 3 }),
});
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("spill" as const),
      runs: fc.array(anyRun, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("ack" as const),
      device: anyDevice,
      sharePercent: fc.integer({ min: 0, max: 100 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      device: anyDevice,
      sharePercent: fc.integer({ min: 0, max: 100 }),
      bytesMax: fc.integer({ min: 1, max: 3_000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("sweep" as const),
      passMs: fc.integer({ min: 0, max: 700 }),
      budget: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);

class World {
  nowMs = 1_700_000_000_000;
  queues: ModelQueue[] = DEVICES.map((device) => ({ device, entries: [], floor: 0, nextSequence: 1 }));
  readonly directory = mkdtempSync(join(parent, "interline-model-"));
  store!: Store;

  constructor() {
    directories.push(this.directory);
  }

  async open(): Promise<void> {
    const onCorruption = (report: unknown): never => {
      throw new Error(`corruption: ${JSON.stringify(report)}`);
    };
    this.store = await openStore({
      directory: this.directory,
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      onCorruption,
      quotas: QUOTAS,
    });
    for (const device of DEVICES) {
      await this.store.registerDevice(
        accountOf(device),
        ((device[18] as number) << 8) | (device[19] as number),
      );
    }
  }

  async apply(step: Step): Promise<void> {
    if (step.kind === "spill") await this.spill(step.runs);
    else if (step.kind === "ack") this.ack(this.queue(step.device), step.sharePercent);
    else if (step.kind === "read")
      this.readInParts(this.queue(step.device), step.sharePercent, step.bytesMax);
    else if (step.kind === "sweep") await this.sweep(step.passMs, step.budget);
    else await this.reopen();
    for (const queue of this.queues) this.verify(queue);
  }

  queue(index: number): ModelQueue {
    return this.queues[index] as ModelQueue;
  }

  async spill(runs: readonly { device: number; sizes: readonly number[]; skip: number }[]): Promise<void> {
    const built = runs.map(({ device, sizes, skip }) => {
      const queue = this.queue(device);
      queue.nextSequence += skip;
      const entries = sizes.map((payloadBytes): ModelEntry => {
        return { sequence: queue.nextSequence++, payloadBytes, state: "queued", gapLast: 0 };
      });
      queue.entries.push(...entries);
      return testRun(
        queue.device,
        entries.map(({ sequence, payloadBytes }) => ({
          sequence,
          payload: testPayload(sequence, payloadBytes),
        })),
      );
    });
    await this.store.spill(built, 0);
  }

  /** Acks up to somewhere between the floor and the newest entry. */
  ack(queue: ModelQueue, sharePercent: number): void {
    const newest = queue.entries.at(-1)?.sequence ?? 0;
    queue.floor = queue.floor + Math.round(((newest - queue.floor) * sharePercent) / 100);
    this.store.trim(queue.device, queue.floor);
    for (const entry of queue.entries)
      if (entry.state === "gone" && entry.gapLast <= queue.floor) entry.state = "told";
  }

  readInParts(queue: ModelQueue, sharePercent: number, bytesMax: number): void {
    const newest = queue.entries.at(-1)?.sequence ?? 0;
    let after = Math.round((newest * sharePercent) / 100);
    const whole = this.store.readQueue(queue.device, after, everything);
    const parts: QueueItem[] = [];
    for (
      let more = this.store.readQueue(queue.device, after, { ...everything, bytesMax });
      more.length > 0;
    ) {
      const bytes = more.reduce((sum, item) => sum + (item.kind === "entries" ? item.frames.length : 0), 0);
      const entryCount = more.reduce((sum, item) => sum + (item.kind === "entries" ? item.entryCount : 0), 0);
      expect(bytes <= bytesMax || entryCount === 1).toBe(true);
      if (bytesMax - bytes > FRAME_BYTES_MAX)
        expect(more.at(-1)?.lastSequence).toBe(whole.at(-1)?.lastSequence);
      parts.push(...more);
      after = more.at(-1)?.lastSequence as number;
      more = this.store.readQueue(queue.device, after, { ...everything, bytesMax });
    }
    expect(framesOf(parts).equals(framesOf(whole))).toBe(true);
    expect(parts.filter((item) => item.kind === "gap")).toEqual(whole.filter((item) => item.kind === "gap"));
  }

  async sweep(passMs: number, budget: number): Promise<void> {
    this.nowMs += passMs;
    await this.store.sweep(this.nowMs, budget);
    expect(this.store.stats().pendingTrims).toBe(0);
  }

  async reopen(): Promise<void> {
    await this.store.close();
    const report = await checkDirectory(this.directory);
    expect(report.findings).toEqual([]);
    await this.open();
  }

  verify(queue: ModelQueue): void {
    const items = this.store.readQueue(queue.device, 0, everything);
    let last = queue.floor;
    for (const item of items) {
      expect(item.firstSequence).toBeGreaterThan(last);
      expect(item.lastSequence).toBeGreaterThanOrEqual(item.firstSequence);
      last = item.lastSequence;
    }
    const readable = new Set(
      items.flatMap((item) => (item.kind === "entries" ? sequencesIn(item.frames) : [])),
    );
    const gaps = items.filter((item) => item.kind === "gap");
    const counted = new Map(gaps.map((gap) => [gap.lastSequence, 0]));
    for (const entry of queue.entries) {
      if (entry.state === "queued" && entry.sequence > queue.floor && !readable.has(entry.sequence))
        entry.state = "gone";
      if (entry.state !== "gone") continue;
      const gap = gaps.find((one) => one.lastSequence >= entry.sequence);
      expect(gap, `entry ${entry.sequence} is neither readable nor in a gap`).toBeDefined();
      entry.gapLast = gap?.lastSequence as number;
      counted.set(entry.gapLast, (counted.get(entry.gapLast) ?? 0) + 1);
    }
    expect(gaps.map((gap) => gap.entryCount)).toEqual([...counted.values()]);
    const expected = queue.entries.filter(
      (entry) => entry.state === "queued" && entry.sequence > queue.floor,
    );
    expect([...readable]).toEqual(expected.map((entry) => entry.sequence));
    expect(framesOf(items).equals(Buffer.concat(expected.map(frameOf)))).toBe(true);
    expect(readable.size).toBeLessThanOrEqual(QUOTAS.queueEntriesMax);
    expect(framesOf(items).length).toBeLessThanOrEqual(QUOTAS.queueBytesMax);
    expect(this.store.hasQueued(queue.device)).toBe(items.length > 0);
  }
}

function frameOf({ sequence, payloadBytes }: ModelEntry): Uint8Array {
  return deliverFrame({ sequence, payload: testPayload(sequence, payloadBytes) });
}

function framesOf(items: readonly QueueItem[]): Buffer {
  return Buffer.concat(items.map((item) => (item.kind === "entries" ? item.frames : Buffer.alloc(0))));
}

test("every entry is readable, acked, or counted in a gap", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 25, maxLength: 60 }), async (steps) => {
      const world = new World();
      await world.open();
      try {
        for (const step of steps) await world.apply(step);
        await world.reopen();
      } finally {
        await world.store.close();
        rmSync(world.directory, { recursive: true, force: true });
      }
    }),
    {
      numRuns: Number(process.env.STORE_MODEL_RUNS ?? 40),
      interruptAfterTimeLimit: 90_000,
      markInterruptAsFailure: true,
    },
  );
});

/** The order of work of wake-ups, under a clock, a store and a sender of the test. */
import { beforeEach, describe, expect, test } from "vitest";
import { type DeviceAddress, deviceAddress, deviceParts } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { type TargetStore, type WakeUpBounds, WakeUps } from "../../src/push/wake-ups.js";
import { limits } from "../../src/rules/limits.js";
import type { PushOutcome, PushTarget, WakeHistory } from "../../src/rules/push.js";

type Row = PushTarget & WakeHistory & { queuedMs: number };

function deviceOf(number: number, brand = 1): DeviceAddress {
  return deviceAddress({ brand, account: new Uint8Array(16).fill(7), device: number });
}

class World implements TargetStore {
  nowMs = 1_000_000;
  readonly rows = new Map<string, Row>();
  readonly connected = new Set<string>();
  readonly sends: { device: number; brand: string; answer: (outcome: PushOutcome) => void }[] = [];
  readonly failures: unknown[] = [];
  troubles = 0;
  breaksReads = false;
  /** Writes reach the disk only after this. */
  disk: Promise<void> = Promise.resolve();
  readonly bounds: WakeUpBounds;
  readonly wakeUps: WakeUps;

  constructor(bounds: Partial<WakeUpBounds> = {}) {
    this.bounds = { ...limits, ...bounds };
    this.wakeUps = new WakeUps({
      store: this,
      sender: {
        kinds: () => [],
        send: ({ target, brand }) =>
          new Promise((answer) => this.sends.push({ device: target[0] as number, brand, answer })),
      },
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      limits: this.bounds,
      brandName: (number) => (number < 9 ? `b${number}` : undefined),
      isConnected: (device) => this.connected.has(toHex(device)),
      onTrouble: () => this.troubles++,
      onFailure: (error) => this.failures.push(error),
    });
  }

  add(device: DeviceAddress, row: Partial<Row> = {}): DeviceAddress {
    const target = Uint8Array.of(deviceParts(device).device);
    const fresh = { kind: "k", target, settledMs: 0, hasConnected: false, queuedMs: 0 };
    this.rows.set(toHex(device), { ...fresh, ...row });
    return device;
  }

  row(device: DeviceAddress): Row | undefined {
    return this.rows.get(toHex(device));
  }

  readonly pushTargets = {
    read: (device: DeviceAddress) => {
      if (this.breaksReads) throw new Error("the store has failed");
      return this.row(device);
    },
    devicesAfter: (after: DeviceAddress | undefined, max: number) =>
      [...this.rows.keys()]
        .sort()
        .filter((name) => after === undefined || name > toHex(after))
        .slice(0, max)
        .map((name) => new Uint8Array(Buffer.from(name, "hex"))),
    unregister: async (device: DeviceAddress) => {
      this.rows.delete(toHex(device));
    },
    settle: async (device: DeviceAddress, _: PushTarget, settledMs: number) => {
      await this.disk;
      this.add(device, { ...this.row(device), settledMs, hasConnected: false });
    },
    connected: async (device: DeviceAddress, settledMs: number) => {
      await this.disk;
      this.add(device, { ...this.row(device), settledMs, hasConnected: true });
    },
  };

  hasQueued(device: DeviceAddress): boolean {
    return (this.row(device)?.queuedMs ?? 0) > 0;
  }

  lastQueuedMs(device: DeviceAddress): number | undefined {
    return this.row(device)?.queuedMs || undefined;
  }

  async after(ms: number): Promise<void> {
    this.nowMs += ms;
    await turns();
    await this.wakeUps.sweep();
    await turns();
  }

  async answer(outcome: PushOutcome): Promise<void> {
    for (const { answer } of this.sends.splice(0)) answer(outcome);
    await turns();
  }
}

async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}

let world: World;
let device: DeviceAddress;
beforeEach(() => {
  world = new World();
  device = world.add(deviceOf(1));
});

describe("one device", () => {
  test("is woken once for whatever is stored at a time, and while that wake-up is under way", async () => {
    for (let i = 0; i < 5; i++) world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
    await world.answer({ result: "sent" });
    expect(world.row(device)).toMatchObject({ settledMs: world.nowMs, hasConnected: false });
    expect(world.wakeUps.stats).toMatchObject({ sent: 1, coalesced: 5, waiting: 0 });
  });

  test("is covered by it for an interval, and then woken again", async () => {
    world.wakeUps.stored(device);
    await turns();
    await world.answer({ result: "sent" });
    world.nowMs += world.bounds.pushIntervalMs - 1;
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(0);
    world.nowMs += 1;
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
  });

  test("that has come meanwhile is woken anew", async () => {
    world.wakeUps.stored(device);
    await turns();
    await world.answer({ result: "sent" });
    world.wakeUps.came(device);
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
  });

  test("that came while its wake-up was under way is woken anew too", async () => {
    world.add(device, { settledMs: world.nowMs, hasConnected: true });
    world.wakeUps.stored(device);
    await turns();
    world.wakeUps.came(device);
    await world.answer({ result: "sent" });
    expect(world.row(device)?.hasConnected).toBe(true);
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
  });

  test.each(["stored", "left"] as const)(
    "that came and went while its wake-up was under way is woken for what was %s since",
    async (occasion) => {
      // The scan after the start would find what is owed, and there is no other.
      await world.after(world.bounds.pushScanDelayMs);
      world.wakeUps.stored(device);
      await turns();
      world.wakeUps.came(device);
      await world.after(1_000);
      world.add(device, { ...world.row(device), queuedMs: world.nowMs });
      world.wakeUps[occasion](device);
      await turns();
      await world.answer({ result: "sent" });
      await world.after(world.bounds.pushIntervalMs);
      expect(world.sends.length).toBe(1);
    },
  );

  test("is remembered to have come or to have been woken while that is being written", async () => {
    let written = (): void => {};
    world.disk = new Promise((resolve) => {
      written = resolve;
    });
    world.add(device, { settledMs: 5, hasConnected: true });
    world.wakeUps.stored(device);
    await turns();
    await world.answer({ result: "sent" });
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(0);
    world.wakeUps.came(device);
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
    written();
    await turns();
    expect(world.row(device)).toMatchObject({ settledMs: world.nowMs, hasConnected: true });
  });

  test("that is connected, has no target, or belongs to no brand is not woken", async () => {
    world.connected.add(toHex(device));
    world.wakeUps.stored(device);
    world.wakeUps.stored(deviceOf(2));
    world.wakeUps.stored(world.add(deviceOf(3, 9)));
    await turns();
    expect(world.sends).toEqual([]);
  });

  test("that left with nothing is not woken; with something, no sooner than an interval after it came", async () => {
    world.add(device, { settledMs: world.nowMs - 10, hasConnected: true });
    world.wakeUps.left(device);
    await world.after(world.bounds.pushIntervalMs);
    expect(world.sends).toEqual([]);
    world.add(device, { settledMs: world.nowMs - 10, hasConnected: true, queuedMs: 1 });
    world.wakeUps.left(device);
    await world.after(world.bounds.pushIntervalMs - 11);
    expect(world.sends).toEqual([]);
    await world.after(1);
    expect(world.sends.length).toBe(1);
  });

  test("that waits because it left is woken at once when something is stored", async () => {
    world.add(device, { settledMs: world.nowMs - 10, hasConnected: true, queuedMs: 1 });
    world.wakeUps.left(device);
    await turns();
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(1);
    await world.answer({ result: "failed" });
    world.wakeUps.stored(device);
    await turns();
    expect(world.sends.length).toBe(0);
  });

  test("that left and came back is not woken", async () => {
    world.add(device, { settledMs: world.nowMs - 10, hasConnected: true, queuedMs: 1 });
    world.wakeUps.left(device);
    await turns();
    expect(world.wakeUps.stats.waiting).toBe(1);
    world.wakeUps.came(device);
    await world.after(world.bounds.pushIntervalMs);
    expect(world.sends).toEqual([]);
    expect(world.wakeUps.stats.waiting).toBe(0);
  });
});

describe("an attempt", () => {
  test("that fails is repeated with growing pauses, so often and no more", async () => {
    world.wakeUps.stored(device);
    await turns();
    let attempts = 0;
    for (; world.sends.length > 0; attempts++) {
      await world.answer({ result: "failed" });
      const leastMs = world.bounds.pushRetryBaseMs * 2 ** attempts * 0.5;
      await world.after(leastMs - 1);
      expect(world.sends.length).toBe(0);
      await world.after(leastMs + 1);
    }
    expect(attempts).toBe(world.bounds.pushAttemptsMax);
    expect(world.wakeUps.stats).toMatchObject({ failed: 1, retried: attempts - 1, sent: 0, waiting: 0 });
    expect(world.row(device)?.settledMs).toBeGreaterThan(0);
    expect(world.troubles).toBe(1);
  });

  test("that is refused is not repeated", async () => {
    world.wakeUps.stored(device);
    await turns();
    await world.answer({ result: "refused", status: 403 });
    await world.after(1e6);
    expect(world.sends).toEqual([]);
    expect(world.wakeUps.stats).toMatchObject({ failed: 1, waiting: 0 });
  });

  test("is not repeated for a device that has come", async () => {
    world.wakeUps.stored(device);
    await turns();
    world.wakeUps.came(device);
    await world.answer({ result: "failed" });
    await world.after(1e6);
    expect(world.sends).toEqual([]);
    expect(world.wakeUps.stats).toMatchObject({ waiting: 0, retried: 0 });
  });

  test("at a dead target forgets it", async () => {
    world.wakeUps.stored(device);
    await turns();
    await world.answer({ result: "gone" });
    expect(world.row(device)).toBeUndefined();
    expect(world.wakeUps.stats).toMatchObject({ gone: 1, sent: 0, failed: 0, waiting: 0 });
  });

  test("that its sender never ends is ended in time, and on a stop", async () => {
    world = new World({ pushTimeoutMs: 20, pushAttemptsMax: 1 });
    world.wakeUps.stored(world.add(device));
    await expect.poll(() => world.wakeUps.stats.failed).toBe(1);
    world = new World();
    world.wakeUps.stored(world.add(device));
    await turns();
    expect(world.sends.length).toBe(1);
    await world.wakeUps.stop();
    expect(world.row(device)?.settledMs).toBe(0);
    world.wakeUps.stored(device);
    await world.after(1e6);
    expect(world.sends.length).toBe(1);
  });

  test("a store that fails ends it all, told once", async () => {
    world.breaksReads = true;
    world.wakeUps.stored(device);
    await turns();
    world.wakeUps.stored(device);
    await turns();
    expect(world.failures.length).toBe(1);
  });
});

describe("room", () => {
  test("one brand takes its share of what is under way, and no more", async () => {
    world = new World({ pushConcurrencyMax: 6, pushConcurrencyPerBrandMax: 4 });
    for (let i = 1; i <= 20; i++) world.wakeUps.stored(world.add(deviceOf(i)));
    await turns();
    expect(world.sends.length).toBe(4);
    for (let i = 1; i <= 20; i++) world.wakeUps.stored(world.add(deviceOf(i, 2)));
    await turns();
    expect(world.sends.map(({ brand }) => brand).sort()).toEqual(["b1", "b1", "b1", "b1", "b2", "b2"]);
    let begun = 6;
    while (world.sends.length > 0) {
      await world.answer({ result: "sent" });
      begun += world.sends.length;
      expect(world.sends.length).toBeLessThanOrEqual(6);
    }
    expect(begun).toBe(40);
    expect(world.wakeUps.stats).toMatchObject({ sent: 40, waiting: 0 });
  });

  test("brands take turns when there is room for one", async () => {
    world = new World({ pushConcurrencyMax: 1, pushConcurrencyPerBrandMax: 1 });
    for (const brand of [1, 2, 3])
      for (let i = 1; i <= 2; i++) world.wakeUps.stored(world.add(deviceOf(i, brand)));
    await turns();
    const order: string[] = [];
    for (let next = world.sends[0]; next !== undefined; next = world.sends[0]) {
      order.push(next.brand);
      await world.answer({ result: "sent" });
    }
    expect(order).toEqual(["b1", "b2", "b3", "b1", "b2", "b3"]);
  });

  test.each([
    ["in its brand's lane", { pushWaitingPerBrandMax: 3, pushConcurrencyPerBrandMax: 2 }],
    ["among what was heard", { pushHeardMax: 3 }],
  ])("what finds none %s is found by a scan and woken, once each", async (_, bounds) => {
    world = new World({ ...bounds, pushScanDelayMs: 10, pushRowsPerSlice: 2, pushRowsPerScan: 4 });
    const woken: number[] = [];
    for (let i = 1; i <= 10; i++) world.wakeUps.stored(world.add(deviceOf(i), { queuedMs: world.nowMs }));
    await turns();
    expect(world.wakeUps.stats.dropped).toBeGreaterThan(0);
    for (let round = 0; round < 30; round++) {
      woken.push(...world.sends.map(({ device: number }) => number));
      await world.answer({ result: "sent" });
      await world.after(10);
    }
    expect(woken.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});

test("after the start those are woken who have something queued since their last wake-up, and are not back", async () => {
  world = new World();
  world.add(deviceOf(1), { settledMs: 5, queuedMs: 6 });
  world.add(deviceOf(2), { settledMs: 6, queuedMs: 5 });
  world.add(deviceOf(3), { settledMs: 5, queuedMs: 0 });
  world.add(deviceOf(4), { settledMs: 5, queuedMs: 6 });
  world.add(deviceOf(5), { settledMs: 5, hasConnected: true, queuedMs: 6 });
  // By a clock that has been set back since: whether that was before or after is not known.
  world.add(deviceOf(6), { settledMs: 10 ** 12, queuedMs: 6 });
  world.add(deviceOf(7), { settledMs: 10 ** 12, queuedMs: 0 });
  world.connected.add(toHex(deviceOf(4)));
  await world.after(world.bounds.pushScanDelayMs - 1);
  expect(world.sends).toEqual([]);
  await world.after(1);
  expect(world.sends.map(({ device: number }) => number)).toEqual([1, 5, 6]);
  await world.answer({ result: "sent" });
  await world.after(world.bounds.pushScanDelayMs);
  expect(world.sends).toEqual([]);
});

import { setImmediate as nextImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Driven, Loop, type Thread } from "../../src/ops/loop.js";
import { patienceAt, turnSpacingMs } from "../../src/rules/patience.js";

/** A thread whose time passes only when the loop naps or the test says so. */
class TestThread implements Thread {
  nowMs = 1_000;
  naps: number[] = [];
  /** What the loop finds when it asks how busy the thread was. */
  busy = 0;

  nap(ms: number): void {
    this.naps.push(ms);
    this.nowMs += ms;
  }

  utilization(): number {
    return this.busy;
  }
}

function driven(thread: TestThread, spacingMaxMs: number) {
  const turns: { atMs: number; patience: number }[] = [];
  const path: Driven = {
    isWaiting: false,
    turn: ({ monotonicMs, patience }) => turns.push({ atMs: monotonicMs, patience }),
  };
  const clock = { wallMs: () => 0, monotonicMs: () => thread.nowMs };
  const loop = new Loop(
    clock,
    spacingMaxMs,
    (error) => {
      throw error;
    },
    thread,
  );
  loop.drive(path);
  return { loop, turns };
}

/** Turns of a thread that is this busy, until the loop's measure of it has settled. */
function settle(loop: Loop, thread: TestThread, busy: number): void {
  thread.busy = busy;
  for (let i = 0; i < 50; i++) {
    thread.nowMs += 20;
    loop.turnNow();
  }
}

async function wake(loop: Loop, turns: readonly unknown[]): Promise<void> {
  const before = turns.length;
  loop.wake();
  for (let i = 0; i < 200 && turns.length === before; i++) await nextImmediate();
}

describe("patience", () => {
  test("is none while the thread is mostly idle, little at half of its capacity, all of it near saturation", () => {
    expect(patienceAt(0)).toBe(0);
    expect(patienceAt(0.25)).toBe(0);
    expect(patienceAt(0.5)).toBeCloseTo(0.148, 2);
    expect(patienceAt(0.9)).toBe(1);
    expect(patienceAt(1)).toBe(1);
    expect(turnSpacingMs(patienceAt(0.5), 24)).toBeLessThan(1);
    expect(turnSpacingMs(1, 24)).toBe(24);
  });

  test("never falls when the load rises", () => {
    const shares = Array.from({ length: 101 }, (_, i) => patienceAt(i / 100));
    expect(shares.toSorted((a, b) => a - b)).toEqual(shares);
  });
});

describe("the loop", () => {
  test("turns at once while it is idle", async () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 24);
    settle(loop, thread, 0.1);
    await wake(loop, turns);
    expect(thread.naps).toEqual([]);
    expect(turns.at(-1)).toEqual({ atMs: thread.nowMs, patience: 0 });
  });

  test("while it is busy keeps the begins of turns apart, napping a millisecond at a time", async () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 24);
    settle(loop, thread, 1);
    const lastMs = turns.at(-1)?.atMs as number;
    thread.nowMs += 4;
    await wake(loop, turns);
    expect(turns.at(-1)?.atMs).toBe(lastMs + 24);
    expect(thread.naps).toEqual(Array(20).fill(1));
  });

  test("does not nap when the turn is due already", async () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 24);
    settle(loop, thread, 1);
    thread.nowMs += 25;
    await wake(loop, turns);
    expect(thread.naps).toEqual([]);
  });

  test("counts naps as idle: they do not keep themselves going", async () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 24);
    settle(loop, thread, 1);
    // The thread says that it never waited for an event, but nearly all of the time it napped.
    for (let i = 0; i < 50; i++) await wake(loop, turns);
    expect(turns.at(-1)?.patience).toBeLessThan(0.2);
  });

  test("a turn that is asked for at once does not wait to be due", () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 24);
    settle(loop, thread, 1);
    const before = turns.length;
    loop.turnNow();
    expect(turns.length).toBe(before + 1);
    expect(thread.naps).toEqual([]);
  });

  test("a spacing of 0 means none, whatever the load", async () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 0);
    settle(loop, thread, 1);
    await wake(loop, turns);
    expect(thread.naps).toEqual([]);
  });

  test("a stopped loop neither turns nor naps", async () => {
    const thread = new TestThread();
    const { loop, turns } = driven(thread, 24);
    settle(loop, thread, 1);
    const before = turns.length;
    loop.wake();
    loop.stop();
    for (let i = 0; i < 10; i++) await nextImmediate();
    expect(turns.length).toBe(before);
    expect(thread.naps).toEqual([]);
  });
});

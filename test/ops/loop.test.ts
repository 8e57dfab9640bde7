import { setImmediate as nextImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Driven, Loop } from "../../src/ops/loop.js";
import { patienceAt } from "../../src/rules/patience.js";

/** A loop whose thread works when the test says so. */
function driven(path: Partial<Driven> = {}) {
  const turns: { atMs: number; patience: number }[] = [];
  const thread = { nowMs: 1_000, activeMs: 0 };
  const errors: unknown[] = [];
  const clock = { wallMs: () => 0, monotonicMs: () => thread.nowMs };
  const loop = new Loop(
    clock,
    (error) => errors.push(error),
    () => thread.activeMs,
  );
  loop.drive({
    isWaiting: false,
    turn: ({ monotonicMs, patience }) => turns.push({ atMs: monotonicMs, patience }),
    ...path,
  });
  /** Turns for a second, each so long and begun so often. */
  const run = ({ turnMs, everyMs }: { turnMs: number; everyMs: number }) => {
    for (const endMs = thread.nowMs + 1_000; thread.nowMs < endMs; ) {
      thread.nowMs += everyMs;
      thread.activeMs += turnMs;
      loop.turnNow();
    }
    return turns.at(-1)?.patience;
  };
  return { loop, turns, thread, errors, run };
}

describe("patience", () => {
  test("is none for short turns, all of it for long ones, and never falls when turns grow longer", () => {
    expect(patienceAt(0)).toBe(0);
    expect(patienceAt(0.2)).toBe(0);
    expect(patienceAt(1)).toBeCloseTo(0.2, 5);
    expect(patienceAt(4)).toBe(1);
    expect(patienceAt(50)).toBe(1);
    const lengths = Array.from({ length: 100 }, (_, i) => patienceAt(i / 20));
    expect(lengths.toSorted((a, b) => a - b)).toEqual(lengths);
  });
});

describe("the loop", () => {
  test("is not patient while turns are short, however busy the thread is", () => {
    expect(driven().run({ turnMs: 0.19, everyMs: 0.2 })).toBe(0);
  });

  test("is patient while turns are long", () => {
    expect(driven().run({ turnMs: 6, everyMs: 6.1 })).toBe(1);
  });

  test("forgets a long turn soon", () => {
    const { run, thread, loop, turns } = driven();
    run({ turnMs: 6, everyMs: 6 });
    for (let i = 0; i < 400; i++) {
      thread.nowMs += 1;
      thread.activeMs += 0.1;
      loop.turnNow();
    }
    expect(turns.at(-1)?.patience).toBe(0);
  });

  test("is woken once, however often it is asked, and not once it has stopped", async () => {
    const { loop, turns } = driven();
    for (let i = 0; i < 3; i++) loop.wake();
    await nextImmediate();
    expect(turns).toHaveLength(1);
    loop.wake();
    loop.stop();
    await nextImmediate();
    expect(turns).toHaveLength(1);
  });

  test("turns within a turn of the event loop that others make long, when one is asked for and late", async () => {
    const { loop, turns, thread } = driven();
    loop.turnNow();
    thread.nowMs += 10;
    loop.turnIfLate();
    expect(turns).toHaveLength(1);
    loop.wake();
    loop.turnIfLate();
    expect(turns).toHaveLength(2);
    thread.nowMs += 0.9;
    loop.turnIfLate();
    expect(turns).toHaveLength(2);
    thread.nowMs += 0.1;
    loop.turnIfLate();
    expect(turns).toHaveLength(3);
    await nextImmediate();
    expect(turns).toHaveLength(4);
  });

  test("leaves others half of the time when turns within a turn of the event loop are long", () => {
    const { loop, thread } = driven({ turn: () => (thread.nowMs += 5) });
    loop.turnNow();
    loop.wake();
    const endedAtMs = thread.nowMs;
    for (const waitedMs of [1, 4.9, 5]) {
      thread.nowMs = endedAtMs + waitedMs;
      loop.turnIfLate();
      expect(thread.nowMs).toBe(endedAtMs + (waitedMs === 5 ? 10 : waitedMs));
    }
  });

  test("turns again and again while something waits for time to pass", async () => {
    const { loop, turns } = driven({ isWaiting: true });
    loop.turnNow();
    await expect.poll(() => turns.length).toBeGreaterThan(3);
    loop.stop();
    const { length } = turns;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(turns).toHaveLength(length);
  });

  test("a turn that fails ends it", async () => {
    const failure = new Error("of the path");
    const { loop, errors } = driven({
      turn: () => {
        throw failure;
      },
    });
    loop.turnNow();
    loop.turnNow();
    expect(errors).toEqual([failure]);
  });
});

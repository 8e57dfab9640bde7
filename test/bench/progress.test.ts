import { describe, expect, it } from "vitest";
import { ProgressLine } from "../../bench/report/progress.js";

/** A line on a stream that keeps what it gets, with a clock that a test moves. */
function lineOn(stream: { isTTY?: boolean; columns?: number }) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const line = new ProgressLine({ ...stream, write: (text: string) => written.push(text) }, () => clock.ms);
  return { line, clock, written, last: () => written.at(-1)!.replace("\r\u001b[K", "") };
}

const terminal = { isTTY: true, columns: 100 };

describe("progress on a terminal", () => {
  it("shows a bar, the time left, rate and p99 where known, and what runs", () => {
    const { line, clock, last } = lineOn(terminal);
    line.plan(100_000, true);
    line.step("round 1", 50_000);
    expect(last()).toBe("░░░░░░░░░░░░░░░░░░░░   0 %  1:40 left  round 1");
    clock.ms = 50_000;
    line.step("round 2", 50_000, { perSec: 98_000.4, p99Ms: 20.04 });
    expect(last()).toBe("██████████░░░░░░░░░░  50 %  0:50 left  98,000/s  p99 20.0 ms  round 2");
    line.end();
  });

  it("corrects the time left by how long the steps before really took", () => {
    const { line, clock, last } = lineOn(terminal);
    line.plan(100_000, true);
    line.step("slow", 50_000);
    clock.ms = 100_000;
    line.step("as slow", 50_000);
    expect(last()).toContain("50 %  1:40 left");
    line.end();
  });

  it("never says that it is done before it is, and lengthens for steps that nobody planned", () => {
    const { line, clock, last } = lineOn(terminal);
    line.plan(10_000, true);
    line.step("planned", 10_000);
    clock.ms = 10_000;
    line.step("not planned", 10_000);
    expect(last()).toContain(" 50 %  0:10 left");
    line.end();
  });

  it("fits the terminal's width, and is written over", () => {
    const { line, written } = lineOn({ isTTY: true, columns: 40 });
    line.plan(1_000, true);
    line.step("what a long name a step may have, longer than forty columns", 1_000);
    expect(written.at(-1)).toHaveLength("\r\u001b[K".length + 39);
    line.end();
    expect(written.at(-1)).toBe("\r\u001b[K");
  });

  it("is nothing when it is not wanted", () => {
    const { line, written } = lineOn(terminal);
    line.plan(1_000, false);
    line.step("a step", 1_000);
    line.end();
    expect(written).toEqual([]);
  });
});

describe("progress elsewhere", () => {
  it("is nothing for half a minute, then a plain line at most so often", () => {
    const { line, clock, written } = lineOn({});
    line.plan(200_000, true);
    for (const seconds of [0, 10, 29, 31, 40, 59, 62]) {
      clock.ms = seconds * 1000;
      line.step(`at ${seconds}`, 10_000);
    }
    line.end();
    expect(written.map((text) => text.slice(-6))).toEqual(
      [" at 31\n", " at 62\n"].map((text) => text.slice(-6)),
    );
    expect(written.join("")).not.toContain("\u001b");
  });
});

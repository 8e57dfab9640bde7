import { describe, expect, it } from "vitest";
import { Arrivals } from "../../bench/generator/arrivals.js";
import { Schedule } from "../../bench/generator/schedule.js";
import { isOwn, ownDevices } from "../../bench/generator/share.js";
import { Timeline } from "../../bench/generator/timeline.js";
import type { Traffic } from "../../bench/generator/traffic.js";

describe("the devices of a process", () => {
  it("are nobody else's, and everybody's are all", () => {
    for (const parts of [1, 2, 3, 7]) {
      const all = Array.from({ length: parts }, (_, part) => [...ownDevices({ part, parts }, 4, 23)]);
      expect(all.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 19 }, (_, i) => 4 + i));
      all.forEach((devices, part) => {
        for (const device of devices) expect(isOwn({ part, parts }, device)).toBe(true);
      });
    }
  });
});

const START_MS = 1000;
/** Twice what 200 sends take on average, so that every process is past them. */
const UNTIL_MS = START_MS + 40;

/** What a process sends in the first moments of a schedule of 10,000 sends a second, however long that takes here. */
async function sendsOf(part: number, parts: number): Promise<string[]> {
  const sends: string[] = [];
  let reachedMs = 0;
  const traffic = {
    sendMeantFor(ms: number, sender: number, target: number) {
      reachedMs = ms;
      sends.push(`${ms.toFixed(6)} ${sender} ${target}`);
    },
    flush() {},
  };
  const options = {
    ratePerSec: 10_000,
    devices: 9,
    peers: 4,
    seed: 5,
    share: { part, parts },
    startMs: START_MS,
  };
  const arrivals = new Arrivals(traffic as unknown as Traffic, options, () => 0);
  arrivals.start();
  while (reachedMs < UNTIL_MS) await new Promise((resolve) => setTimeout(resolve, 5));
  arrivals.stop();
  return sends;
}

describe("a schedule that several processes follow", () => {
  it("is made of theirs: the same sends at the same times, each by one of them", async () => {
    const [whole, ...parts] = await Promise.all([sendsOf(0, 1), sendsOf(0, 3), sendsOf(1, 3), sendsOf(2, 3)]);
    const first = (whole as string[]).slice(0, 200);
    expect(first).toHaveLength(200);
    const [last = ""] = first.slice(-1);
    const together = parts.flat().filter((send) => Number(send.split(" ")[0]) <= Number(last.split(" ")[0]));
    expect(together.sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b))).toEqual(first);
    for (const sends of parts) expect(sends.length).toBeGreaterThan(20);
  });

  it("has each device write to the peers after it only, to all alike", () => {
    const schedule = new Schedule(1, 10, 3);
    const hops = new Map<number, number>();
    for (let i = 0; i < 9_000; i++) {
      schedule.next();
      const hop = (schedule.target - schedule.sender + 10) % 10;
      hops.set(hop, (hops.get(hop) ?? 0) + 1);
    }
    expect([...hops.keys()].sort()).toEqual([1, 2, 3]);
    for (const count of hops.values()) expect(count / 3_000).toBeCloseTo(1, 0);
  });
});

describe("a timeline of a long run", () => {
  it("still knows its beginning when it has become coarser", () => {
    const timeline = new Timeline();
    for (let ms = 0; ms <= 400_000; ms++) timeline.note(ms, 7 * ms);
    for (const ms of [0, 1, 12.5, 99_999, 250_000, 399_000])
      expect(timeline.countAt(ms)).toBeCloseTo(7 * ms, 5);
  });
});

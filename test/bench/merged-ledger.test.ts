import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ledger } from "../../bench/generator/ledger.js";
import { judgeParts } from "../../bench/generator/merged-ledger.js";

const DEVICES = 7;

/** The ledgers of a run in so many processes: every device's is the one of its process. */
function processes(parts: number, peers = DEVICES - 1) {
  const ledgers = Array.from({ length: parts }, (_, part) => {
    return new Ledger(DEVICES, DEVICES, { peers, share: { part, parts } });
  });
  return {
    of: (device: number) => ledgers[device % parts]!,
    judge: () => judgeParts(ledgers.map((one) => one.part())),
  };
}

const clean = { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0 };

/** Device 0 sends `count` messages to device 1, in another process, which receives the counters given. */
function judged(count: number, arrivals: readonly number[], refused: readonly number[] = []) {
  const { of, judge } = processes(2);
  for (let i = 0; i < count; i++) of(0).send(0, 1);
  for (const counter of refused) of(0).withdraw(0, 1, counter);
  for (const counter of arrivals) of(1).receive(1, 0, 1, counter);
  const { sent: _sent, ...judgement } = judge();
  return judgement;
}

describe("ledgers of several processes", () => {
  it("find nothing wrong with a clean stream between two of them", () => {
    expect(judged(5, [1, 2, 3, 4, 5])).toEqual(clean);
  });

  it("flag what was lost: the first, one in the middle, the last, everything", () => {
    expect(judged(4, [2, 3, 4])).toEqual({ ...clean, lost: 1 });
    expect(judged(4, [1, 2, 4])).toEqual({ ...clean, lost: 1 });
    expect(judged(4, [1, 2, 3])).toEqual({ ...clean, lost: 1 });
    expect(judged(4, [])).toEqual({ ...clean, lost: 4 });
  });

  it("do not let a message that nobody sent make up for one that was lost", () => {
    expect(judged(3, [1, 2, 4])).toEqual({ ...clean, lost: 1, misdelivered: 1 });
    expect(judged(3, [1, 2, 3, 4])).toEqual({ ...clean, misdelivered: 1 });
    expect(judged(0, [3])).toEqual({ ...clean, misdelivered: 1 });
  });

  it("do not miss refused sends, and flag those that arrive all the same", () => {
    expect(judged(4, [1, 3], [2, 4])).toEqual(clean);
    expect(judged(4, [1, 2, 3], [2, 4])).toEqual({ ...clean, misdelivered: 1 });
    expect(judged(4, [1, 4], [2, 4])).toEqual({ ...clean, lost: 1, misdelivered: 1 });
  });

  it("flag what comes from a device that does not write to this one", () => {
    const { of, judge } = processes(2, 2);
    of(0).send(0, 2);
    of(1).receive(2, 0, 2, 1);
    of(5).receive(5, 0, 5, 1);
    expect(judge()).toMatchObject({ lost: 0, misdelivered: 1 });
  });

  it("judge as one ledger of the whole run does, whatever happens in what order", () => {
    const happening = fc.record({
      sender: fc.nat(DEVICES - 1),
      hop: fc.integer({ min: 1, max: DEVICES - 1 }),
      what: fc.constantFrom("arrives", "arrives", "arrives", "twice", "lost", "refused", "late"),
    });
    const run = fc.property(
      fc.array(happening, { maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      (events, parts) => {
        const whole = new Ledger(DEVICES);
        const several = processes(parts);
        const late: (() => void)[] = [];
        for (const { sender, hop, what } of events) {
          const target = (sender + hop) % DEVICES;
          const counter = whole.send(sender, target);
          expect(several.of(sender).send(sender, target)).toBe(counter);
          const arrive = () => {
            whole.receive(target, sender, target, counter);
            several.of(target).receive(target, sender, target, counter);
          };
          if (what === "arrives" || what === "twice") arrive();
          if (what === "twice") arrive();
          if (what === "late") late.push(arrive);
          if (what === "refused") {
            whole.withdraw(sender, target, counter);
            several.of(sender).withdraw(sender, target, counter);
          }
        }
        for (const arrive of late) arrive();
        const { sentCount: sent, outstanding: lost, duplicated, reordered, misdelivered } = whole;
        expect(several.judge()).toEqual({ sent, lost, duplicated, reordered, misdelivered });
      },
    );
    fc.assert(run, { numRuns: 500 });
  });
});

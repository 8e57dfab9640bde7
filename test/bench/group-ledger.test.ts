import { describe, expect, it } from "vitest";
import { GroupLedger } from "../../bench/generator/group-ledger.js";

/** Of six devices. Groups are numbered behind the devices. */
const odd = [1, 3, 5];
const everybody = [0, 1, 2, 3, 4, 5];
const [ODD, EVERYBODY] = [6, 7];
const newLedger = () => new GroupLedger(6, 6, [odd, everybody]);

function judged(ledger: GroupLedger) {
  const { outstanding: lost, duplicated, reordered, misdelivered } = ledger;
  return { lost, duplicated, reordered, misdelivered };
}

const clean = { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0 };

describe("the ledger of a run with groups", () => {
  it("finds nothing wrong when every member but the sender has it once, beside direct sends", () => {
    const ledger = newLedger();
    const first = ledger.send(1, ODD);
    const direct = ledger.send(1, 3);
    const second = ledger.send(3, ODD);
    expect(ledger.outstanding).toBe(5);
    ledger.receive(3, 1, ODD, first);
    ledger.receive(5, 1, ODD, first);
    ledger.receive(3, 1, 3, direct);
    ledger.receive(1, 3, ODD, second);
    ledger.receive(5, 3, ODD, second);
    expect(judged(ledger)).toEqual(clean);
  });

  it("flags what one member of many missed, and what one got twice", () => {
    const ledger = newLedger();
    for (const [at, number] of [ledger.send(0, EVERYBODY), ledger.send(0, EVERYBODY)].entries()) {
      for (const member of [1, 2, 3, 4, 5]) {
        if (at === 0 && member === 2) continue;
        ledger.receive(member, 0, EVERYBODY, number);
        if (at === 1 && member === 4) ledger.receive(member, 0, EVERYBODY, number);
      }
    }
    expect(judged(ledger)).toEqual({ ...clean, lost: 1, duplicated: 1 });
  });

  it("flags what overtook another of the same sender, in whatever group or none", () => {
    const ledger = newLedger();
    const numbers = [ledger.send(1, EVERYBODY), ledger.send(1, 3), ledger.send(1, ODD)] as const;
    ledger.receive(3, 1, ODD, numbers[2]);
    ledger.receive(3, 1, EVERYBODY, numbers[0]);
    ledger.receive(3, 1, 3, numbers[1]);
    expect(ledger.reordered).toBe(2);
  });

  it("flags what comes to a stranger, to its sender, of another sender or of no send", () => {
    const ledger = newLedger();
    const number = ledger.send(1, ODD);
    ledger.receive(2, 1, ODD, number);
    ledger.receive(1, 1, ODD, number);
    ledger.receive(3, 5, ODD, number);
    ledger.receive(3, 1, EVERYBODY, number);
    ledger.receive(3, 1, ODD, number + 1);
    ledger.receive(3, 1, 99, number);
    expect(judged(ledger)).toEqual({ ...clean, lost: 2, misdelivered: 6 });
  });

  it("does not miss a refused group send, and flags one that arrives all the same", () => {
    const ledger = newLedger();
    const refused = ledger.send(1, ODD);
    ledger.withdraw(1, ODD, refused);
    expect(judged(ledger)).toEqual(clean);
    ledger.receive(3, 1, ODD, refused);
    expect(judged(ledger)).toEqual({ ...clean, misdelivered: 1 });
  });
});

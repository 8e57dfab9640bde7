import { describe, expect, it } from "vitest";
import { Ledger } from "../../bench/generator/ledger.js";

/** Two devices; 0 sends `count` messages to 1, which receives the counters given. */
function judged(count: number, arrivals: readonly number[]) {
  const ledger = new Ledger(2);
  for (let i = 0; i < count; i++) ledger.send(0, 1);
  for (const counter of arrivals) ledger.receive(1, 0, 1, counter);
  const { outstanding: lost, duplicated, reordered, misdelivered } = ledger;
  return { lost, duplicated, reordered, misdelivered };
}

const clean = { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0 };

describe("the ledger", () => {
  it("finds nothing wrong with a clean stream", () => {
    expect(judged(5, [1, 2, 3, 4, 5])).toEqual(clean);
  });

  it("flags what was lost: the first, one in the middle, the last", () => {
    expect(judged(4, [2, 3, 4])).toEqual({ ...clean, lost: 1 });
    expect(judged(4, [1, 2, 4])).toEqual({ ...clean, lost: 1 });
    expect(judged(4, [1, 2, 3])).toEqual({ ...clean, lost: 1 });
    expect(judged(4, [])).toEqual({ ...clean, lost: 4 });
  });

  it("flags what came twice", () => {
    expect(judged(3, [1, 2, 2, 3])).toEqual({ ...clean, duplicated: 1 });
    expect(judged(3, [1, 2, 3, 1, 3])).toEqual({ ...clean, duplicated: 2 });
  });

  it("flags what came late, once, and neither as lost nor as a duplicate", () => {
    expect(judged(4, [1, 3, 2, 4])).toEqual({ ...clean, reordered: 1 });
    expect(judged(4, [4, 3, 2, 1])).toEqual({ ...clean, reordered: 3 });
    expect(judged(4, [1, 3, 2, 2, 4])).toEqual({ ...clean, reordered: 1, duplicated: 1 });
  });

  it("does not let a duplicate make up for a loss", () => {
    expect(judged(3, [1, 2, 2])).toEqual({ ...clean, lost: 1, duplicated: 1 });
  });

  it("flags what arrives elsewhere or was never sent", () => {
    const ledger = new Ledger(3);
    const counter = ledger.send(0, 1);
    ledger.receive(2, 0, 1, counter);
    ledger.receive(1, 0, 1, counter + 1);
    ledger.receive(1, 7, 1, 1);
    expect(ledger).toMatchObject({ misdelivered: 3, outstanding: 1 });
  });

  it("counts each pair for itself", () => {
    const ledger = new Ledger(3);
    ledger.send(0, 1);
    ledger.send(2, 1);
    ledger.receive(1, 2, 1, 1);
    ledger.receive(1, 0, 1, 1);
    expect(ledger).toMatchObject({ reordered: 0, duplicated: 0, outstanding: 0 });
  });

  it("does not miss a refused send, and flags one that arrives all the same", () => {
    const ledger = new Ledger(2);
    for (let i = 0; i < 3; i++) ledger.send(0, 1);
    ledger.withdraw(0, 1, 2);
    ledger.receive(1, 0, 1, 1);
    ledger.receive(1, 0, 1, 3);
    expect(ledger).toMatchObject({ outstanding: 0, duplicated: 0, reordered: 0, misdelivered: 0 });

    const refused = ledger.send(0, 1);
    ledger.withdraw(0, 1, refused);
    ledger.receive(1, 0, 1, refused);
    expect(ledger).toMatchObject({ outstanding: 0, misdelivered: 1 });
  });

  it("does not miss a refused send whose refusal comes after later sends arrived", () => {
    const ledger = new Ledger(2);
    for (let i = 0; i < 3; i++) ledger.send(0, 1);
    ledger.receive(1, 0, 1, 1);
    ledger.receive(1, 0, 1, 3);
    expect(ledger.outstanding).toBe(1);
    ledger.withdraw(0, 1, 2);
    expect(ledger).toMatchObject({ outstanding: 0, misdelivered: 0 });
  });
});

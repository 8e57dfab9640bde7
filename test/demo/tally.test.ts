/** The judge must let a right run pass and must catch every wrong one. */
import { expect, test } from "vitest";
import { Tally } from "./tally.js";

/** Two messages of Ana's phone for three readers, done right, except for what `spoil` does first or last. */
function run(steps: { before?: (tally: Tally) => void; after?: (tally: Tally) => void; skip?: string } = {}) {
  const tally = new Tally();
  for (const text of ["one", "two"]) {
    tally.written(text, "ana phone", ["ana laptop", "chi phone", "chi tablet"]);
    tally.submitted(text);
  }
  steps.before?.(tally);
  for (const text of ["one", "two"]) {
    if (steps.skip !== `receipt ${text}`) tally.receipted(text);
    for (const reader of ["ana laptop", "chi phone", "chi tablet"]) {
      if (steps.skip !== `${reader} ${text}`) tally.read(reader, "ana phone", text);
    }
  }
  steps.after?.(tally);
  return { tally, verdict: tally.judge() };
}

test("a run in which everybody read everything once is right", () => {
  const { tally, verdict } = run();
  expect(verdict).toEqual({
    ok: true,
    sent: 2,
    receipted: 2,
    expected: 6,
    decrypted: 6,
    missing: 0,
    duplicatesShown: 0,
    outOfOrder: 0,
    faults: [],
  });
  expect([tally.outstandingOf("chi tablet"), tally.unreceipted, tally.faultCount]).toEqual([0, 0, 0]);
});

test("a run without messages proves nothing and is not right", () => {
  expect(new Tally().judge().ok).toBe(false);
});

test("one missing decryption among many is caught, by name", () => {
  const { tally, verdict } = run({ skip: "chi tablet two" });
  expect([tally.outstandingOf("chi tablet"), tally.outstandingOf("chi phone")]).toEqual([1, 0]);
  expect(verdict).toMatchObject({ ok: false, missing: 1, decrypted: 5 });
  expect(verdict.faults).toEqual(["chi tablet never read a message of ana phone"]);
});

test("the same fault found often is told once, with its count", () => {
  const tally = new Tally();
  for (const text of ["one", "two"]) {
    tally.written(text, "ana phone", ["chi phone"]);
    tally.receipted(text);
  }
  expect(tally.judge().faults).toEqual(["chi phone never read a message of ana phone (2 times)"]);
});

test("a message decrypted twice is caught and does not make up for a missing one", () => {
  const { verdict } = run({
    skip: "chi tablet two",
    after: (tally) => tally.read("chi phone", "ana phone", "two"),
  });
  expect(verdict).toMatchObject({ ok: false, duplicatesShown: 1, missing: 1, decrypted: 5 });
});

test("an envelope shown twice is caught even when it could not be decrypted twice", () => {
  const { verdict } = run({ after: (tally) => tally.shownTwice("chi phone", "ana phone") });
  expect(verdict).toMatchObject({ ok: false, duplicatesShown: 1, missing: 0, decrypted: 6 });
});

test("a missing receipt is caught", () => {
  const { tally, verdict } = run({ skip: "receipt two" });
  expect(tally.unreceipted).toBe(1);
  expect(verdict).toMatchObject({ ok: false, receipted: 1 });
});

test("a reader the message is not for is caught", () => {
  const { verdict } = run({ after: (tally) => tally.read("dov phone", "ana phone", "two") });
  expect(verdict).toMatchObject({ ok: false, decrypted: 6 });
});

test("a text nobody wrote and a wrong sender are caught", () => {
  expect(run({ after: (tally) => tally.read("chi phone", "ana phone", "three") }).verdict.ok).toBe(false);
  const { verdict } = run({
    skip: "chi phone two",
    after: (tally) => tally.read("chi phone", "eve phone", "two"),
  });
  expect(verdict).toMatchObject({ ok: false, missing: 0 });
});

test("messages of one device read in another order than written are caught", () => {
  const { verdict } = run({ before: (tally) => tally.read("chi phone", "ana phone", "two") });
  expect(verdict).toMatchObject({ ok: false, outOfOrder: 1 });
});

test("a message that had to be handed over again takes its later place in the order", () => {
  const tally = new Tally();
  for (const text of ["one", "two"]) {
    tally.written(text, "ana phone", ["chi phone"]);
    tally.submitted(text);
    tally.receipted(text);
  }
  tally.submitted("one");
  tally.read("chi phone", "ana phone", "two");
  tally.read("chi phone", "ana phone", "one");
  expect(tally.judge()).toMatchObject({ ok: true, outOfOrder: 0 });
});

/**
 * A store on which everything happens at once that changes what is on disk — sends, acks, spills, shared parts, changes of
 * groups and rosters, agreements, key uploads and claims, names, push targets, notices — is killed at any moment. Then sends are
 * made again, to a kernel with the keys that the store has kept: those that were accepted are known. What it holds after
 * each open must be one of the states that an independent model allows: all that was answered, of what was asked and not
 * answered each thing whole or not at all, and nothing else. Then it goes on, from there to the next kill.
 */
import { expect, test } from "vitest";
import { buildMutant, type MutantName } from "../support/mutant.js";
import { type RecoveryOutcome, recoveryLoop } from "../support/recovery-loop.js";
import { amount, isFullRun, seededRandom, tell } from "../support/scale.js";

const KILLS = amount({ short: 200, full: 5_000 });
/** A broken build shows within these, or the loop is worth nothing. */
const CONTROL_KILLS = 150;

function summary(name: string, outcome: RecoveryOutcome): void {
  const { kills, killsAtOpen, answers, open, happened, drained, faults } = outcome;
  tell(
    `${name}: ${kills} kills (${killsAtOpen} at open), ${answers} answers, ${open} questions cut off of which ` +
      `${happened} had happened, ${drained} times empty, ${faults.length} faults`,
  );
  for (const fault of faults.slice(0, 3)) tell(fault.slice(0, 1_500));
}

test("after a kill at any moment the recovered state is one that the model allows", async () => {
  const outcome = await recoveryLoop({ random: seededRandom("recovered state"), kills: KILLS });
  summary("recovered state", outcome);
  expect(outcome.faults).toEqual([]);
  expect(outcome.kills).toBe(KILLS);
  // It was killed in the middle of things, and they were then there as well as not.
  expect(outcome.answers).toBeGreaterThan(KILLS * 5);
  expect(outcome.happened).toBeGreaterThan(0);
  expect(outcome.open - outcome.happened).toBeGreaterThan(0);
});

/** By the fault that it must show. The last has a control of its own in groups.test.ts, and is left to full runs. */
const controls: readonly (readonly [MutantName, RegExp])[] = [
  ["claimsBeforeFlush", /keys of|"op":"claim".*was answered/],
  ["groupHalved", /groups of|groups have|"op":"changeGroup".*was answered/],
  ["tombstoneLater", /refused tokens of|"isOld":true.*was answered/],
  ["releasedEarly", /queue of/],
  ["agreementsBeforeFlush", /agreements of|what both have agreed to|"op":"(agree|takeBack)".*was answered/],
  ["dedupKeysSpilledAway", /a repeat is taken anew/],
  ["eventsApart", /a notice is missing/],
];

// Which fault a kill shows first is chance, and the one that is looked for may stand behind another: so there are more tries.
test.for(isFullRun ? controls : controls.slice(0, 6))(
  "control: %s is caught",
  { retry: 2 },
  async ([name, expected]) => {
    const mutant = buildMutant(name);
    try {
      const random = seededRandom(`recovered state, ${name}`);
      const outcome = await recoveryLoop({ random, kills: CONTROL_KILLS, build: mutant.build });
      summary(name, outcome);
      expect(outcome.faults.filter((fault) => expected.test(fault))).not.toEqual([]);
    } finally {
      mutant.remove();
    }
  },
);

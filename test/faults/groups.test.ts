/**
 * Groups under kills: every member is given all messages of one version of the roster, then the event, then those of the
 * next; who was removed is given nothing that was sent after; what was answered is never forgotten, and the roster that
 * is recovered is the one that the events make.
 */
import { expect, test } from "vitest";
import type { GroupFault } from "../support/group-judge.js";
import { groupLoop } from "../support/group-loop.js";
import { buildMutant } from "../support/mutant.js";
import { amount, seededRandom, tell } from "../support/scale.js";

const KILLS = amount({ short: 20, full: 200 });
/** A broken build shows within these, or the loop is worth nothing. */
const CONTROL_KILLS = 10;

test("members agree on every version, and messages keep to theirs, over kills at any moment", async () => {
  const { faults, changes, messages } = await groupLoop({ random: seededRandom("groups"), kills: KILLS });
  expect(faults).toEqual([]);
  expect(changes).toBeGreaterThan(KILLS);
  expect(messages).toBeGreaterThan(KILLS * 10);
});

test("control: events that are not written with their change are caught", async () => {
  const mutant = buildMutant("eventsApart");
  try {
    const { faults } = await groupLoop({
      random: seededRandom("groups, events apart"),
      kills: CONTROL_KILLS,
      build: mutant.build,
    });
    const rules = new Set(faults.map(({ rule }) => rule));
    tell(`eventsApart: ${[...rules].join(", ")}`);
    // Lost by a kill, and, without any, later than what is sent for the new version.
    expect(rules).toContain("untold");
    expect(["order", "outside", "version"].some((rule) => rules.has(rule as GroupFault["rule"]))).toBe(true);
  } finally {
    mutant.remove();
  }
});

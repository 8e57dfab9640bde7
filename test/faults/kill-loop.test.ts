/**
 * A2 and A7: after SIGKILL at any moment every receipted envelope is delivered,
 * in the order of each pair of devices, and no sequence ever stands for two things.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { History } from "../support/history.js";
import { describeFaults, type Fault, judge } from "../support/judge.js";
import { killLoop } from "../support/kill-loop.js";
import { buildMutant, type MutantName } from "../support/mutant.js";
import { amount, seededRandom, tell } from "../support/scale.js";

const KILLS = amount({ short: 40, full: 1000 });
/** Nodes that are killed beside each other: half of a loop is waiting for processes to start and to end. */
const LANES = amount({ short: 2, full: 1 });
/** A broken build shows within this many kills, or the loop is worth nothing. */
const CONTROL_KILLS = 30;

function verdictOf(history: History) {
  return judge(history.events, { gaps: "none" });
}

test("nothing receipted is lost, repeated without need, reordered or renumbered by kills", async () => {
  const kills = KILLS / LANES;
  const lanes = Array.from({ length: LANES }, (_, lane) =>
    killLoop({ random: seededRandom(`kill loop, lane ${lane}`), kills }),
  );
  for (const { history } of await Promise.all(lanes)) {
    const verdict = verdictOf(history);
    tell(
      `${verdict.kills} kills, ${verdict.sent} sends, ${verdict.receipted} receipted, ${verdict.delivered} deliveries, ` +
        `${verdict.pairs} pairs, ${verdict.faults.length} faults`,
    );
    if (verdict.faults.length > 0) history.save(join(tmpdir(), "interline-kill-loop.jsonl"));
    expect(describeFaults(verdict)).toBe("");
    expect(verdict.kills).toBe(kills);
    expect(verdict.receipted).toBe(verdict.sent);
    expect(verdict.receipted).toBeGreaterThan(kills * 50);
  }
});

/** The faults that the judge finds in a broken build's history, once it has found the sign. */
async function faultsOfMutant(name: MutantName, sign: Fault["rule"]): Promise<ReturnType<typeof judge>> {
  const mutant = buildMutant(name);
  try {
    const { history } = await killLoop({
      random: seededRandom(`kill loop, ${name}`),
      kills: CONTROL_KILLS,
      build: mutant.build,
      isEnough: ({ events }) => judge(events, { gaps: "none", mayBeUnanswered: true }).count(sign) > 0,
    });
    const verdict = verdictOf(history);
    tell(`${name}: caught after ${verdict.kills} kills; ${describeFaults(verdict).slice(0, 200)}`);
    return verdict;
  } finally {
    mutant.remove();
  }
}

test("control: receipts before the flush are caught as lost envelopes", async () => {
  // A hole in the numbers of a pair shows before all is drained.
  const verdict = await faultsOfMutant("receiptsBeforeFlush", "reordered");
  expect(verdict.count("lost")).toBeGreaterThan(0);
});

test("control: sequences that start over are caught as reused", async () => {
  const verdict = await faultsOfMutant("epochStands", "reused");
  expect(verdict.count("reused")).toBeGreaterThan(0);
});

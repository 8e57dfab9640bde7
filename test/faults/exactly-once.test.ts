/**
 * A6: at least once to every device, exactly once to one that uses the SDK,
 * under storms of repeated sends, lost acks, crashed applications and kills.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeFaults, judge } from "../support/judge.js";
import { buildMutant } from "../support/mutant.js";
import { resendStorm } from "../support/resend-storm.js";
import { amount, seededRandom, tell } from "../support/scale.js";

const SENDS = amount({ short: 200_000, full: 10_000_000 });
const REPEATS = amount({ short: 24_000, full: 1_200_000 });

test("every envelope is applied once, whatever is repeated, lost or killed", async () => {
  const kills = amount({ short: 4, full: 100 });
  const storm = await resendStorm({
    random: seededRandom("resend storm"),
    sends: SENDS,
    repeats: REPEATS,
    kills,
  });
  const verdict = judge(storm.history.events, { gaps: "none", applies: storm.applies });
  tell(
    `${verdict.sent} sends, ${storm.repeats} repeated, ${verdict.applied} applied, ${storm.appCrashes} crashed ` +
      `applications, ${storm.cuts} cut connections, ${verdict.kills} kills, ${verdict.faults.length} faults`,
  );
  if (verdict.faults.length > 0) storm.history.save(join(tmpdir(), "interline-exactly-once.jsonl"));
  expect(describeFaults(verdict)).toBe("");
  expect(verdict.applied).toBe(verdict.sent);
  expect(storm.repeats).toBeGreaterThan(REPEATS * 0.8);
  expect(storm.appCrashes).toBeGreaterThan(10);
});

test("control: a node that remembers no id is caught", async () => {
  const mutant = buildMutant("dedupForgets");
  try {
    const random = seededRandom("resend storm, dedupForgets");
    // Far enough apart that the SDK's own memory of ids has let go of them.
    const storm = await resendStorm({ random, sends: 40_000, repeats: 4_000, kills: 0, build: mutant.build });
    const verdict = judge(storm.history.events, { gaps: "none", applies: storm.applies });
    tell(`dedupForgets: ${describeFaults(verdict).slice(0, 200)}`);
    expect(verdict.count("reapplied")).toBeGreaterThan(0);
  } finally {
    mutant.remove();
  }
});

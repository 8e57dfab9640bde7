/**
 * A4: on the first failed write or flush no further receipt, an explicit refusal,
 * an exit within five seconds, and nothing receipted is lost.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SeededRandom } from "../demo/seeded-random.js";
import { FailingStorage, type Injection, type Outcome } from "../support/failing-storage.js";
import { describeFaults, judge } from "../support/judge.js";
import { buildMutant } from "../support/mutant.js";
import { amount, seededRandom, tell } from "../support/scale.js";

const INJECTIONS = amount({ short: 60, full: 1200 });
const EXIT_MS = 5_000;
const MUTE_SHARE = 0.05;
const STORAGE_FAILED = 505;
const DRAINING = 502;

/** Every call and error in turn, at the first, the second, … of the calls of its kind, and later ones at random. */
function injections(count: number, random: SeededRandom): Injection[] {
  const kinds = [
    // Only spills and sign-ins flush in two steps: a thread does that a few times in a second.
    { call: "fdatasync", error: "EIO", latest: 6 },
    { call: "pwrite64,pwritev", error: "EIO", latest: 60 },
    { call: "pwrite64,pwritev", error: "ENOSPC", latest: 60 },
  ] as const;
  return Array.from({ length: count }, (_, i) => {
    const { latest, ...kind } = kinds[i % kinds.length] as (typeof kinds)[number];
    const round = Math.floor(i / kinds.length);
    const when = round < 4 ? round + 1 : random.between(2, latest);
    return { ...kind, when, isLasting: i % 3 === 0 };
  });
}

function expectFailStop(outcome: Outcome): void {
  const { injection, end, exitMs, receipts, early, hasOverrun, wrote } = outcome;
  const what = JSON.stringify(injection);
  expect(exitMs, `${what}: the call failed; ${receipts} receipts, ${JSON.stringify(end)}`).toBeDefined();
  expect(exitMs, `${what}: time to the exit`).toBeLessThan(EXIT_MS);
  expect(early, `${what}: receipts for what was not durable`).toBe(0);
  if (hasOverrun && (end.signal === "SIGABRT" || end.signal === "SIGSEGV")) return;
  expect(end, `${what}: exit, after it wrote ${wrote.slice(-2_000)}`).toMatchObject({
    code: 1,
    signal: null,
  });
}

/**
 * Connections that were ended without a word, and all that were ended. A reset that overtakes the farewell (the process ended while
 * bytes of the peer's were still unread) makes a few of the former.
 */
function endsOf(outcomes: readonly Outcome[]): { readonly mute: number; readonly all: number } {
  const ends = outcomes
    .filter(({ atOpen, end }) => !atOpen && end.signal === null)
    .flatMap((outcome) => outcome.ends);
  // Who was just coming in is told to come back; everybody else is told why.
  const explicit = [`${STORAGE_FAILED} ${4000 + STORAGE_FAILED}`, `${DRAINING} ${4000 + DRAINING}`];
  const mute = ends.filter(({ code, closeCode }) => !explicit.includes(`${code} ${closeCode}`));
  return { mute: mute.length, all: ends.length };
}

test("the first failed write or flush ends the node, and nothing receipted is lost", async () => {
  const random = seededRandom("storage failure");
  const all = injections(INJECTIONS, random);
  const lanes = [
    await FailingStorage.create(random),
    // The command line has an exit of its own.
    await FailingStorage.create(random, { isServed: true }),
  ];
  try {
    await Promise.all(
      lanes.map(async (lane) => {
        for (let injection = all.shift(); injection !== undefined; injection = all.shift()) {
          await lane.fail(injection);
        }
      }),
    );
    const outcomes = lanes.flatMap((lane) => lane.outcomes);
    const exits = outcomes.map(({ exitMs }) => exitMs ?? 0).sort((a, b) => a - b);
    tell(
      `${outcomes.length} failures, ${outcomes.filter(({ atOpen }) => atOpen).length} of them at open; exit after at most ` +
        `${exits.at(-1)?.toFixed()} ms, median ${exits[exits.length >> 1]?.toFixed()} ms; ` +
        `${outcomes.reduce((sum, { receipts }) => sum + receipts, 0)} receipts; ` +
        `${outcomes.filter(({ end }) => end.signal !== null).length} ended by lmdb's overrun`,
    );
    for (const outcome of outcomes) expectFailStop(outcome);
    const { mute, all: ended } = endsOf(outcomes);
    tell(`${ended} connections ended, ${mute} of them without a word`);
    expect(mute).toBeLessThan(ended * MUTE_SHARE);
    for (const lane of lanes) {
      const history = await lane.settle();
      const verdict = judge(history.events, { gaps: "none" });
      tell(`${verdict.sent} sends, ${verdict.delivered} deliveries, ${verdict.faults.length} faults`);
      if (verdict.faults.length > 0) history.save(join(tmpdir(), "interline-storage-failure.jsonl"));
      expect(describeFaults(verdict)).toBe("");
    }
  } finally {
    for (const lane of lanes) await lane.discard();
  }
});

test("control: a node that goes on after a failed write is caught", async () => {
  const mutant = buildMutant("failureIgnored");
  const lane = await FailingStorage.create(seededRandom("storage failure, failureIgnored"), {
    build: mutant.build,
    // Nothing is written a second time, out of memory, before the kill.
    spillAgeMs: 60_000,
  });
  try {
    const goesOnMs = 1_500;
    const outcome = await lane.fail({ call: "fdatasync", error: "EIO", when: 5, isLasting: false }, goesOnMs);
    const lasting = await lane.fail(
      { call: "pwrite64,pwritev", error: "ENOSPC", when: 30, isLasting: true },
      goesOnMs,
    );
    const verdict = judge((await lane.settle(true)).events, { gaps: "none", mayBeUnanswered: true });
    tell(
      `failureIgnored: ${outcome.early + lasting.early} early receipts; ${describeFaults(verdict).slice(0, 200)}`,
    );
    expect(outcome.end.signal).toBe("SIGKILL");
    expect(outcome.early + lasting.early).toBeGreaterThan(0);
    expect(verdict.count("lost")).toBeGreaterThan(0);
  } finally {
    await lane.discard();
    mutant.remove();
  }
});

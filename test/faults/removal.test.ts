/**
 * A9: what is removed undelivered, by quota or by age, leaves a gap that counts
 * it, in its place, while the node is under load.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { SeededRandom } from "../demo/seeded-random.js";
import { Fleet } from "../support/fleet.js";
import { describeFaults, judge } from "../support/judge.js";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { World, type WorldAccount } from "../support/world.js";

const REMOVED = amount({ short: 12_000, full: 110_000 });
/** Each receiver hears from one sender only, so that a gap's place can be checked. */
const PAIRS = 12;
const TURN_MS = 5;
const BURST = 6;

interface Removal {
  readonly limits: Readonly<Record<string, number>>;
  readonly removed: number;
  readonly build?: string;
}

/** Sends to receivers that come now and then, until so many entries were removed; then all of them come and stay. */
async function removal(random: SeededRandom, { limits, removed, build }: Removal) {
  const world = new World({ brands: 2, accountsPerBrand: PAIRS, devices: () => 1 });
  const node = await NodeUnderTest.create({ world, limits, ...(build === undefined ? {} : { build }) });
  const fleet = new Fleet({ world, port: node.port, random });
  try {
    await node.start();
    await fleet.register();
    const senders = fleet.actors.slice(0, PAIRS);
    const receivers = fleet.actors.slice(PAIRS);
    for (const sender of senders) sender.isWanted = true;
    const connecting = fleet.keepConnected();
    for (let turn = 0; ; turn++) {
      senders.forEach((sender, i) => {
        if (sender.unanswered.length > 200) return;
        for (let n = 0; n < BURST; n++)
          sender.send([world.accounts[PAIRS + i] as WorldAccount], random.between(40, 600));
      });
      if (turn % 40 === 0) {
        for (const receiver of receivers) receiver.isWanted = random.fraction() < 0.25;
        // An entry that came and was not acked may be removed too: nobody goes without an ack.
        for (const receiver of receivers) if (!receiver.isWanted) receiver.leave();
        const { quotaEntries, expiredEntries } = (await node.stats()).store;
        if (quotaEntries + expiredEntries >= removed) break;
      }
      await delay(TURN_MS);
    }
    await fleet.drain(1_500);
    fleet.release();
    await connecting;
    const { quotaEntries, expiredEntries } = (await node.stats()).store;
    if (build === undefined) scanOutput(node, world, fleet.history);
    return { verdict: judge(fleet.history.events, { gaps: "accounted" }), quotaEntries, expiredEntries };
  } finally {
    fleet.release();
    await node.discard();
  }
}

const tellResult = (
  what: string,
  { verdict, quotaEntries, expiredEntries }: Awaited<ReturnType<typeof removal>>,
) =>
  tell(
    `${what}: ${verdict.sent} sends, ${quotaEntries} removed by quota, ${expiredEntries} by age, ` +
      `${verdict.removed} in gaps, ${verdict.faults.length} faults`,
  );

test("entries beyond a queue's quota are all accounted for by gaps", async () => {
  const limits = { queueEntriesMax: 60, queueBytesMax: 24_000, spillAgeMs: 60 };
  const result = await removal(seededRandom("removal by quota"), { limits, removed: REMOVED });
  tellResult("quota", result);
  expect(describeFaults(result.verdict)).toBe("");
  // An entry that is removed while it is on its way may still be acked: then nothing is missing, and no gap comes.
  expect(result.verdict.removed).toBeLessThanOrEqual(result.quotaEntries + result.expiredEntries);
  expect(result.verdict.removed).toBeGreaterThan(REMOVED * 0.9);
});

test("entries beyond the retention are all accounted for by gaps", async () => {
  const limits = { retentionMs: 700, spillAgeMs: 60 };
  const result = await removal(seededRandom("removal by age"), { limits, removed: REMOVED / 4 });
  tellResult("age", result);
  expect(describeFaults(result.verdict)).toBe("");
  expect(result.verdict.removed).toBeGreaterThan((REMOVED / 4) * 0.9);
});

test("control: entries that are removed without a gap are caught as lost", async () => {
  const mutant = buildMutant("removedSilently");
  try {
    const limits = { queueEntriesMax: 60, spillAgeMs: 60 };
    const result = await removal(seededRandom("removal, removedSilently"), {
      limits,
      removed: 1_000,
      build: mutant.build,
    });
    tellResult("removedSilently", result);
    expect(result.verdict.count("lost")).toBeGreaterThan(0);
  } finally {
    mutant.remove();
  }
});

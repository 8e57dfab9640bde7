/**
 * Signals and presence pass only where both sides' agreements live, from the answer to the one that makes it so until the answer
 * to a withdrawal, whatever is changed at the same time and whenever the node is killed; and nothing of a signal is on disk.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkDirectory } from "../../src/store/store.js";
import { AgreementLoop, type Wrong } from "../support/agreement-loop.js";
import { buildMutant, type MutantName } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { World } from "../support/world.js";

const KILLS = amount({ short: 6, full: 200 });
const CONTROL_ROUNDS = 12;
const PEOPLE_PER_BRAND = 3;

const discarded: NodeUnderTest[] = [];
afterAll(async () => {
  for (const node of discarded) await node.discard();
});

async function run(name: string, rounds: number, build?: string, wanted?: Wrong) {
  const world = new World({ brands: 2, accountsPerBrand: PEOPLE_PER_BRAND, devices: () => 1 });
  const node = await NodeUnderTest.create({
    world,
    limits: {
      ...{ contactChangesBurst: 1_000_000, signalsBurst: 1_000_000 },
      ...{ presenceOnlineMs: 10, presenceOfflineMs: 50, presenceTickMs: 10, presenceRetryMs: 50 },
    },
    ...(build !== undefined && { build }),
  });
  discarded.push(node);
  const loop = new AgreementLoop({ node, world, random: seededRandom(name) });
  await node.start();
  for (let round = 0; round < rounds; round++) {
    await loop.round(round % 2 === 0);
    if (wanted === undefined || !loop.wrongs.includes(wanted)) continue;
    tell(`${wanted} in round ${round + 1}`);
    break;
  }
  await (build === undefined ? node.stop() : node.kill());
  scanOutput(node, world);
  return { loop, directory: node.dataDirectory };
}

test("nothing passes without both agreements, and everything with them, over kills", async () => {
  const { loop, directory } = await run("agreements", 2 * KILLS);
  tell(
    `${loop.kills} kills, ${loop.changes} changes, ${loop.heard} of ${loop.signals} signals came, ${loop.wrongs.length} wrong`,
  );
  expect(loop.wrongs).toEqual([]);
  expect(loop.kills).toBe(KILLS);
  expect(loop.changes).toBeGreaterThan(8 * KILLS);
  expect(loop.heard).toBeGreaterThan(0);
  expect(loop.heard).toBeLessThan(loop.signals);
  const report = await checkDirectory(directory);
  expect(report.findings).toEqual([]);
  expect(report.contacts.agreements).toBeGreaterThan(0);
  const files = readdirSync(directory).map((file) => readFileSync(join(directory, file)));
  expect(files.filter((bytes) => bytes.includes("signal "))).toEqual([]);
});

test.each([
  ["oneSideAgrees", "leaked"],
  ["withdrawalsBeforeFlush", "lost"],
  ["presenceForAll", "seen"],
  ["presenceForgotten", "stale"],
  ["changesToldOneByOne", "stale"],
] as const satisfies readonly (readonly [MutantName, Wrong])[])(
  "control: %s is caught as %s",
  async (name, wrong) => {
    const mutant = buildMutant(name);
    try {
      const { loop } = await run(`agreements, ${name}`, CONTROL_ROUNDS, mutant.build, wrong);
      expect(loop.wrongs).toContain(wrong);
    } finally {
      mutant.remove();
    }
  },
);

/**
 * Signals to a group pass among its members, from the event of who comes until the answer to whose removal, whatever changes at
 * the same time and whenever the node is killed; and nothing of them is on disk.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkDirectory } from "../../src/store/store.js";
import { GroupSignalLoop, type GroupWrong } from "../support/group-signal-loop.js";
import { buildMutant, type MutantName } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { World } from "../support/world.js";

const KILLS = amount({ short: 4, full: 200 });
const CONTROL_ROUNDS = 6;

const discarded: NodeUnderTest[] = [];
afterAll(async () => {
  for (const node of discarded) await node.discard();
});

async function run(name: string, rounds: number, build?: string, wanted?: GroupWrong) {
  const world = new World({ brands: 3, accountsPerBrand: 2, devices: () => 1 });
  const limits = { signalsBurst: 1_000_000 };
  const node = await NodeUnderTest.create({ world, limits, ...(build !== undefined && { build }) });
  discarded.push(node);
  const loop = new GroupSignalLoop({ node, world, random: seededRandom(name) });
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

test("nobody who was taken out sends or gets one, and every member does, over kills", async () => {
  const { loop, directory } = await run("signals to a group", 2 * KILLS);
  tell(
    `${loop.kills} kills, ${loop.changes} changes, ${loop.heard} came of ${loop.signals} signals, ${loop.wrongs.length} wrong`,
  );
  expect(loop.wrongs).toEqual([]);
  expect(loop.kills).toBe(KILLS);
  expect(loop.changes).toBeGreaterThan(8 * KILLS);
  expect(loop.heard).toBeGreaterThan(loop.changes);
  const report = await checkDirectory(directory);
  expect(report.findings).toEqual([]);
  expect(report.groups.groups).toBe(1);
  const files = readdirSync(directory).map((file) => readFileSync(join(directory, file)));
  expect(files.filter((bytes) => bytes.includes("signal "))).toEqual([]);
});

test.each([
  ["removedStayInAudience", "leaked"],
  ["signalsComeBack", "echoed"],
] as const satisfies readonly (readonly [MutantName, GroupWrong])[])(
  "control: %s is caught as %s",
  async (name, wrong) => {
    const mutant = buildMutant(name);
    try {
      const { loop } = await run(`signals to a group, ${name}`, CONTROL_ROUNDS, mutant.build, wrong);
      expect(loop.wrongs).toContain(wrong);
    } finally {
      mutant.remove();
    }
  },
);

/**
 * C4: a removed device loses connection and queue at once, and its tokens, for good, whatever is on the way to it and
 * whenever the node is killed; a new device of its number inherits nothing.
 */
import { afterAll, expect, test } from "vitest";
import { checkDirectory } from "../../src/store/store.js";
import { buildMutant, type MutantName } from "../support/mutant.js";
import { freePort } from "../support/node-process.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { CODE_REVOKED, Revocations, type Wrong } from "../support/revocations.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { World } from "../support/world.js";

const VICTIMS = 24;
const REMOVALS = amount({ short: 312, full: 10_000 });
/** A broken build shows within these: when a kill falls between a removal and its erasure is chance. */
const CONTROL_ROUNDS = 30;
/** Nodes beside each other: nearly all of a round is the five seconds that clocks may differ by. */
const LANES = 3;
/** Short, so that what is written lies in the tail, in a spill and on disk. */
const SPILL_AGE_MS = 120;

const discarded: NodeUnderTest[] = [];
afterAll(async () => {
  for (const node of discarded) await node.discard();
});

interface Run {
  readonly name: string;
  readonly rounds: number;
  readonly build?: string;
  readonly isEnough?: (wrongs: readonly Wrong[]) => boolean;
}

async function run({ name, rounds, build, isEnough = () => false }: Run) {
  const world = new World({ brands: 1, accountsPerBrand: VICTIMS + 1, devices: () => 1 });
  const adminPort = await freePort();
  const node = await NodeUnderTest.create({
    world,
    limits: { spillAgeMs: SPILL_AGE_MS },
    more: { admin: { port: adminPort } },
    ...(build !== undefined && { build }),
  });
  discarded.push(node);
  const revocations = new Revocations({ node, adminPort, world, random: seededRandom(name) });
  await node.start();
  for (let round = 0; round < rounds; round++) {
    await revocations.round(round % 2 === 1);
    if (isEnough(revocations.wrongs)) {
      tell(`enough after round ${round + 1}`);
      break;
    }
  }
  await (build === undefined ? node.stop() : node.kill());
  scanOutput(node, world);
  return { revocations, directory: node.dataDirectory };
}

test("removed devices are gone at once and for good, and nobody inherits from them", async () => {
  const rounds = Math.ceil(REMOVALS / VICTIMS / LANES);
  const lanes = await Promise.all(
    Array.from({ length: LANES }, (_, lane) => run({ name: `revocations, lane ${lane}`, rounds })),
  );
  let removed = 0;
  let told = 0;
  for (const { revocations, directory } of lanes) {
    const { wrongs, removals, kills, openMs, ends } = revocations;
    tell(
      `${removals} removals, ${kills} kills, ${openMs.length} connected, gone after ${Math.max(...openMs)} ms at most, ` +
        `${ends.get(CODE_REVOKED)} told so, ${wrongs.length} wrong`,
    );
    expect(wrongs).toEqual([]);
    expect(kills).toBe(Math.floor(rounds / 2));
    expect(await checkDirectory(directory)).toMatchObject({ findings: [] });
    removed += removals;
    told += ends.get(CODE_REVOKED) ?? 0;
  }
  expect(removed).toBeGreaterThanOrEqual(REMOVALS);
  expect(told).toBeGreaterThan(removed / 6);
});

test.each([
  ["removalForgotten", "readmitted"],
  ["removedStaysConnected", "stayed"],
  ["queueOutlivesRemoval", "inherited"],
  ["erasureNotRecovered", "inherited"],
] as const satisfies readonly (readonly [MutantName, Wrong])[])(
  "control: %s is caught as %s",
  async (name, wrong) => {
    const mutant = buildMutant(name);
    try {
      const { revocations } = await run({
        name: `revocations, ${name}`,
        rounds: CONTROL_ROUNDS,
        build: mutant.build,
        isEnough: (wrongs) => wrongs.includes(wrong),
      });
      expect(revocations.wrongs).toContain(wrong);
    } finally {
      mutant.remove();
    }
  },
);

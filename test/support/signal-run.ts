/** Rounds in which signals are written while a node is killed (agreement-loop.ts, group-signal-loop.ts), and what they leave behind. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { checkDirectory } from "../../src/store/store.js";
import { buildMutant, type MutantName } from "./mutant.js";
import { NodeUnderTest, type NodeUnderTestOptions } from "./node-under-test.js";
import { scanOutput } from "./output-scan.js";
import { seededRandom, tell } from "./scale.js";
import { World, type WorldShape } from "./world.js";

export interface SignalLoop<Wrong> {
  readonly wrongs: readonly Wrong[];
  /** One round, with a kill or without. */
  round(isKilled: boolean): Promise<void>;
}

export interface LoopParts {
  readonly node: NodeUnderTest;
  readonly world: World;
  readonly random: ReturnType<typeof seededRandom>;
}

export class SignalRuns<Wrong, Loop extends SignalLoop<Wrong>> {
  readonly #shape: WorldShape;
  readonly #limits: NonNullable<NodeUnderTestOptions["limits"]>;
  readonly #loopOf: (parts: LoopParts) => Loop;

  constructor(
    shape: WorldShape,
    limits: NonNullable<NodeUnderTestOptions["limits"]>,
    loopOf: (parts: LoopParts) => Loop,
  ) {
    this.#shape = shape;
    this.#limits = limits;
    this.#loopOf = loopOf;
  }

  /** So many rounds, every other one with a kill. */
  async run(name: string, rounds: number): Promise<{ loop: Loop; directory: string }> {
    const { node, world, loop } = await this.#start(name);
    for (let round = 0; round < rounds; round++) await loop.round(round % 2 === 0);
    await node.stop();
    scanOutput(node, world);
    return { loop, directory: node.dataDirectory };
  }

  /** A node that is built wrong has to be caught at that within so many rounds. */
  async control(name: string, rounds: number, mutation: MutantName, wanted: Wrong): Promise<void> {
    const mutant = buildMutant(mutation);
    try {
      const { node, world, loop } = await this.#start(`${name}, ${mutation}`, mutant.build);
      for (let round = 0; round < rounds && !loop.wrongs.includes(wanted); round++) {
        await loop.round(round % 2 === 0);
        if (loop.wrongs.includes(wanted)) tell(`${wanted} in round ${round + 1}`);
      }
      await node.kill();
      scanOutput(node, world);
      expect(loop.wrongs).toContain(wanted);
    } finally {
      mutant.remove();
    }
  }

  async #start(name: string, build?: string): Promise<LoopParts & { loop: Loop }> {
    const world = new World(this.#shape);
    const limits = this.#limits;
    const node = await NodeUnderTest.create({ world, limits, ...(build !== undefined && { build }) });
    discarded.push(node);
    const parts = { node, world, random: seededRandom(name) };
    const loop = this.#loopOf(parts);
    await node.start();
    return { ...parts, loop };
  }
}

const discarded: NodeUnderTest[] = [];
afterAll(async () => {
  for (const node of discarded) await node.discard();
});

/** What `check` says of a directory in which nothing is wrong, and nothing of any signal. */
export async function checkTraceless(directory: string): ReturnType<typeof checkDirectory> {
  const report = await checkDirectory(directory);
  expect(report.findings).toEqual([]);
  const files = readdirSync(directory).map((file) => readFileSync(join(directory, file)));
  expect(files.filter((bytes) => bytes.includes("signal "))).toEqual([]);
  return report;
}

/** How large and how busy a random world is: small enough that every table, column and ring gets full and turns over. */
import type { KernelSizes } from "../../src/kernel/kernel.js";
import type { Random } from "./random.js";

const KiB = 1024;

export interface WorldShape {
  readonly sizes: KernelSizes;
  /** More than fit the kernel's tables. */
  readonly accountsInAll: number;
  /** More than fit the kernel's memory. */
  readonly groupsInAll: number;
  /** Connected at a time, at most. */
  readonly connections: number;
  /** How many connections come, go or stumble in one turn, by weight. */
  readonly changes: readonly (readonly [number, number])[];
  readonly messagesPerTurn: number;
  /** In the longest messages. */
  readonly framesPerMessage: number;
  /** Of a message with so many pings that they fill the column of control frames. */
  readonly floodChance: number;
  readonly catchUpChance: number;
  readonly commitChance: number;
  readonly spillChance: number;
  /** The part of the tail in use at which a spill begins. */
  readonly spillAt: number;
}

/** Mostly calm, so that much is accepted and delivered; in every fourth world all that can be short is short. */
export function shapeOf(random: Random): WorldShape {
  return random.seed % 4 === 0 ? shortShape(random) : calmShape(random);
}

function calmShape(random: Random): WorldShape {
  const tailBytes = random.pick([128, 256, 512]) * KiB;
  // So that there are turns with one frame, and commits of next to nothing.
  const isQuiet = random.seed % 8 === 1;
  return {
    sizes: {
      inboxBytes: random.pick([32, 64, 128]) * KiB,
      tailBytes,
      accounts: 64,
      devices: random.pick([64, 90]),
      dedupKeys: random.pick([60, 128, 1000]),
      dedupMs: random.pick([200, 1000, 60_000]),
      uncommittedBytes: tailBytes / random.pick([1, 2]),
      groups: 8,
      groupMembers: random.pick([30, 60]),
      brands: [1, 2, 300, 65_535, 0],
    },
    accountsInAll: 80,
    groupsInAll: 10,
    connections: random.pick([8, 14, 20]),
    changes: [
      [70, 0],
      [25, 1],
      [5, 2],
    ],
    messagesPerTurn: isQuiet ? 2 : random.pick([12, 24]),
    framesPerMessage: random.pick([6, 30]),
    floodChance: 0,
    catchUpChance: random.pick([0.6, 1]),
    commitChance: isQuiet ? 1 : random.pick([0.4, 0.9]),
    spillChance: random.pick([0.2, 0.5]),
    spillAt: random.pick([0.3, 0.5]),
  };
}

function shortShape(random: Random): WorldShape {
  const tailBytes = random.pick([32, 64, 128, 256]) * KiB;
  const accounts = random.pick([24, 40]);
  return {
    sizes: {
      inboxBytes: random.pick([16, 64, 128]) * KiB,
      tailBytes,
      accounts,
      devices: random.pick([40, 64]),
      dedupKeys: random.pick([8, 60, 128]),
      dedupMs: random.pick([50, 1000]),
      uncommittedBytes: tailBytes / random.pick([1, 2, 4]),
      groups: random.pick([1, 3]),
      groupMembers: random.pick([11, 14, 25]),
      brands: [1, 2, 300, 65_535, 0],
    },
    accountsInAll: accounts * 2,
    groupsInAll: 8,
    connections: random.pick([6, 12, 20]),
    changes: [
      [1, 0],
      [1, 1],
      [1, 2],
    ],
    messagesPerTurn: random.pick([4, 12, 30]),
    framesPerMessage: random.pick([6, 30, 100]),
    floodChance: random.seed % 8 === 0 ? 0.005 : 0,
    catchUpChance: 0.8,
    commitChance: random.pick([0.1, 0.5]),
    spillChance: random.pick([0.05, 0.2]),
    spillAt: random.pick([0.3, 0.9, 1]),
  };
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Kernel, type KernelSizes } from "../../src/kernel/kernel.js";
import { DedupWindow, dedupKey, textOf } from "./dedup-window.js";
import { chosenSeed, Random } from "./random.js";

const KEYS_PER_GENERATION = 128;

function sizes(dedupKeys: number): KernelSizes {
  return {
    inboxBytes: 64 * 1024,
    tailBytes: 64 * 1024,
    accounts: 8,
    devices: 8,
    dedupKeys,
    dedupMs: 1000,
    uncommittedBytes: 32 * 1024,
    groups: 1,
    groupMembers: 1,
    brands: [1],
  };
}

/** The kernel's answers for keys that it is given in one call. */
function ask(kernel: Kernel, keys: readonly Uint8Array[], nowMs: number): boolean[] {
  kernel.bytes.set(Buffer.concat(keys), kernel.inboxAt);
  const at = kernel.dedupInPlace(keys.length, nowMs);
  return keys.map((_, i) => kernel.bytes[at + i] === 1);
}

function askModel(window: DedupWindow, keys: readonly Uint8Array[], nowMs: number): boolean[] {
  return keys.map((key) => {
    const isKnown = window.has(textOf(key));
    if (!isKnown) window.add(textOf(key), nowMs);
    return isKnown;
  });
}

/** Few devices and few ids, so that keys come again and ids are shared between devices. */
const keyArbitrary = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 40 }))
  .map(([ordinal, n]) => dedupKey(ordinal, new Uint8Array(16).fill(n)));

const batchesArbitrary = fc.array(
  fc.record({
    keys: fc.array(keyArbitrary, { minLength: 1, maxLength: 200 }),
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1500 })),
  }),
  { maxLength: 12 },
);

describe("dedup", () => {
  it.each(["release", "debug"] as const)("answers as two sets of keys would (%s)", (build) => {
    fc.assert(
      fc.property(batchesArbitrary, fc.integer({ min: 1, max: 40 }), (batches, dedupKeys) => {
        const kernel = new Kernel(sizes(dedupKeys), { epoch: 1, firstPart: 1 }, build);
        const window = new DedupWindow(dedupKeys, 1000);
        let nowMs = 1000;
        for (const { keys, afterMs } of batches) {
          nowMs += afterMs;
          expect(ask(kernel, keys, nowMs)).toEqual(askModel(window, keys, nowMs));
        }
        expect(kernel.brokenRegion()).toBe(0);
      }),
      { seed: chosenSeed(), numRuns: 60 },
    );
  });

  it("answers a hundred thousand random keys as two sets would, through many turns of the window", () => {
    const random = new Random(chosenSeed());
    const kernel = new Kernel(sizes(KEYS_PER_GENERATION), { epoch: 1, firstPart: 1 });
    const window = new DedupWindow(KEYS_PER_GENERATION, 1000);
    const recent: Uint8Array[] = [];
    for (let asked = 0; asked < 100_000; asked += 500) {
      const keys = Array.from({ length: 500 }, () => {
        const key = recent.length > 0 && random.chance(0.5) ? random.pick(recent) : random.bytes(20);
        recent.push(key);
        return key;
      });
      recent.splice(0, recent.length - 400);
      const nowMs = 1000 + asked;
      expect(ask(kernel, keys, nowMs), `INTERLINE_SEED=${random.seed}`).toEqual(
        askModel(window, keys, nowMs),
      );
    }
    expect(kernel.brokenRegion()).toBe(0);
  });

  it("remembers a key for at least one whole generation, and forgets it after two", () => {
    const kernel = new Kernel(sizes(KEYS_PER_GENERATION), { epoch: 1, firstPart: 1 });
    const random = new Random(1);
    const others = Array.from({ length: 2 * KEYS_PER_GENERATION }, () => random.bytes(20));
    const key = random.bytes(20);
    expect(ask(kernel, [key], 1)).toEqual([false]);
    ask(kernel, others.slice(0, KEYS_PER_GENERATION), 1);
    expect(ask(kernel, [key], 1)).toEqual([true]);
    ask(kernel, others.slice(KEYS_PER_GENERATION), 1);
    expect(ask(kernel, [key], 1)).toEqual([false]);
  });

  it("fills the window from recovered keys without listing them for the journal again", () => {
    const kernel = new Kernel(sizes(KEYS_PER_GENERATION), { epoch: 1, firstPart: 1 });
    const random = new Random(2);
    const keys = Array.from({ length: 50 }, () => random.bytes(20));
    kernel.restoreDedup(Buffer.concat(keys), 1);
    expect(ask(kernel, keys, 1)).toEqual(keys.map(() => true));
    expect(kernel.seal(1, 1)).toBeUndefined();
  });
});

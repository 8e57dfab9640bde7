/**
 * The contestants of the kernels benchmark do the same as naive models on random input; and one that is wrong is
 * caught before anything is timed. Runs the built kernel, which `npm test` builds first.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type CrcContestant, crcContestants, measureCrc, slicingByEight } from "../../bench/kernels/crc.js";
import {
  checkAgreement,
  dedupMakers,
  type MakeDedup,
  measureDedup,
  takeIn,
} from "../../bench/kernels/dedup.js";
import { KEY_WORDS, KeyPool } from "../../bench/kernels/dedup-contestant.js";
import { SetOfStrings } from "../../bench/kernels/dedup-sets.js";
import { OpenAddressing } from "../../bench/kernels/dedup-table.js";
import { workloads } from "../../bench/workloads/workloads.js";
import { chosenSeed, Random } from "../model/random.js";

// Weighing collects garbage; the benchmark's own processes are started with the flag.
setFlagsFromString("--expose-gc");
globalThis.gc = runInNewContext("gc");

const workload = { ...workloads.kernels.smoke, measureMs: 1 };
const NEVER_MS = 1e15;

/** Two generations as two arrays that are looked through. */
function naiveAnswers(keys: KeyPool, generationKeys: number): Uint8Array {
  let [older, newest]: [string[], string[]] = [[], []];
  return Uint8Array.from({ length: keys.count }, (_, i) => {
    const key = Array.from(keys.words.subarray(i * KEY_WORDS, (i + 1) * KEY_WORDS)).join();
    if (newest.includes(key) || older.includes(key)) return 1;
    if (newest.length === generationKeys) [older, newest] = [newest, []];
    newest.push(key);
    return 0;
  });
}

/** Keys drawn from a few, so that they come back within a generation, after one and after both. */
function fewKeys(random: Random, count: number, distinct: number): KeyPool {
  const keys = new KeyPool(count);
  for (let i = 0; i < count; i++) {
    const drawn = random.below(distinct);
    // Some differ in the ordinal alone, some in a single word of the id.
    const words = [drawn & 1, drawn >> 1, 7, 7, drawn % 3];
    words.forEach((word, at) => {
      keys.words[i * KEY_WORDS + at] = word;
    });
  }
  return keys;
}

describe("dedup", () => {
  it("is the same for every contestant and for a naive window", () => {
    const random = new Random(chosenSeed());
    for (const generationKeys of [1, 2, 60, 64, 257]) {
      const keys = fewKeys(random, 64 * 60, 3 * generationKeys + 2);
      const expected = naiveAnswers(keys, generationKeys);
      expect(new Set(expected)).toEqual(new Set([0, 1]));
      for (const make of dedupMakers(generationKeys, generationKeys)) {
        const contestant = make({ generationKeys, generationMs: NEVER_MS });
        const answers = new Uint8Array(keys.count);
        takeIn(contestant, { keys, batchKeys: 64, count: keys.count }, answers);
        expect(Buffer.compare(answers, expected), `${contestant.name}, seed ${random.seed}`).toBe(0);
      }
    }
  });

  it("leaves Sets out of windows beyond what it is told", () => {
    expect(dedupMakers(1000, 1000)).toHaveLength(5);
    expect(dedupMakers(1001, 1000)).toHaveLength(3);
  });

  it("is not timed when a contestant is wrong", () => {
    let batches = 0;
    class Forgetful extends SetOfStrings {
      override take(...[keys, first, count, answers, nowMs]: Parameters<SetOfStrings["take"]>): void {
        batches++;
        super.take(keys, first, count, answers, nowMs);
        if (first >= 64 * 20) answers[answers.indexOf(1)] = 0;
      }
    }
    const makers: MakeDedup[] = [...dedupMakers(4096, 4096), (options) => new Forgetful(options)];
    expect(() => measureDedup(workload, 4096, makers)).toThrow(/Set of strings and kernel .* differ/);
    expect(batches).toBeLessThanOrEqual(1 + Math.ceil((4096 * 1.5) / 1024) * 16);
  });

  it("is caught when one contestant forgets too early", () => {
    const keys = fewKeys(new Random(3), 64 * 40, 700);
    const answered = [512, 256].map((generationKeys) => {
      const contestant = new OpenAddressing({ generationKeys, generationMs: NEVER_MS }, false);
      const answers = new Uint8Array(keys.count);
      takeIn(contestant, { keys, batchKeys: 64, count: keys.count }, answers);
      return { contestant, answers };
    });
    expect(() => checkAgreement(answered)).toThrow(/differ/);
  });

  it("forgets by time, too", () => {
    const options = { generationKeys: 512, generationMs: 100 };
    const keys = new KeyPool(3);
    keys.words.set([1, 2, 3], KEY_WORDS);
    keys.words.set([4, 5, 6], 2 * KEY_WORDS);
    for (const looksAhead of [true, false]) {
      const contestant = new OpenAddressing(options, looksAhead);
      const answers = new Uint8Array(1);
      const ask = (key: number, nowMs: number) => {
        contestant.take(keys, key, 1, answers, nowMs);
        return answers[0];
      };
      expect([ask(0, 200), ask(0, 250), ask(1, 310), ask(0, 320), ask(2, 420), ask(0, 430)]).toEqual([
        0, 1, 0, 1, 0, 0,
      ]);
    }
  });

  it("weighs what is held: a table 28 bytes for each key of its two generations, a Set more", () => {
    // So many that a hundred KiB which this process frees or takes meanwhile for other ends change no figure.
    const bytes = new Map(measureDedup(workload, 1 << 16).map((row) => [row.system, row.bytesPerEntry ?? 0]));
    expect(bytes.get("js-table")).toBeGreaterThanOrEqual(28);
    expect(bytes.get("js-table")).toBeLessThan(30);
    expect(bytes.get("interline")).toBeGreaterThanOrEqual(28);
    expect(bytes.get("interline")).toBeLessThan(60);
    expect(bytes.get("set-of-strings")).toBeGreaterThan(40);
  });
});

describe("crc", () => {
  /** A bit at a time, as it is defined. */
  function naiveCrc(bytes: Uint8Array): number {
    let crc = 0xffff_ffff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
    }
    return ~crc >>> 0;
  }

  it("is the same for every contestant and for a naive one, whatever the length", () => {
    const random = new Random(chosenSeed());
    for (let length = 0; length < 80; length++) {
      const bytes = random.bytes(length);
      const sums = [...crcContestants.map(({ crc }) => crc(bytes)), naiveCrc(bytes)];
      expect(new Set(sums).size, `seed ${random.seed}`).toBe(1);
    }
    expect(slicingByEight(Buffer.from("123456789"))).toBe(0xcbf43926);
  });

  it("is not timed when a contestant is wrong", () => {
    let calls = 0;
    const wrong: CrcContestant = {
      system: "wrong",
      name: "wrong beyond four KiB",
      crc: (bytes) => {
        calls++;
        return crc32(bytes.subarray(0, 4095));
      },
    };
    expect(() => measureCrc(workload, 4096, [...crcContestants, wrong])).toThrow(/wrong beyond four KiB/);
    expect(calls).toBe(1);
  });
});

import { describe, expect, it } from "vitest";
import { checkAgreement, dedupContestants } from "../../bench/kernels/dedup.js";
import { type DedupContestant, randomKeys } from "../../bench/kernels/dedup-contestant.js";
import { SetOfStrings } from "../../bench/kernels/dedup-sets.js";
import { OpenAddressing } from "../../bench/kernels/dedup-table.js";

const workload = { name: "dedup", windowKeys: 512, batchKeys: 64, measureMs: 1 };

describe("the contestants of the dedup benchmark", () => {
  it("give the same answer to every key, through many generations", () => {
    expect(() => checkAgreement(dedupContestants(workload), randomKeys(64 * 100, 3), 64)).not.toThrow();
  });

  it("are caught when one of them forgets too early", () => {
    const options = { generationKeys: 512, generationMs: 1e12 };
    const forgetful = new OpenAddressing({ ...options, generationKeys: 256 }, false);
    const pool = randomKeys(64 * 100, 3);
    expect(() => checkAgreement([new SetOfStrings(options), forgetful], pool, 64)).toThrow(/differ/);
  });

  it("forget by time, too", () => {
    const options = { generationKeys: 512, generationMs: 100 };
    const pool = randomKeys(64, 3);
    const contestants: DedupContestant[] = [
      new OpenAddressing(options, true),
      new OpenAddressing(options, false),
    ];
    for (const contestant of contestants) {
      const answers = new Uint8Array(1);
      const ask = (key: number, nowMs: number) => {
        contestant.take(pool, key, 1, answers, nowMs);
        return answers[0] === 1;
      };
      expect([ask(0, 200), ask(0, 250), ask(1, 310), ask(0, 320), ask(2, 420), ask(0, 430)]).toEqual([
        false,
        true,
        false,
        true,
        false,
        false,
      ]);
    }
  });
});

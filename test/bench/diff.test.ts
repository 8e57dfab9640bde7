import { describe, expect, it } from "vitest";
import { diff } from "../../bench/report/diff.js";
import { metricNamed } from "../../bench/report/metrics.js";
import { parseResults, type ResultRound } from "../../bench/report/schema.js";
import { bareRowOf, histogram, resultsOf, roundOf, rowOf } from "./made-up-results.js";

/** A file whose only row has these rounds. */
function fileOf(rounds: readonly Partial<ResultRound>[]) {
  return resultsOf([rowOf({ rounds: rounds.map(roundOf) })]);
}

function cpu(...figures: number[]) {
  return fileOf(figures.map((serverCpuUsPerMsg) => ({ serverCpuUsPerMsg })));
}

function verdict(before: ReturnType<typeof fileOf>, after: ReturnType<typeof fileOf>, name: string) {
  return diff(before, after).changes.find(({ metric }) => metric === name)?.verdict;
}

describe("a difference of medians", () => {
  const metric = "server_cpu_us_per_msg";

  it("counts when it is more than three deviations and two percent", () => {
    expect(verdict(cpu(9, 10, 11), cpu(12.2, 13.2, 14.2), metric)).toBe("worse");
    expect(verdict(cpu(9, 10, 11), cpu(6, 6.8, 8), metric)).toBe("better");
  });

  it("is noise within three deviations of the noisier file", () => {
    expect(verdict(cpu(9, 10, 11), cpu(12.9, 13, 13.1), metric)).toBe("same");
    expect(verdict(cpu(9.9, 10, 10.1), cpu(12, 13, 14), metric)).toBe("same");
  });

  it("is noise within two percent, however steady the rounds are", () => {
    expect(verdict(cpu(10, 10, 10), cpu(10.2, 10.2, 10.2), metric)).toBe("same");
    expect(verdict(cpu(10, 10, 10), cpu(10.3, 10.3, 10.3), metric)).toBe("worse");
  });

  it("is not moved by one stray round", () => {
    expect(verdict(cpu(10, 10, 10.1, 10, 10), cpu(10, 10.1, 10, 40, 10), metric)).toBe("same");
  });

  it("is not judged with fewer than three rounds", () => {
    expect(verdict(cpu(10, 10), cpu(20, 20, 20), metric)).toBe("not judged");
  });

  it("of throughput is worse when it falls", () => {
    const perSec = (figure: number) => fileOf([1, 2, 3].map(() => ({ deliveredPerSec: figure })));
    expect(verdict(perSec(1000), perSec(900), "delivered_per_sec")).toBe("worse");
    expect(verdict(perSec(1000), perSec(1100), "delivered_per_sec")).toBe("better");
  });
});

describe("diff", () => {
  it("takes latencies from the histogram of each round", () => {
    const p99 = (...ms: number[]) => fileOf(ms.map((one) => ({ receiptLatency: histogram(one) })));
    const [change] = diff(p99(40, 41, 42), p99(80, 81, 82), [metricNamed("receipt_p99_ms")]).changes;
    expect(change).toMatchObject({ row: "pairs/1@interline", verdict: "worse" });
    expect(change?.before).toBeCloseTo(41, 1);
    expect(change?.after).toBeCloseTo(81, 1);
  });

  it("does not judge latencies of a file without histograms", () => {
    const { deliveryLatency: _delivery, receiptLatency: _receipt, ...bareRound } = roundOf();
    const old = resultsOf([rowOf({ rounds: [bareRound, bareRound, bareRound] })]);
    expect(verdict(old, fileOf([{}, {}, {}]), "receipt_p99_ms")).toBe("not judged");
  });

  it("forms ratios between neighbouring rounds, so that drift cancels out", () => {
    const drifting = (factors: number[]) => {
      const rounds = (us: number) => factors.map((factor) => roundOf({ serverCpuUsPerMsg: us * factor }));
      return resultsOf([rowOf({ rounds: rounds(4) }), bareRowOf({ rounds: rounds(2) })]);
    };
    const [change] = diff(drifting([1, 2, 1.5]), drifting([3, 2, 4]), [metricNamed("cpu_ratio")]).changes;
    expect(change).toMatchObject({ before: 2, after: 2, verdict: "same" });
  });

  it("takes any lost message as a change", () => {
    expect(verdict(resultsOf([rowOf()]), resultsOf([rowOf({ lost: 1 })]), "lost")).toBe("worse");
    expect(verdict(resultsOf([rowOf({ lost: 1 })]), resultsOf([rowOf()]), "lost")).toBe("better");
  });

  it("leaves out what a system does not have, and what only describes a run", () => {
    const names = diff(resultsOf([bareRowOf()]), resultsOf([bareRowOf()])).changes.map(
      ({ metric }) => metric,
    );
    expect(names).toContain("delivery_p99_ms");
    expect(names).not.toContain("receipt_p99_ms");
    expect(names).not.toContain("server_busy");
  });

  it("says which rows only one file has, and what else differs", () => {
    const before = resultsOf([rowOf(), rowOf({ inFlight: 8 })]);
    const after = resultsOf([rowOf({ devices: 50 }), rowOf({ inFlight: 64 })]);
    const moved = { ...after, environment: { ...after.environment, cpu: "another" } };
    expect(diff(before, moved)).toMatchObject({
      onlyBefore: ["pairs/8@interline"],
      onlyAfter: ["pairs/64@interline"],
      caveats: [
        "cpu: Made-up <CPU> & co before, another after",
        "pairs/1@interline, devices: 1000 before, 50 after",
      ],
    });
  });

  it("of files without a common row is an error", () => {
    const files = [rowOf(), rowOf({ workload: "receipts" })].map((row) => resultsOf([row])) as [never, never];
    expect(() => diff(...files)).toThrow(
      "No row is in both files. Rows: pairs/1@interline; and receipts/1@interline",
    );
  });
});

describe("a result file", () => {
  const openLoop = {
    rates: [{ ratePerSec: 1000, delivery: { p50Ms: 1, p99Ms: 2, p999Ms: 3 }, receipt: null }],
    sustainablePerSec: null,
  };

  it("is read back as it was written", () => {
    const file = resultsOf([rowOf(), bareRowOf()], { openLoop });
    expect(parseResults("a.json", JSON.stringify(file))).toEqual(file);
  });

  it("may have fields that this version does not know", () => {
    const file = { ...resultsOf([rowOf()]), later: 1 };
    expect(parseResults("a.json", JSON.stringify(file))).toEqual(resultsOf([rowOf()]));
  });

  it.each([
    ["{", "a.json is not JSON"],
    ["[]", "a.json is no result file of this benchmark: it names no schema"],
    ['{"schema":"interline-bench/9"}', "a.json is of the schema interline-bench/9; this version reads"],
    [JSON.stringify(resultsOf([rowOf({ lost: "none" as never })])), /a\.json is not as .*rows\[0\]\.lost/s],
  ])("is refused with a reason when it is %.40s", (content, reason) => {
    expect(() => parseResults("a.json", content)).toThrow(reason);
  });
});

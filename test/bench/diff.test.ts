import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diff } from "../../bench/report/diff.js";
import { metricNamed } from "../../bench/report/metrics.js";
import { parseResults, type ResultRound } from "../../bench/report/schema.js";
import { bareRowOf, histogram, kernelOf, openLoopOf, resultsOf, roundOf, rowOf } from "./made-up-results.js";

/** A file whose only row has these rounds. */
function fileOf(rounds: readonly Partial<ResultRound>[]) {
  return resultsOf([rowOf({ rounds: rounds.map(roundOf) })]);
}

function cpu(...figures: number[]) {
  return fileOf(figures.map((serverCpuUsPerMsg) => ({ serverCpuUsPerMsg })));
}

/** Five rounds with this median, whose median absolute deviation is `deviation`. */
function around(middle: number, deviation: number) {
  return cpu(...[-2, -1, 0, 1, 2].map((step) => middle + step * deviation));
}

function verdict(before: ReturnType<typeof fileOf>, after: ReturnType<typeof fileOf>, name: string) {
  return diff(before, after).changes.find(({ metric }) => metric === name)?.verdict;
}

describe("kernels", () => {
  const kernels = (...results: ReturnType<typeof kernelOf>[]) => resultsOf([], { kernels: results });
  const rounds = (middle: number) => [-2, -1, 0, 1, 2].map((step) => middle + step);

  it("are matched by kernel, size and contestant, and judged by their rounds", () => {
    const [quick, table] = [kernelOf(rounds(40)), kernelOf(rounds(90), { system: "js-table" })];
    const slower = kernelOf(rounds(50), { bytesPerEntry: 31 });
    const { changes, onlyBefore } = diff(kernels(quick, table), kernels(slower));
    const verdicts = changes.map(({ row, metric, verdict }) => `${row} ${metric}: ${verdict}`);
    expect(verdicts).toEqual([
      "dedup/1048576@interline ns_per_unit: worse",
      "dedup/1048576@interline bytes_per_entry: worse",
    ]);
    expect(onlyBefore).toEqual(["dedup/1048576@js-table"]);
    expect(diff(kernels(quick), kernels(kernelOf(rounds(43)))).changes[0]?.verdict).toBe("same");
  });

  it("of older files, which name no contestant, are no rows", () => {
    const { system: _system, roundsNs: _roundsNs, ...older } = kernelOf(rounds(40));
    expect(() => diff(kernels(older), kernels(older))).toThrow("Rows: none; and none");
  });
});

describe("a difference of medians", () => {
  const metric = "server_cpu_us_per_msg";

  it("counts when it is more than four deviations and two percent", () => {
    expect(verdict(around(10, 1), around(14.2, 1), metric)).toBe("worse");
    expect(verdict(around(10, 1), around(5.8, 1), metric)).toBe("better");
  });

  it("is noise within four deviations of the noisier file", () => {
    expect(verdict(around(10, 1), around(13.9, 0.1), metric)).toBe("same");
    expect(verdict(around(10, 0.1), around(13.9, 1), metric)).toBe("same");
  });

  it("is noise within two percent, however steady the rounds are", () => {
    expect(verdict(around(10, 0), around(10.2, 0), metric)).toBe("same");
    expect(verdict(around(10, 0), around(10.3, 0), metric)).toBe("worse");
  });

  it("is not moved by one stray round", () => {
    expect(verdict(cpu(10, 10, 10.1, 10, 10), cpu(10, 10.1, 10, 40, 10), metric)).toBe("same");
  });

  it("is not judged with fewer than five rounds", () => {
    expect(verdict(cpu(10, 10, 10, 10), cpu(20, 20, 20, 20, 20), metric)).toBe("not judged");
  });

  it("of throughput is worse when it falls", () => {
    const perSec = (figure: number) => fileOf([1, 2, 3, 4, 5].map(() => ({ deliveredPerSec: figure })));
    expect(verdict(perSec(1000), perSec(900), "delivered_per_sec")).toBe("worse");
    expect(verdict(perSec(1000), perSec(1100), "delivered_per_sec")).toBe("better");
  });
});

describe("diff", () => {
  it("takes latencies from the histogram of each round", () => {
    const p99 = (...ms: number[]) => fileOf(ms.map((one) => ({ receiptLatency: histogram(one) })));
    const [change] = diff(p99(39, 40, 41, 42, 43), p99(79, 80, 81, 82, 83), [
      metricNamed("receipt_p99_ms"),
    ]).changes;
    expect(change).toMatchObject({ row: "pairs/1@interline", verdict: "worse" });
    expect(change?.before).toBeCloseTo(41, 1);
    expect(change?.after).toBeCloseTo(81, 1);
  });

  it("does not judge latencies of a file without histograms", () => {
    const { deliveryLatency: _delivery, receiptLatency: _receipt, ...bareRound } = roundOf();
    const old = resultsOf([rowOf({ rounds: Array.from({ length: 5 }, () => bareRound) })]);
    expect(verdict(old, fileOf([{}, {}, {}, {}, {}]), "receipt_p99_ms")).toBe("not judged");
  });

  it("forms ratios between neighbouring rounds, so that drift cancels out", () => {
    const drifting = (factors: number[]) => {
      const rounds = (us: number) => factors.map((factor) => roundOf({ serverCpuUsPerMsg: us * factor }));
      return resultsOf([rowOf({ rounds: rounds(4) }), bareRowOf({ rounds: rounds(2) })]);
    };
    const [change] = diff(drifting([1, 2, 3, 2, 1]), drifting([3, 2, 4, 5, 3]), [
      metricNamed("cpu_ratio"),
    ]).changes;
    expect(change).toMatchObject({ before: 2, after: 2, verdict: "same" });
  });

  it("holds a fan-out against publish's neighbouring rounds", () => {
    const fanout = (us: number) => {
      const rounds = (each: number) => [1, 2, 3, 2, 1].map((f) => roundOf({ serverCpuUsPerMsg: each * f }));
      const workload = { workload: "group-fanout-1000", ratioToPublish: us };
      const publish = { ...workload, system: "uws-topics", ratioToPublish: 1 };
      return resultsOf([
        rowOf({ ...workload, rounds: rounds(us) }),
        rowOf({ ...publish, rounds: rounds(1) }),
      ]);
    };
    const [change] = diff(fanout(0.8), fanout(1.6), [metricNamed("publish_ratio")]).changes;
    expect(change).toMatchObject({ row: "group-fanout-1000/1@interline", verdict: "worse" });
    expect(change?.after).toBeCloseTo(1.6, 9);
  });

  it("compares how soon those who come back have all, round by round", () => {
    const mixed = (...ms: number[]) =>
      resultsOf([
        rowOf({
          workload: "mixed",
          drainP99Ms: 1,
          rounds: ms.map((p99) => roundOf({ drainLatency: histogram(p99) })),
        }),
      ]);
    const [change] = diff(mixed(39, 40, 41, 42, 43), mixed(79, 80, 81, 82, 83), [
      metricNamed("drain_p99_ms"),
    ]).changes;
    expect(change).toMatchObject({ row: "mixed/1@interline", verdict: "worse" });
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

  it("compares the rows of duplicates and of slow readers, too", () => {
    const of = (lost: number) => {
      const [quiet, besideSlow] = [rowOf({ workload: "quiet" }), rowOf({ workload: "slow-readers", lost })];
      const counts = { slowDevices: 10, tricklingDevices: 5, feedPerSec: 100, seed: 1, evicted: 2 };
      return resultsOf([], { slowReaders: { ...counts, deliveryP99Ratio: 1, quiet, besideSlow } });
    };
    const worse = diff(of(0), of(1)).changes.filter((change) => change.verdict === "worse");
    expect(worse).toMatchObject([{ row: "slow-readers/1@interline", metric: "lost" }]);
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

describe("the command", () => {
  let directory = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "interline-bench-diff-"));
    await writeFile(join(directory, "before.json"), JSON.stringify(around(10, 0.1)));
    await writeFile(join(directory, "after.json"), JSON.stringify(around(12, 0.1)));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const bench = (...args: string[]) => {
    const files = args.map((arg) => (arg.endsWith(".json") ? join(directory, arg) : arg));
    return promisify(execFile)(process.execPath, ["dist/bench/main.js", "diff", ...files]);
  };

  it("prints what changed and writes it as JSON", async () => {
    const { stdout } = await bench("before.json", "after.json", "--json", "diff.json");
    expect(stdout).toMatch(/pairs\/1@interline +server_cpu_us_per_msg +10 +12 +1\.20 +0\.40 +worse\n/);
    // There is no relay beside it, and so no round has a cpu_ratio.
    expect(stdout).toMatch(/^0 better, 1 worse, 12 within noise, 1 not judged: fewer than 5 rounds have/m);
    const written = JSON.parse(await readFile(join(directory, "diff.json"), "utf8"));
    expect(written.changes).toContainEqual(
      expect.objectContaining({ metric: "server_cpu_us_per_msg", verdict: "worse" }),
    );
  });

  it("exits with 3 after a regression when it is asked to", async () => {
    await expect(bench("before.json", "after.json", "--fail-on-regression")).rejects.toMatchObject({
      code: 3,
    });
    await bench("after.json", "before.json", "--fail-on-regression");
    await bench("before.json", "after.json", "--fail-on-regression", "--metrics", "lost,delivery_p99_ms");
  });

  it("says what is wrong with its files and options, without a stack", async () => {
    await expect(bench("before.json", "missing.json")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/missing\.json(?!.*\n\s+at)/s),
    });
    await expect(bench("before.json", "after.json", "--metrics", "server_busy")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("server_busy describes a run"),
    });
  });
});

describe("a result file", () => {
  it("is read back as it was written", () => {
    const file = resultsOf([rowOf(), bareRowOf()], { openLoop: openLoopOf([1000, 2000]) });
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

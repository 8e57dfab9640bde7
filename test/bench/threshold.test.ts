import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { metrics } from "../../bench/report/metrics.js";
import { kernelRow, rowName } from "../../bench/report/schema.js";
import { judge, parseThreshold } from "../../bench/report/threshold.js";
import { bareRowOf, kernelOf, rowOf } from "./made-up-results.js";

const rows = [
  rowOf({ ratioToBare: 1.1 }),
  bareRowOf(),
  rowOf({ inFlight: 8, ratioToBare: 0.37 }),
  rowOf({ workload: "receipts", inFlight: 64, ratioToBare: null }),
];

function outcomes(...texts: string[]): [string, boolean][] {
  return judge(texts.map(parseThreshold), rows).map(({ row, holds }) => [rowName(row), holds]);
}

describe("a threshold", () => {
  it("names workload, number in flight, system, metric, operator and number", () => {
    expect(parseThreshold("pairs/8@bare-relay:server_cpu_us_per_msg <= 2.5")).toMatchObject({
      workload: "pairs",
      inFlight: 8,
      system: "bare-relay",
      metric: { field: "serverCpuUsPerMsg" },
      operator: "<=",
      bound: 2.5,
    });
  });

  it("is about interline, every workload and every number in flight, unless it says otherwise", () => {
    expect(outcomes("lost==0")).toEqual([
      ["pairs/1@interline", true],
      ["pairs/8@interline", true],
      ["receipts/64@interline", true],
    ]);
    expect(outcomes("pairs:lost==0")).toHaveLength(2);
    expect(outcomes("pairs/8:lost==0")).toEqual([["pairs/8@interline", true]]);
    expect(outcomes("pairs@bare-relay:lost==0")).toEqual([["pairs/1@bare-relay", true]]);
  });

  it.each([
    ["<", [true, false, false]],
    ["<=", [true, true, false]],
    ["==", [false, true, false]],
    ["!=", [true, false, true]],
    [">=", [false, true, true]],
    [">", [false, false, true]],
  ])("compares with %s", (operator, expected) => {
    const holds = [19.5, 20, 20.5].map((value) => {
      const row = rowOf({ deliveryP99Ms: value });
      return judge([parseThreshold(`delivery_p99_ms${operator}20`)], [row])[0]?.holds;
    });
    expect(holds).toEqual(expected);
  });

  it("is judged in the rows that have the figure", () => {
    expect(outcomes("cpu_ratio<1", "cpu_ratio<1.2")).toEqual([
      ["pairs/1@interline", false],
      ["pairs/8@interline", true],
      ["pairs/1@interline", true],
      ["pairs/8@interline", true],
    ]);
  });

  it("names a kernel by its size and contestant", () => {
    const kernels = [kernelOf([40]), kernelOf([90], { system: "js-table", timesKernel: 2.25 })].flatMap(
      (result) => kernelRow(result) ?? [],
    );
    const holds = (text: string) =>
      judge([parseThreshold(text)], kernels).map((judgement) => judgement.holds);
    expect(holds("dedup/1048576@js-table:times_kernel>=2")).toEqual([true]);
    expect(holds("dedup:ns_per_unit<40")).toEqual([false]);
    expect(holds("bytes_per_entry<=28")).toEqual([true]);
    expect(() => holds("dedup:cpu_ratio<1")).toThrow(
      /no row has a cpu_ratio.*has: ns_per_unit, times_kernel/,
    );
  });

  it("that no row has a figure for is an error that says which figures there are", () => {
    expect(() => outcomes("pairs@bare-relay:receipt_p99_ms<50")).toThrow(
      /no row has a receipt_p99_ms\. pairs\/1@bare-relay has: delivered_per_sec, .*\blost\b/,
    );
  });

  it("that names no row is an error that says which rows there are", () => {
    expect(() => outcomes("pairs/9:lost==0")).toThrow(
      "pairs/9:lost==0: no such row. There are: pairs/1@interline, pairs/1@bare-relay, pairs/8@interline",
    );
    expect(() => judge([parseThreshold("lost==0")], [])).toThrow("There are: none");
  });

  it.each(["", "lost", "lost=0", "lost==none", "pairs/x:lost==0", "@interline:lost==0", "lost==0 1"])(
    "%j is none, and the error says what one is",
    (text) => expect(() => parseThreshold(text)).toThrow(/is no threshold.*metric op number/),
  );

  it("on an unknown metric is an error that lists the metrics", () => {
    expect(() => parseThreshold("speed>1")).toThrow(/No metric is called speed\. There are: .*cpu_ratio/);
  });
});

it("every metric is in the benchmark's README, with its field", async () => {
  const readme = await readFile("bench/README.md", "utf8");
  const missing = metrics.filter(
    ({ name, field }) => !new RegExp(`^\\| \`${name}\` +\\| .* \\| \`${field}\` +\\|$`, "m").test(readme),
  );
  expect(missing.map(({ name }) => name)).toEqual([]);
});

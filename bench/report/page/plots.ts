/**
 * What the page plots: for each workload and number in flight, latency by
 * percentile and from round to round, and for an open loop latency against rate.
 *
 * The percentile axis is by nines, so that the tail has as much room as the rest:
 *
 *   x = −log10(1 − p)      p90 at 1, p99 at 2, p99.9 at 3, p99.99 at 4
 */
import { latencyCurve } from "../../generator/latency.js";
import { type ResultLoad, type ResultRow, type ResultsFile, rowsOf } from "../schema.js";
import { figure } from "../table.js";
import { headingOf } from "./bars.js";
import { colourOf } from "./colours.js";
import type { Line, LinePlot, XMark } from "./line-plot.js";

export function plotsOf(results: ResultsFile): LinePlot[] {
  const { openLoop, openLoopAnswering, openLoopBare } = results;
  const rows = rowsOf(results);
  const plots = [...new Set(rows.map(headingOf))].flatMap((heading) => {
    const group = rows.filter((row) => headingOf(row) === heading);
    return [percentilePlot(heading, group, rows), roundPlot(heading, group, rows)];
  });
  for (const result of [openLoop, openLoopAnswering, openLoopBare])
    if (result !== undefined) plots.push(ratePlot(result));
  if (results.load !== undefined) plots.push(...loadPlots(results.load));
  return plots.filter(({ x, lines }) => x.length > 1 && lines.length > 0);
}

const latencies = [
  { field: "deliveryLatency", suffix: "", isDashed: false },
  { field: "receiptLatency", suffix: ", receipts", isDashed: true },
  { field: "drainLatency", suffix: ", queues of those who came back", isDashed: true },
] as const;
type Latency = (typeof latencies)[number]["field"];

/** Deliveries, receipts and drains of every system of the group; `valuesOf` is undefined where nothing was recorded. */
function linesOf(
  group: readonly ResultRow[],
  rows: readonly ResultRow[],
  valuesOf: (row: ResultRow, latency: Latency) => (number | null)[] | undefined,
): Line[] {
  return group.flatMap((row) =>
    latencies.flatMap(({ field, suffix, isDashed }) => {
      const values = valuesOf(row, field);
      if (values === undefined) return [];
      return [{ name: `${row.system}${suffix}`, colour: colourOf(row.system, rows), isDashed, values }];
    }),
  );
}

const FIRST_NINES = Math.log10(2);
const LAST_NINES = 4;
const NINES_STEP = 0.05;
const nines = [FIRST_NINES];
for (let at = 0.35; at < LAST_NINES + NINES_STEP / 2; at += NINES_STEP) nines.push(Number(at.toFixed(2)));

const percentileMarks: readonly XMark[] = [
  { at: FIRST_NINES, text: "p50" },
  { at: 1, text: "p90" },
  { at: 2, text: "p99" },
  { at: 3, text: "p99.9" },
  { at: 4, text: "p99.99" },
];

function percentilePlot(heading: string, group: readonly ResultRow[], rows: readonly ResultRow[]): LinePlot {
  const percentiles = nines.map((at) => 100 * (1 - 10 ** -at));
  return {
    title: `Latency by percentile, ms: ${heading}`,
    xLabel: "percentile",
    xMarks: percentileMarks,
    x: nines,
    lines: linesOf(group, rows, (row, latency) => {
      const recorded = row.rounds.flatMap((round) => round[latency] ?? []);
      return latencyCurve(recorded, percentiles)?.map(onLogarithmicAxis);
    }),
  };
}

function roundPlot(heading: string, group: readonly ResultRow[], rows: readonly ResultRow[]): LinePlot {
  const rounds = Math.max(...group.map((row) => row.rounds.length));
  const x = Array.from({ length: rounds }, (_, at) => at + 1);
  return {
    title: `99th percentile from round to round, ms: ${heading}`,
    xLabel: "round",
    xMarks: x.map((at) => ({ at, text: String(at) })),
    x,
    lines: linesOf(group, rows, (row, latency) => {
      const values = x.map((at) => {
        const recorded = row.rounds[at - 1]?.[latency];
        const p99 = recorded === undefined ? undefined : latencyCurve([recorded], [99])?.[0];
        return p99 === undefined ? null : onLogarithmicAxis(p99);
      });
      return values.every((value) => value === null) ? undefined : values;
    }),
  };
}

const ratePercentiles = [
  { field: "p50Ms", name: "p50" },
  { field: "p99Ms", name: "p99" },
  { field: "p999Ms", name: "p99.9" },
] as const;

function ratePlot({ system, rates, sustainablePerSec }: NonNullable<ResultsFile["openLoop"]>): LinePlot {
  const ordered = rates.toSorted((a, b) => a.ratePerSec - b.ratePerSec);
  const lineOf = (
    kind: "delivery" | "receipt",
    percentile: (typeof ratePercentiles)[number],
    colour: number,
  ) => ({
    name: `${kind} ${percentile.name}`,
    colour,
    isDashed: kind === "receipt",
    values: ordered.map((rate) => {
      const value = rate[kind]?.[percentile.field];
      return value === undefined ? null : onLogarithmicAxis(value);
    }),
  });
  const lines = ratePercentiles.flatMap((percentile, colour) => [
    lineOf("delivery", percentile, colour),
    lineOf("receipt", percentile, colour),
  ]);
  return {
    title: `Latency against rate, ms: ${system}, ${figure(sustainablePerSec)}/s sustained`,
    xLabel: "messages offered per second",
    xMarks: null,
    x: ordered.map(({ ratePerSec }) => ratePerSec),
    lines: lines.filter(({ values }) => values.some((value) => value !== null)),
  };
}

/** Latency by percentile, and as time goes by. */
function loadPlots({ deliveryLatency, receiptLatency, timeline }: ResultLoad): LinePlot[] {
  const percentiles = nines.map((at) => 100 * (1 - 10 ** -at));
  const line = (name: string, colour: number, isDashed: boolean, values: readonly (number | null)[]) => ({
    name,
    colour,
    isDashed,
    values: values.map((value) => (value === null ? null : onLogarithmicAxis(value))),
  });
  const byPercentile = (encoded: string) => latencyCurve([encoded], percentiles);
  const [deliveries, receipts] = [byPercentile(deliveryLatency), byPercentile(receiptLatency)];
  return [
    {
      title: "Latency by percentile, ms: load",
      xLabel: "percentile",
      xMarks: percentileMarks,
      x: nines,
      lines: [
        ...(deliveries === undefined ? [] : [line("delivery", 0, false, deliveries)]),
        ...(receipts === undefined ? [] : [line("receipt", 0, true, receipts)]),
      ],
    },
    {
      title: "99th percentile over time, ms: load",
      xLabel: "seconds",
      xMarks: null,
      x: timeline.map(({ atMs }) => atMs / 1000),
      lines: [
        line(
          "delivery",
          0,
          false,
          timeline.map(({ deliveryP99Ms }) => deliveryP99Ms),
        ),
        line(
          "receipt",
          0,
          true,
          timeline.map(({ receiptP99Ms }) => receiptP99Ms),
        ),
        line(
          "generators' lag",
          1,
          true,
          timeline.map(({ lagP99Ms }) => lagP99Ms),
        ),
      ].filter(({ values }) => values.some((value) => value !== null)),
    },
  ];
}

const LEAST_MS = 0.001;

/** Zero has no place on it; a microsecond is the least that is measured. */
function onLogarithmicAxis(ms: number): number {
  return Math.max(ms, LEAST_MS);
}

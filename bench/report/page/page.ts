/**
 * The results as one HTML page that needs nothing from outside: style, scripts
 * and data are in it. Bars and tables are there without a script; the plots are
 * drawn by uPlot. An error of a script becomes <html data-error="…">.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { environmentLines } from "../environment-report.js";
import { fanoutColumns } from "../group-fanout-report.js";
import { idleColumns } from "../idle-report.js";
import { allKernelColumns } from "../kernels-report.js";
import { correctnessColumns, loadColumns, loadDoubts } from "../load-report.js";
import { mixedCorrectnessColumns, mixedCostColumns, mixedLatencyColumns } from "../mixed-report.js";
import { costColumns, doubts, latencyColumns, workloadColumn } from "../pairs-report.js";
import { restartColumns } from "../restart-report.js";
import { type ResultLoad, type ResultRow, type ResultsFile, rowsOf } from "../schema.js";
import { systemCallsTable } from "../syscalls-report.js";
import type { Column } from "../table.js";
import { type BarChart, barFigure } from "./bars.js";
import { escaped, jsonScript, tableSection } from "./html.js";
import { plotsOf } from "./plots.js";
import { style } from "./style.js";

const charts: readonly BarChart[] = [
  {
    title: "Messages delivered per second (more is better)",
    ofRow: (row) => row.deliveredPerSec,
    ofRound: (round) => round.deliveredPerSec,
  },
  {
    title: "Server CPU per message, µs (less is better)",
    ofRow: (row) => row.serverCpuUsPerMsg,
    ofRound: (round) => round.serverCpuUsPerMsg,
  },
];

const reportError = `addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });`;

export function resultsPage(results: ResultsFile): string {
  const { environment } = results;
  const rows = rowsOf(results);
  const plots = plotsOf(results);
  const figures = [
    ...(rows.length === 0 ? [] : charts.map((chart) => barFigure(chart, rows))),
    ...plots.map(
      ({ title }, at) =>
        `<figure><figcaption>${escaped(title)}</figcaption><div id="plot-${at}"></div></figure>`,
    ),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Interline benchmark</title>
<link rel="icon" href="data:,">
<style>${uplotFile("uPlot.min.css")}${style}</style>
<script>${reportError}</script>
</head>
<body>
<header>
<h1>Interline benchmark</h1>
${environmentLines(environment).map(paragraph).join("\n")}
</header>
${[...doubts(rows), ...(results.load ? loadDoubts(results.load) : [])].map(paragraph).join("\n")}
<div class="figures">
${figures.join("\n")}
</div>
${tables(rows, results)}
<footer>Bars and tables: medians of the rounds; the thin line spans the rounds. Latencies: all rounds together;
against rate: medians of the rounds.
bench/README.md says how everything was measured.</footer>
${jsonScript("plots", plots)}
<script>${uplotFile("uPlot.iife.min.js")}</script>
<script type="module">${ownScript()}</script>
</body>
</html>
`;
}

/** Warnings stand out. */
function paragraph(text: string): string {
  const name = /^(warning|WRONG):/.test(text) ? ' class="warning"' : "";
  return `<p${name}>${escaped(text)}</p>`;
}

function tables(
  rows: readonly ResultRow[],
  { syscalls = [], kernels, idle, restart, mixed, load }: ResultsFile,
): string {
  const calls = systemCallsTable(syscalls);
  return [
    tableSection("Throughput and cost", rows, costColumns),
    tableSection("Latency and correctness", rows, [workloadColumn, ...latencyColumns]),
    tableSection("Group fan-out", rows.filter(isFanout), fanoutColumns),
    tableSection("System calls per delivered message", calls.rows, calls.columns),
    tableSection("Kernels against JavaScript", kernels, allKernelColumns),
    tableSection("Idle connections", idle, idleColumns),
    tableSection("Restart with full queues", restart && [restart], restartColumns),
    tableSection("Mixed", mixed && [mixed.row], mixedCostColumns),
    tableSection("Mixed: latency", mixed && [mixed], mixedLatencyColumns),
    tableSection("Mixed: what arrived", mixed && [mixed.row], mixedCorrectnessColumns),
    tableSection("Load", load && [load], [urlColumn, ...loadColumns]),
    tableSection("Load: what arrived", load && [load], correctnessColumns),
  ].join("\n");
}

function isFanout({ ratioToPublish }: ResultRow): boolean {
  return ratioToPublish !== undefined;
}

const urlColumn: Column<ResultLoad> = { head: "node", cell: ({ url }) => url, align: "left" };

function uplotFile(name: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${name}`), "utf8");
}

/** script.ts as it was compiled, without the reference to a source map that the page does not have. */
function ownScript(): string {
  return readFileSync(new URL("./script.js", import.meta.url), "utf8").replace(
    /^\/\/# sourceMappingURL=.*$/m,
    "",
  );
}

/** What a pairs run prints: throughput and cost, then latencies and correctness, then what to doubt. */
import { isClean, type Row } from "../measure/row.js";
import { bareRelay } from "../systems/bare-relay.js";
import type { ResultRow } from "./schema.js";
import { type Column, figure, table, wrapped } from "./table.js";

const BARE = bareRelay.name;

export function pairsReport(rows: readonly Row[]): string {
  const devices = rows[0]?.devices ?? 0;
  const bytes = rows[0]?.payloadBytes ?? 0;
  const rounds = rows[0]?.rounds.length ?? 0;
  return [
    `${devices} devices, ${bytes}-byte payloads; medians of ${rounds} alternating rounds`,
    "",
    table(rows, costColumns),
    "",
    table(rows, latencyColumns),
    "",
    guarantees(rows),
    ...doubts(rows).map((text) => `\n${wrapped(text)}`),
  ].join("\n");
}

export const workloadColumn: Column<ResultRow> = {
  head: "workload",
  cell: (row) => row.workload,
  align: "left",
};

export const costColumns: readonly Column<ResultRow>[] = [
  workloadColumn,
  { head: "in flight", cell: (row) => figure(row.inFlight) },
  { head: "system", cell: (row) => row.system, align: "left" },
  { head: "durability", cell: (row) => row.durability, align: "left" },
  { head: "delivered/s", cell: (row) => figure(row.deliveredPerSec) },
  { head: "server µs/msg", cell: (row) => figure(row.serverCpuUsPerMsg) },
  { head: "ratio", cell: (row) => figure(row.ratioToBare) },
  { head: "min – max", cell: ratioSpread },
];

function ratioSpread({ system, ratioToBareMin, ratioToBareMax }: ResultRow): string {
  return ratioToBareMin === null || system === BARE
    ? "–"
    : `${figure(ratioToBareMin)} – ${figure(ratioToBareMax)}`;
}

export const latencyColumns: readonly Column<ResultRow>[] = [
  { head: "in flight", cell: (row) => figure(row.inFlight) },
  { head: "system", cell: (row) => row.system, align: "left" },
  {
    head: "delivery ms p50/p99/p99.9",
    cell: (row) => three(row.deliveryP50Ms, row.deliveryP99Ms, row.deliveryP999Ms),
  },
  {
    head: "receipt ms p50/p99/p99.9",
    cell: (row) => three(row.receiptP50Ms, row.receiptP99Ms, row.receiptP999Ms),
  },
  { head: "lost", cell: (row) => figure(row.lost) },
  { head: "dup", cell: (row) => figure(row.duplicated) },
  { head: "reord", cell: (row) => figure(row.reordered) },
  { head: "gen µs", cell: (row) => figure(row.generatorCpuUsPerMsg) },
];

function three(...milliseconds: readonly (number | null)[]): string {
  return milliseconds.includes(null) ? "–" : milliseconds.map(figure).join("/");
}

/** What each system promises: figures of those that promise less are not to be compared without it. */
export function guarantees(rows: readonly Row[]): string {
  const bySystem = new Map(rows.map(({ system, guarantee }) => [system, guarantee]));
  return [...bySystem].map(([system, guarantee]) => wrapped(`${system}: ${guarantee}`)).join("\n");
}

/** What a reader should not overlook. */
export function doubts(rows: readonly ResultRow[]): string[] {
  const texts: string[] = [];
  for (const row of rows) {
    const isPaced = row.inFlight === 0;
    const name = `${row.workload}: ${row.system}${isPaced ? "" : ` with ${row.inFlight} in flight`}`;
    // A single message to few members leaves both waiting for one another, whatever else runs.
    const keepsBusy = !isPaced && row.ratioToPublish === undefined;
    if (row.generatorWasLimit && isPaced) {
      texts.push(`warning: ${name}: the generator was late or busy: it is part of these latencies`);
    } else if (row.generatorWasLimit) {
      texts.push(`warning: ${name}: the generator was the limit, so delivered/s is too low`);
    }
    if (keepsBusy && row.serverBusy < 0.8 && row.generatorBusy < 0.8) {
      texts.push(`warning: ${name}: neither core was busy; something else ran on this machine`);
    }
    if (row.refused > 0) {
      texts.push(`warning: ${name}: ${figure(row.refused)} sends were refused for overload and repeated`);
    }
    if (!isClean(row)) {
      const { lost, duplicated, reordered, misdelivered, unreceipted } = row;
      texts.push(
        `WRONG: ${name}: ${lost} lost, ${duplicated} duplicated, ${reordered} reordered, ` +
          `${misdelivered} misdelivered, ${unreceipted} without a receipt`,
      );
    }
  }
  return texts;
}

/** For deep pipelining: whether receipts keep flowing. */
export function receiptsReport(rows: readonly Row[]): string {
  const lines = rows
    .filter((row) => row.receiptP99Ms !== null)
    .map(
      (row) =>
        `${row.system} with ${row.inFlight} in flight: receipts p99 ${figure(row.receiptP99Ms)} ms, ` +
        `longest time without any receipt ${figure(row.longestReceiptGapMs)} ms`,
    );
  return lines.join("\n");
}

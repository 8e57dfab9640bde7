/** What a mixed run prints: what was sent, what it cost, what those there and those coming back noticed, what to doubt. */
import type { MixedResult } from "../measure/mixed.js";
import { OTHERS_BUSY_MAX } from "./open-loop-report.js";
import { doubts } from "./pairs-report.js";
import type { ResultMixed, ResultRow } from "./schema.js";
import { type Column, figure, table, wrapped } from "./table.js";

export function mixedReport(result: MixedResult): string {
  const { row, seed, scheduleHash, ratePerSec } = result;
  return [
    wrapped(
      `${figure(row.devices)} devices, of which ${figure(result.churningDevices)} come and go and ` +
        `${figure(100 * result.awayShare)} % are away at a time; ${figure(result.groups)} groups`,
    ),
    wrapped(
      `${figure(ratePerSec)} sends per second, ${figure(result.deliveriesPerSend)} deliveries each; payloads ` +
        `${figure(result.payloadMedianBytes)} bytes at the median, ${figure(row.payloadBytes)} on average, ` +
        `${figure(result.payloadBytesMax)} at most`,
    ),
    wrapped(
      `seed ${seed}, schedule ${scheduleHash}; ${row.rounds.length} rounds; sends were late by ` +
        `${figure(result.generatorLagP99Ms)} ms at p99, ${figure(result.generatorLagMaxMs)} at most`,
    ),
    "",
    table([row], mixedCostColumns),
    "",
    table([result], mixedLatencyColumns),
    "",
    table([row], mixedCorrectnessColumns),
    ...mixedDoubts(result).map((text) => `\n${wrapped(text)}`),
  ].join("\n");
}

export const mixedCostColumns: readonly Column<ResultRow>[] = [
  { head: "system", cell: (row) => row.system, align: "left" },
  { head: "durability", cell: (row) => row.durability, align: "left" },
  { head: "delivered/s", cell: (row) => figure(row.deliveredPerSec) },
  { head: "CPU µs each", cell: (row) => figure(row.serverCpuUsPerMsg) },
  { head: "disk bytes each", cell: (row) => figure(row.diskBytesPerMsg) },
  { head: "flushes/s", cell: (row) => figure(row.flushesPerSec) },
  { head: "server busy", cell: (row) => figure(row.serverBusy) },
  { head: "generator busy", cell: (row) => figure(row.generatorBusy) },
];

/** Deliveries and receipts of devices that are there throughout, and until a queue was empty of those that came back. */
export const mixedLatencyColumns: readonly Column<ResultMixed>[] = [
  {
    head: "delivery ms 50/99/99.9",
    cell: ({ row }) => listed(row.deliveryP50Ms, row.deliveryP99Ms, row.deliveryP999Ms),
  },
  {
    head: "receipt ms 50/99/99.9",
    cell: ({ row }) => listed(row.receiptP50Ms, row.receiptP99Ms, row.receiptP999Ms),
  },
  { head: "drain ms 50/99/max", cell: ({ row }) => listed(row.drainP50Ms, row.drainP99Ms, row.drainMaxMs) },
  { head: "returns", cell: ({ returns }) => figure(returns) },
  { head: "entries each", cell: ({ drainedPerReturn }) => figure(drainedPerReturn) },
];

export const mixedCorrectnessColumns: readonly Column<ResultRow>[] = [
  { head: "lost", cell: (row) => figure(row.lost) },
  { head: "duplicated", cell: (row) => figure(row.duplicated) },
  { head: "reordered", cell: (row) => figure(row.reordered) },
  { head: "misdelivered", cell: (row) => figure(row.misdelivered) },
  { head: "unreceipted", cell: (row) => figure(row.unreceipted) },
  { head: "refused", cell: (row) => figure(row.refused) },
];

function listed(...milliseconds: readonly (number | null | undefined)[]): string {
  return milliseconds.every((value) => value == null) ? "–" : milliseconds.map(figure).join("/");
}

/** What a reader should not overlook, besides what any row has. */
function mixedDoubts({ row, othersBusy, unsent }: MixedResult): string[] {
  const texts = doubts([row]);
  if ((othersBusy ?? 0) > OTHERS_BUSY_MAX) {
    texts.push("warning: something else ran on this machine: run it again when it is quiet");
  }
  if (unsent > 0) texts.push(`warning: ${figure(unsent)} sends were due at a window's end and not made`);
  return texts;
}

/** What group-fanout prints: what a delivery costs beside `publish`, then latencies and correctness, then what to doubt. */
import type { Row } from "../measure/row.js";
import { doubts, guarantees, latencyColumns } from "./pairs-report.js";
import type { ResultRow } from "./schema.js";
import { type Column, figure, table, wrapped } from "./table.js";

export function groupFanoutReport(rows: readonly Row[]): string {
  const rounds = rows[0]?.rounds.length ?? 0;
  return [
    `one message to a group, ${rows[0]?.payloadBytes ?? 0}-byte payloads; medians of ${rounds} alternating rounds`,
    "",
    table(rows, fanoutColumns),
    "",
    table(rows, [membersColumn, ...latencyColumns.filter(({ head }) => head !== "gen µs")]),
    "",
    guarantees(rows),
    ...doubts(rows).map((text) => `\n${wrapped(text)}`),
  ].join("\n");
}

const membersColumn: Column<ResultRow> = { head: "members", cell: ({ devices }) => figure(devices - 1) };

/** Of rows that have been held against `publish`. */
export const fanoutColumns: readonly Column<ResultRow>[] = [
  membersColumn,
  { head: "in flight", cell: (row) => figure(row.inFlight) },
  { head: "system", cell: (row) => row.system, align: "left" },
  { head: "durability", cell: (row) => row.durability, align: "left" },
  { head: "deliveries/s", cell: (row) => figure(row.deliveredPerSec) },
  { head: "CPU µs each", cell: (row) => figure(row.serverCpuUsPerMsg) },
  { head: "× publish", cell: (row) => figure(row.ratioToPublish) },
  {
    head: "min – max",
    cell: ({ ratioToPublishMin, ratioToPublishMax }) =>
      `${figure(ratioToPublishMin)} – ${figure(ratioToPublishMax)}`,
  },
  { head: "unrec", cell: (row) => figure(row.unreceipted) },
];

/** What a restart run prints: how long until the first delivery, and whether anything went wrong. */
import type { RestartResult } from "../measure/restart.js";
import { type Column, figure } from "./table.js";

export function restartReport(result: RestartResult): string {
  return [
    `${figure(result.entries)} entries queued at ${figure(result.queuedPerSec)}/s (${figure(result.refused)} pushed back), then SIGKILL and restart`,
    `  ready after            ${figure(result.readyMs)} ms`,
    `  first delivery after   ${figure(result.firstDeliveryMs)} ms`,
    `  all drained at         ${figure(result.drainedPerSec)}/s`,
    `  lost ${result.lost}, duplicated ${result.duplicated}, reordered ${result.reordered}`,
  ].join("\n");
}

export const restartColumns: readonly Column<RestartResult>[] = [
  { head: "system", cell: (row) => row.system, align: "left" },
  { head: "entries", cell: (row) => figure(row.entries) },
  { head: "queued/s", cell: (row) => figure(row.queuedPerSec) },
  { head: "pushed back", cell: (row) => figure(row.refused) },
  { head: "ready ms", cell: (row) => figure(row.readyMs) },
  { head: "first delivery ms", cell: (row) => figure(row.firstDeliveryMs) },
  { head: "drained/s", cell: (row) => figure(row.drainedPerSec) },
  { head: "lost", cell: (row) => figure(row.lost) },
  { head: "dup", cell: (row) => figure(row.duplicated) },
  { head: "reord", cell: (row) => figure(row.reordered) },
];

/** What thresholds come to; the system is that of the threshold. */
import { figure, table } from "./table.js";
import type { Judgement } from "./threshold.js";

export function judgementTable(judgements: readonly Judgement[]): string {
  return table(judgements, [
    { head: "threshold", cell: ({ threshold }) => threshold.text, align: "left" },
    { head: "row", cell: ({ row }) => `${row.workload}/${row.inFlight}`, align: "left" },
    { head: "value", cell: ({ value }) => figure(value) },
    { head: "", cell: ({ holds }) => (holds ? "ok" : "failed"), align: "left" },
  ]);
}

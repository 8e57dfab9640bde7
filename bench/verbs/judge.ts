/** The end of a verb whose results have rows: whether thresholds hold, and the exit code. */
import { isClean, type Row } from "../measure/row.js";
import { print } from "../report/output.js";
import { kernelRow, type ResultKernel, rowName } from "../report/schema.js";
import { figure, table } from "../report/table.js";
import { type Judgement, judge } from "../report/threshold.js";
import { EXIT_FAILED, EXIT_WRONG } from "./exit-codes.js";
import type { ThresholdOptions } from "./thresholds.js";

export function judgeRows(
  rows: readonly Row[],
  { threshold = [] }: ThresholdOptions,
  kernels: readonly ResultKernel[] = [],
): void {
  if (!rows.every(isClean)) process.exitCode = EXIT_WRONG;
  const kernelRows = kernels.map(kernelRow).filter((row) => row !== undefined);
  const judgements = judge(threshold, [...rows, ...kernelRows]);
  if (judgements.length > 0) print(`\n${judgementTable(judgements)}`);
  if (judgements.some(({ holds }) => !holds)) process.exitCode ??= EXIT_FAILED;
}

function judgementTable(judgements: readonly Judgement[]): string {
  return table(judgements, [
    { head: "threshold", cell: ({ threshold }) => threshold.text, align: "left" },
    { head: "row", cell: ({ row }) => rowName(row), align: "left" },
    { head: "value", cell: ({ value }) => figure(value) },
    { head: "", cell: ({ holds }) => (holds ? "ok" : "failed"), align: "left" },
  ]);
}

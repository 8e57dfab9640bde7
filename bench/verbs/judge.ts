/** The end of a verb whose results have rows: whether thresholds hold, and the exit code. */

import { EXIT_FAILED, EXIT_WRONG } from "../exit-codes.js";
import { isClean, type WrongCounts } from "../measure/row.js";
import { judgementTable } from "../report/judgement-report.js";
import type { Figured } from "../report/metrics.js";
import { print } from "../report/output.js";
import { kernelRow, type ResultKernel } from "../report/schema.js";
import { judge } from "../report/threshold.js";
import type { ThresholdOptions } from "./thresholds.js";

export function judgeRows(
  rows: readonly (Figured & WrongCounts)[],
  { threshold = [] }: ThresholdOptions,
  kernels: readonly ResultKernel[] = [],
): void {
  if (!rows.every(isClean)) process.exitCode = EXIT_WRONG;
  const kernelRows = kernels.map(kernelRow).filter((row) => row !== undefined);
  const judgements = judge(threshold, [...rows, ...kernelRows]);
  if (judgements.length > 0) print(`\n${judgementTable(judgements)}`);
  if (judgements.some(({ holds }) => !holds)) process.exitCode ??= EXIT_FAILED;
}

/**
 * Thresholds: what a row's figure must be, as an expression, so that a run can
 * fail where it is started by a program.
 *
 *   [workload[/inFlight][@system]:]metric op number     pairs/8:cpu_ratio<=0.4
 *
 * It is judged in every row that it names and that has the figure: a row without
 * receipts has no receipt_p99_ms. That no row has it is an error, so that a
 * misspelled threshold cannot pass.
 */
import { wrongCommand } from "../exit-codes.js";
import { type Figured, type Metric, metricNamed, metrics } from "./metrics.js";
import { rowName } from "./schema.js";

const operators = {
  "<=": (value: number, bound: number) => value <= bound,
  ">=": (value: number, bound: number) => value >= bound,
  "==": (value: number, bound: number) => value === bound,
  "!=": (value: number, bound: number) => value !== bound,
  "<": (value: number, bound: number) => value < bound,
  ">": (value: number, bound: number) => value > bound,
};

export interface Threshold {
  readonly text: string;
  /** Undefined: every workload, and every number in flight. */
  readonly workload: string | undefined;
  readonly inFlight: number | undefined;
  readonly system: string;
  readonly metric: Metric;
  readonly operator: keyof typeof operators;
  readonly bound: number;
}

export interface Judgement {
  readonly threshold: Threshold;
  readonly row: Figured;
  readonly value: number;
  readonly holds: boolean;
}

const DEFAULT_SYSTEM = "interline";

const expression =
  /^(?:(?<workload>[\w-]+)(?:\/(?<inFlight>\d+(?:\.\d+)?))?(?:@(?<system>[\w.-]+))?:)?\s*(?<metric>\w+)\s*(?<operator>[<>]=?|[=!]=)\s*(?<bound>-?\d+(?:\.\d+)?)$/;

/** Throws an error that says what is expected. */
export function parseThreshold(text: string): Threshold {
  const parts = expression.exec(text.trim())?.groups;
  if (parts === undefined) {
    throw new Error(
      `"${text}" is no threshold. One is [workload[/inFlight][@system]:]metric op number with one of ` +
        `${Object.keys(operators).join(" ")}, as in cpu_ratio<1.1 or pairs/8@interline:receipt_p99_ms<50`,
    );
  }
  return {
    text,
    workload: parts.workload,
    inFlight: parts.inFlight === undefined ? undefined : Number(parts.inFlight),
    system: parts.system ?? DEFAULT_SYSTEM,
    metric: metricNamed(parts.metric as string),
    operator: parts.operator as keyof typeof operators,
    bound: Number(parts.bound),
  };
}

/** One judgement for each threshold and row that it is about. */
export function judge(thresholds: readonly Threshold[], rows: readonly Figured[]): Judgement[] {
  return thresholds.flatMap((threshold) => {
    const judgements = matching(threshold, rows).flatMap((row) => {
      const value = row[threshold.metric.field];
      return value == null ? [] : [judgement(threshold, row, value)];
    });
    if (judgements.length === 0) throw wrongCommand(`${threshold.text}: ${whyNone(threshold, rows)}`);
    return judgements;
  });
}

function judgement(threshold: Threshold, row: Figured, value: number): Judgement {
  return { threshold, row, value, holds: operators[threshold.operator](value, threshold.bound) };
}

function matching({ workload, inFlight, system }: Threshold, rows: readonly Figured[]): Figured[] {
  return rows.filter(
    (row) =>
      row.system === system &&
      (workload === undefined || row.workload === workload) &&
      (inFlight === undefined || row.inFlight === inFlight),
  );
}

function whyNone(threshold: Threshold, rows: readonly Figured[]): string {
  const [row] = matching(threshold, rows);
  if (row === undefined) {
    const names = rows.map(rowName).join(", ");
    return `no such row. There are: ${names === "" ? "none" : names}`;
  }
  const present = metrics.filter(({ field }) => row[field] != null).map(({ name }) => name);
  return `no row has a ${threshold.metric.name}. ${rowName(row)} has: ${present.join(", ")}`;
}

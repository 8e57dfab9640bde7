/**
 * Two result files beside each other: what changed by more than the rounds of
 * either file vary among themselves.
 *
 *   changed = |median after − median before| > 4 × the larger of both MADs, and > 2 % of before
 *
 * MAD is the median absolute deviation of the rounds. Simulated with normally
 * distributed noise, two files that do not differ cross the line in one
 * comparison of 43 with five rounds each and in one of 170 with seven, but in
 * one of 32 with four: with fewer than five a metric is not judged. Lost,
 * duplicated and other wrong messages know no noise; every difference counts.
 *
 * The rule sees the noise within a run. What differs between two runs, such as
 * the speed a shared machine happens to have, only a ratio to another system of
 * the same run takes out.
 */
import { assert } from "../../src/base/assert.js";
import { median, medianAbsoluteDeviation } from "../measure/statistics.js";
import { bareRelay } from "../systems/bare-relay.js";
import { type Figured, type Metric, metrics } from "./metrics.js";
import { type KernelRow, kernelRow, type ResultRow, type ResultsFile, rowName, rowsOf } from "./schema.js";

const DEVIATIONS_MIN = 4;
const RELATIVE_CHANGE_MIN = 0.02;
export const ROUNDS_MIN = 5;

type Verdict = "better" | "worse" | "same" | "not judged";

export interface Change {
  /** As in `pairs/8@interline`. */
  readonly row: string;
  readonly metric: string;
  /** Medians of the rounds. */
  readonly before: number;
  readonly after: number;
  /** After divided by before; null when before is zero. */
  readonly ratio: number | null;
  /** The difference that noise explains; null when too few rounds tell. */
  readonly noise: number | null;
  readonly verdict: Verdict;
}

export interface Diff {
  readonly changes: readonly Change[];
  /** Rows that only one of the files has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** What else differs, and may be the reason. */
  readonly caveats: readonly string[];
}

/** Throws when the files have no row in common. */
export function diff(before: ResultsFile, after: ResultsFile, compared: readonly Metric[] = metrics): Diff {
  const [rowsBefore, rowsAfter] = [figuresByName(before), figuresByName(after)];
  const common = [...rowsBefore.keys()].filter((name) => rowsAfter.has(name));
  if (common.length === 0) {
    const names = (rows: Map<string, FiguresOf>) => [...rows.keys()].join(", ") || "none";
    throw new Error(`No row is in both files. Rows: ${names(rowsBefore)}; and ${names(rowsAfter)}`);
  }
  const changes = common.flatMap((name) =>
    compared.flatMap((metric) => {
      const [a, b] = [rowsBefore, rowsAfter].map((rows) => rows.get(name)?.(metric));
      return a === undefined || b === undefined ? [] : [changeOf(name, metric, a, b)];
    }),
  );
  return {
    changes,
    onlyBefore: [...rowsBefore.keys()].filter((name) => !rowsAfter.has(name)),
    onlyAfter: [...rowsAfter.keys()].filter((name) => !rowsBefore.has(name)),
    caveats: [...environmentCaveats(before, after), ...sizeCaveats(rowsByName(before), rowsByName(after))],
  };
}

/** The figures that a row or a kernel's result has for a metric. */
type FiguresOf = (metric: Metric) => Figures | undefined;

function figuresByName(file: ResultsFile): Map<string, FiguresOf> {
  const rows = rowsByName(file);
  const all = new Map<string, FiguresOf>();
  for (const name of rows.keys()) all.set(name, (metric) => figuresOf(metric, rows, name));
  for (const result of file.kernels ?? []) {
    const row = kernelRow(result);
    if (row !== undefined) all.set(rowName(row), (metric) => kernelFigures(metric, row));
  }
  return all;
}

function rowsByName(file: ResultsFile): Map<string, ResultRow> {
  return new Map(rowsOf(file).map((row) => [rowName(row), row]));
}

interface Figures {
  readonly value: number;
  /** Null for a figure without noise. */
  readonly rounds: readonly number[] | null;
}

/** Undefined where the row has no such figure, or the metric is not for comparing. */
function figuresOf(metric: Metric, rows: Map<string, ResultRow>, name: string): Figures | undefined {
  const row = rows.get(name);
  assert(row !== undefined, "the row is in both files");
  const { field, better, ofRound, against = bareRelay.name } = metric;
  const value = (row as Figured)[field];
  if (better === undefined || value == null) return undefined;
  if (ofRound === undefined) return { value, rounds: null };
  const beside = rows.get(rowName({ ...row, system: against }));
  const rounds = row.rounds
    .map((round, at) => ofRound(round, beside?.rounds[at]))
    .filter((figure) => figure !== undefined);
  return rounds.length === row.rounds.length && rounds.length > 0
    ? { value: median(rounds), rounds }
    : { value, rounds: [] };
}

function kernelFigures({ field, better, ofKernel }: Metric, row: KernelRow): Figures | undefined {
  const value = (row as Figured)[field];
  if (better === undefined || ofKernel === undefined || value == null) return undefined;
  return { value, rounds: ofKernel(row) ?? [] };
}

function changeOf(row: string, metric: Metric, before: Figures, after: Figures): Change {
  const noise = noiseOf(before, after);
  const difference = after.value - before.value;
  return {
    row,
    metric: metric.name,
    before: before.value,
    after: after.value,
    ratio: before.value === 0 ? null : after.value / before.value,
    noise,
    verdict: noise === null ? "not judged" : verdictOf(metric, difference, noise),
  };
}

function noiseOf(before: Figures, after: Figures): number | null {
  if (before.rounds === null || after.rounds === null) return 0;
  if (Math.min(before.rounds.length, after.rounds.length) < ROUNDS_MIN) return null;
  const deviations = [before.rounds, after.rounds].map(medianAbsoluteDeviation);
  return Math.max(DEVIATIONS_MIN * Math.max(...deviations), RELATIVE_CHANGE_MIN * Math.abs(before.value));
}

function verdictOf({ better }: Metric, difference: number, noise: number): Verdict {
  if (Math.abs(difference) <= noise) return "same";
  return difference < 0 === (better === "less") ? "better" : "worse";
}

/** What a figure can depend on besides the code that was measured. */
const decisive = ["node", "platform", "kernel", "cpu", "cores", "serverCore", "fileSystem"] as const;

function environmentCaveats(
  { environment: before }: ResultsFile,
  { environment: after }: ResultsFile,
): string[] {
  return decisive
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name}: ${before[name]} before, ${after[name]} after`);
}

function sizeCaveats(before: Map<string, ResultRow>, after: Map<string, ResultRow>): string[] {
  const common = [...before.keys()].filter((name) => after.has(name));
  return common.flatMap((name) =>
    (["devices", "payloadBytes", "durability"] as const)
      .filter((field) => before.get(name)?.[field] !== after.get(name)?.[field])
      .map(
        (field) =>
          `${name}, ${field}: ${before.get(name)?.[field]} before, ${after.get(name)?.[field]} after`,
      ),
  );
}

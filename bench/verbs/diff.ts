/** `diff`: two result files beside each other, and what changed by more than noise. */
import { writeFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { EXIT_FAILED } from "../exit-codes.js";
import { diff } from "../report/diff.js";
import { diffReport } from "../report/diff-report.js";
import { type Metric, metricNamed, metrics } from "../report/metrics.js";
import { print } from "../report/output.js";
import { readResults } from "../report/schema.js";
import { writableFile } from "./options.js";

interface DiffOptions {
  readonly json?: string;
  readonly all: boolean;
  readonly metrics: readonly Metric[];
  readonly failOnRegression: boolean;
}

export function addDiff(program: Command): void {
  program
    .command("diff")
    .description("compare two result files: what changed by more than noise")
    .argument("<before>", "a file that --json has written")
    .argument("<after>", "another one")
    .option("--json <file>", "write the comparison to a file as JSON", writableFile)
    .option("--all", "print what did not change, too", false)
    .addOption(
      new Option("--metrics <list>", "compare only these, as in cpu_ratio,receipt_p99_ms")
        .argParser(metricList)
        .default(metrics, "all"),
    )
    .option("--fail-on-regression", "exit code 3 when something got worse", false)
    .addHelpText(
      "after",
      `
Rows are matched by workload, number in flight and system. A figure has changed when the medians of
the rounds differ by more than four times the larger of the two files' median absolute deviations,
and by more than 2 %. With fewer than five rounds in either file it is not judged. Lost, duplicated,
reordered, misdelivered and unreceipted messages count whatever their number.

This is the noise within a run. From run to run a shared machine varies more: measure both on a quiet
machine, or compare cpu_ratio only, which is formed within each run.

Examples:
  npm run bench -- diff before.json after.json
  npm run bench -- diff before.json after.json --metrics cpu_ratio,lost --fail-on-regression`,
    )
    .action(runDiff);
}

function metricList(text: string): Metric[] {
  return text.split(",").map((name) => {
    try {
      return comparable(metricNamed(name));
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  });
}

function comparable(metric: Metric): Metric {
  if (metric.better === undefined) throw new Error(`${metric.name} describes a run; it is not compared.`);
  return metric;
}

async function runDiff(before: string, after: string, options: DiffOptions): Promise<void> {
  const result = diff(await readResults(before), await readResults(after), options.metrics);
  print(diffReport(result, options.all));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
  const isWorse = result.changes.some(({ verdict }) => verdict === "worse");
  if (options.failOnRegression && isWorse) process.exitCode = EXIT_FAILED;
}

/** `mixed`: direct and group sends of all lengths, an open loop, while a fifth of the devices comes and goes. */
import type { Command } from "commander";
import { mixedMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runMixed } from "../measure/mixed.js";
import { mixedReport } from "../report/mixed-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

export function addMixed(program: Command): void {
  withThresholds(withCommonOptions(program.command("mixed")))
    .description("70 % direct sends, 30 % to groups of 5 to 1,000; a fifth of the devices comes and goes")
    .addHelpText(
      "after",
      `
Sends are made at times that the seed fixes, and have lengths as chat messages have them. Latencies are
those of devices that are connected throughout; drain_p99_ms is how soon those that come back have all.

Examples:
  npm run bench -- mixed --json mixed.json --html mixed.html
  npm run bench -- mixed --threshold 'delivery_p99_ms<50' --threshold 'drain_p99_ms<500'`,
    )
    .action(async (options: CommonOptions & ThresholdOptions) => {
      const { dataDirectory } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.mixed, options);
      progress.plan(mixedMs(workload), options.progress);
      const mixed = await runMixed({ workload, system: interline, dataDirectory, onProgress: progress.step });
      print(mixedReport(mixed));
      await writeResults(options, environment, { rows: [], mixed });
      judgeRows([mixed.row], options);
    });
}

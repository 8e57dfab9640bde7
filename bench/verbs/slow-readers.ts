/** `slow-readers`: what healthy devices notice of others that read nothing. */
import type { Command } from "commander";
import { slowReadersMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runSlowReaders } from "../measure/slow-readers.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { slowReadersReport } from "../report/slow-readers-report.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

export function addSlowReaders(program: Command): void {
  withThresholds(withCommonOptions(program.command("slow-readers")))
    .description("pairs among 1,000 devices while 200 others read nothing, or a little now and then")
    .addHelpText("after", "\nExample:\n  npm run bench -- slow-readers --json slow-readers.json")
    .action(async (options: CommonOptions & ThresholdOptions) => {
      const { dataDirectory } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.slowReaders, options);
      progress.plan(slowReadersMs(workload), options.progress);
      const slowReaders = await runSlowReaders({
        workload,
        system: interline,
        dataDirectory,
        onProgress: progress.step,
      });
      print(slowReadersReport(slowReaders));
      await writeResults(options, environment, { rows: [], slowReaders });
      judgeRows([slowReaders.quiet, slowReaders.besideSlow], options);
    });
}

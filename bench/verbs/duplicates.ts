/** `duplicates`: one send in ten is repeated under its id: applied once, and at what cost. */
import type { Command } from "commander";
import { runDuplicates } from "../measure/duplicates.js";
import { pairsMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { duplicatesReport } from "../report/duplicates-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

export function addDuplicates(program: Command): void {
  withThresholds(withCommonOptions(program.command("duplicates")))
    .description("pairs in which a tenth of the sends is repeated under the same id, beside plain pairs")
    .addHelpText("after", "\nExample:\n  npm run bench -- duplicates --json duplicates.json")
    .action(async (options: CommonOptions & ThresholdOptions) => {
      const { dataDirectory } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.duplicates, options);
      progress.plan(pairsMs(workload, 1, 2 * workload.rounds), options.progress);
      const duplicates = await runDuplicates({
        workload,
        system: interline,
        dataDirectory,
        onProgress: progress.step,
      });
      print(duplicatesReport(duplicates));
      await writeResults(options, environment, { rows: [], duplicates });
      judgeRows(
        duplicates.flatMap(({ plain, repeating }) => [plain, repeating]),
        options,
      );
    });
}

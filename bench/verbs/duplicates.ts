/** `duplicates`: one send in ten is repeated under its id: applied once, and at what cost. */
import type { Command } from "commander";
import { type DuplicatesResult, runDuplicates } from "../measure/duplicates.js";
import { describeEnvironment } from "../measure/environment.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { pairsReport } from "../report/pairs-report.js";
import { figure } from "../report/table.js";
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
      const duplicates = await runDuplicates({
        workload,
        system: interline,
        dataDirectory,
        onProgress: progress,
      });
      print(duplicatesReport(duplicates));
      await writeResults(options, environment, { rows: [], duplicates });
      judgeRows(
        duplicates.flatMap(({ plain, repeating }) => [plain, repeating]),
        options,
      );
    });
}

function duplicatesReport(results: readonly DuplicatesResult[]): string {
  const seed = results[0]?.seed ?? 0;
  const lines = results.map(
    ({ inFlight, repeatedPerMsg, ratioToPlain, ratioToPlainMin, ratioToPlainMax }) =>
      `${inFlight} in flight: ${figure(100 * repeatedPerMsg)} % repeated; CPU per message × plain ` +
      `${figure(ratioToPlain)} (${figure(ratioToPlainMin)} – ${figure(ratioToPlainMax)})`,
  );
  const rows = results.flatMap(({ plain, repeating }) => [plain, repeating]);
  return [pairsReport(rows), "", ...lines, `seed ${seed}`].join("\n");
}

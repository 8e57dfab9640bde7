/** `offline-drain`: what queueing for devices that are away costs, and how fast they drain. */
import type { Command } from "commander";
import { EXIT_WRONG } from "../exit-codes.js";
import { offlineDrainMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runOfflineDrain } from "../measure/offline-drain.js";
import { offlineDrainReport } from "../report/offline-drain-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

export function addOfflineDrain(program: Command): void {
  withCommonOptions(program.command("offline-drain"))
    .description("1 M entries for 10,000 devices that are away: CPU per entry, and how fast they drain")
    .addHelpText("after", "\nExample:\n  npm run bench -- offline-drain --json offline-drain.json")
    .action(async (options: CommonOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.offlineDrain, options);
      progress.plan(offlineDrainMs(workload), options.progress);
      const offlineDrain = await runOfflineDrain({
        workload,
        system: interline,
        dataDirectory: options.dataDirectory,
        onProgress: progress.step,
      });
      print(offlineDrainReport(offlineDrain));
      await writeResults(options, environment, { rows: [], offlineDrain });
      const { lost, duplicated, reordered, misdelivered } = offlineDrain;
      if (lost + duplicated + reordered + misdelivered > 0) process.exitCode = EXIT_WRONG;
    });
}

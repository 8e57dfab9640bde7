/** `restart`: a million entries queued for devices that are away, SIGKILL, restart, first delivery. */
import type { Command } from "commander";
import { EXIT_WRONG } from "../exit-codes.js";
import { restartMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runRestart } from "../measure/restart.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { restartReport } from "../report/restart-report.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

export function addRestart(program: Command): void {
  withCommonOptions(program.command("restart"))
    .description("time from the start of a killed node's process to its first delivery, 1 M entries queued")
    .addHelpText("after", "\nExample:\n  npm run bench -- restart --json restart.json")
    .action(async (options: CommonOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.restart, options);
      progress.plan(restartMs(workload), options.progress);
      const restart = await runRestart({
        workload,
        system: interline,
        dataDirectory: options.dataDirectory,
        onProgress: progress.step,
      });
      print(restartReport(restart));
      await writeResults(options, environment, { rows: [], restart });
      if (restart.lost + restart.duplicated + restart.reordered > 0) process.exitCode = EXIT_WRONG;
    });
}

/** `restart`: a million entries queued for devices that are away, SIGKILL, restart, first delivery. */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { type RestartResult, runRestart } from "../measure/restart.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { figure } from "../report/table.js";
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
      const restart = await runRestart({
        workload: pick(workloads.restart, options),
        system: interline,
        dataDirectory: options.dataDirectory,
        onProgress: progress,
      });
      print(restartReport(restart));
      if (options.json !== undefined) await writeResults(options.json, environment, { rows: [], restart });
      if (restart.lost + restart.duplicated + restart.reordered > 0) process.exitCode = 2;
    });
}

function restartReport(result: RestartResult): string {
  return [
    `${figure(result.entries)} entries queued at ${figure(result.queuedPerSec)}/s (${figure(result.refused)} pushed back), then SIGKILL and restart`,
    `  ready after            ${figure(result.readyMs)} ms`,
    `  first delivery after   ${figure(result.firstDeliveryMs)} ms`,
    `  all drained at         ${figure(result.drainedPerSec)}/s`,
    `  lost ${result.lost}, duplicated ${result.duplicated}, reordered ${result.reordered}`,
  ].join("\n");
}

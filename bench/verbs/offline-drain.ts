/** `offline-drain`: what queueing for devices that are away costs, and how fast they drain. */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { type OfflineDrainResult, runOfflineDrain } from "../measure/offline-drain.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { figure } from "../report/table.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { EXIT_WRONG } from "./exit-codes.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

export function addOfflineDrain(program: Command): void {
  withCommonOptions(program.command("offline-drain"))
    .description("1 M entries for 10,000 devices that are away: CPU per entry, and how fast they drain")
    .addHelpText("after", "\nExample:\n  npm run bench -- offline-drain --json offline-drain.json")
    .action(async (options: CommonOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const offlineDrain = await runOfflineDrain({
        workload: pick(workloads.offlineDrain, options),
        system: interline,
        dataDirectory: options.dataDirectory,
        onProgress: progress,
      });
      print(offlineDrainReport(offlineDrain));
      await writeResults(options, environment, { rows: [], offlineDrain });
      const { lost, duplicated, reordered, misdelivered } = offlineDrain;
      if (lost + duplicated + reordered + misdelivered > 0) process.exitCode = EXIT_WRONG;
    });
}

function offlineDrainReport(result: OfflineDrainResult): string {
  const { entries, receivers, payloadBytes, lost, duplicated, reordered, misdelivered } = result;
  return [
    `${figure(entries)} entries of ${payloadBytes} bytes for ${figure(receivers)} devices`,
    `  signing in             ${figure(result.signInCpuUs)} µs per device, ${figure(result.signInsPerSec)}/s`,
    `  to connected devices   ${figure(result.onlineCpuUsPerMsg)} µs of server CPU each, ${figure(result.onlinePerSec)}/s`,
    `  to devices away        ${figure(result.enqueueCpuUsPerEntry)} µs each, ${figure(result.enqueuedPerSec)}/s`,
    `  ratio                  ${figure(result.enqueueToOnline)}`,
    `  drained at             ${figure(result.drainedPerSec)}/s, ${figure(result.drainCpuUsPerEntry)} µs each, sign-ins included`,
    `  all signed in after    ${figure(result.connectMs)} ms, drained after ${figure(result.drainMs)} ms`,
    `  pushed back ${result.refused}, lost ${lost}, duplicated ${duplicated}, reordered ${reordered}, misdelivered ${misdelivered}`,
  ].join("\n");
}

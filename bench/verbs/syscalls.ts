/** `syscalls`: system calls per delivered message, by name, in a pass of its own under strace. */

import type { Command } from "commander";
import { EXIT_COULD_NOT_RUN } from "../exit-codes.js";
import { pairsMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { hasStrace } from "../measure/strace.js";
import { runSystemCalls, type SystemCallsResult } from "../measure/syscalls.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { systemCallsReport } from "../report/syscalls-report.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { overridden, type PairsOptions, pick, withPairsOptions } from "./options.js";

export function addSyscalls(program: Command): void {
  withPairsOptions(program.command("syscalls"))
    .description("system calls per delivered message, under strace")
    .addHelpText("after", "\nExample:\n  npm run bench -- syscalls --in-flight 8")
    .action(async (options: PairsOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const syscalls = await systemCallsSection(options);
      if (syscalls === undefined) process.exitCode = EXIT_COULD_NOT_RUN;
      else await writeResults(options, environment, { rows: [], syscalls });
    });
}

/** Undefined, and said so, where strace is missing. */
export async function systemCallsSection(options: PairsOptions): Promise<SystemCallsResult[] | undefined> {
  if (!hasStrace()) {
    print("System calls per message were not counted: strace is not installed.\n");
    return undefined;
  }
  const { dataDirectory } = options;
  const workload = overridden(pick(workloads.syscalls, options), options);
  const systems = [interline, bareRelay];
  progress.plan(pairsMs(workload, systems.length, 1), options.progress);
  const run = { workload, systems, dataDirectory, onProgress: progress.step };
  const results = await runSystemCalls(run);
  print(systemCallsReport(results));
  return results;
}

/** `connect-storm`: 15,000 sign-ins at once beside a paced load. */
import type { Command } from "commander";
import { EXIT_WRONG } from "../exit-codes.js";
import { runConnectStorm } from "../measure/connect-storm.js";
import { connectStormMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { connectStormReport } from "../report/connect-storm-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { answeringRelay } from "../systems/answering-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

interface ConnectStormOptions extends CommonOptions {
  readonly only: boolean;
}

export function addConnectStorm(program: Command): void {
  withCommonOptions(program.command("connect-storm"))
    .description(
      "15,000 sign-ins at once, then all gone: time until all are in, and what established devices notice",
    )
    .option("--only", "Interline alone", false)
    .addHelpText(
      "after",
      "\nServer and generator each need a file descriptor per connection (ulimit -n).\n\nExample:\n  npm run bench -- connect-storm",
    )
    .action(async (options: ConnectStormOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.connectStorm, options);
      progress.plan(connectStormMs(workload, options.only ? 1 : 2), options.progress);
      const run = { workload, dataDirectory: options.dataDirectory, onProgress: progress.step };
      const connectStorm = await runConnectStorm({ ...run, system: interline });
      print(connectStormReport(connectStorm));
      const relay = options.only ? undefined : await runConnectStorm({ ...run, system: answeringRelay });
      if (relay !== undefined) print(`\nWhat connecting alone does:\n${connectStormReport(relay)}`);
      const beside = relay && { connectStormAnswering: relay };
      await writeResults(options, environment, { rows: [], connectStorm, ...beside });
      for (const result of [connectStorm, ...(relay ? [relay] : [])]) {
        const { lost, duplicated, reordered, misdelivered } = result;
        if (lost + duplicated + reordered + misdelivered > 0) process.exitCode = EXIT_WRONG;
      }
    });
}

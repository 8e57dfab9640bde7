/** `idle`: process memory per connection that does nothing. */
import type { Command } from "commander";
import { idleMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { type IdleResult, runIdle } from "../measure/idle.js";
import { idleColumns } from "../report/idle-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { table } from "../report/table.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

export function addIdle(program: Command): void {
  withCommonOptions(program.command("idle"))
    .description("process memory per idle connection, with 15,000 of them")
    .addHelpText(
      "after",
      "\nServer and generator each need a file descriptor per connection (ulimit -n).\n\nExample:\n  npm run bench -- idle",
    )
    .action(async (options: CommonOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.idle, options);
      const idle: IdleResult[] = [];
      const systems = [interline, bareRelay];
      progress.plan(systems.length * idleMs(workload), options.progress);
      for (const system of systems) {
        progress.step(`${workload.connections} idle connections: ${system.name}`, idleMs(workload));
        idle.push(await runIdle({ workload, system, dataDirectory: options.dataDirectory }));
      }
      print(table(idle, idleColumns));
      await writeResults(options, environment, { rows: [], idle });
    });
}

/** `idle`: process memory per connection that does nothing. */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { type IdleResult, runIdle } from "../measure/idle.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { figure, table } from "../report/table.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

const MiB = 1024 * 1024;

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
      for (const system of [interline, bareRelay]) {
        progress(`${workload.connections} idle connections: ${system.name}`);
        idle.push(await runIdle({ workload, system, dataDirectory: options.dataDirectory }));
      }
      print(idleTable(idle));
      if (options.json !== undefined) await writeResults(options.json, environment, { rows: [], idle });
    });
}

function idleTable(results: readonly IdleResult[]): string {
  return table(results, [
    { head: "system", cell: (row) => row.system, align: "left" },
    { head: "connections", cell: (row) => figure(row.connections) },
    { head: "before MiB", cell: (row) => figure(row.rssBeforeBytes / MiB) },
    { head: "after MiB", cell: (row) => figure(row.rssAfterBytes / MiB) },
    { head: "bytes per connection", cell: (row) => figure(row.bytesPerConnection) },
    { head: "anonymous", cell: (row) => figure(row.anonymousBytesPerConnection) },
    { head: "all signed in after s", cell: (row) => figure(row.connectMs / 1000) },
  ]);
}

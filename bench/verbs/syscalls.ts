/** `syscalls`: system calls per delivered message, by name, in a pass of its own under strace. */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { hasStrace } from "../measure/strace.js";
import { runSystemCalls, type SystemCallsResult } from "../measure/syscalls.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { table } from "../report/table.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { overridden, type PairsOptions, pick, withPairsOptions } from "./options.js";

/** Rarer calls than this are summed up. */
const SHOWN_MIN = 0.005;

export function addSyscalls(program: Command): void {
  withPairsOptions(program.command("syscalls"))
    .description("system calls per delivered message, under strace")
    .addHelpText("after", "\nExample:\n  npm run bench -- syscalls --in-flight 8")
    .action(async (options: PairsOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const syscalls = await systemCallsSection(options);
      if (syscalls === undefined) process.exitCode = 1;
      else if (options.json !== undefined) {
        await writeResults(options.json, environment, { rows: [], syscalls });
      }
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
  const run = { workload, systems: [interline, bareRelay], dataDirectory, onProgress: progress };
  const results = await runSystemCalls(run);
  print(`system calls per delivered message\n\n${systemCallsTable(results)}\n`);
  return results;
}

function systemCallsTable(results: readonly SystemCallsResult[]): string {
  const names = [...new Set(results.flatMap(({ byName }) => Object.keys(byName)))];
  const shown = names.filter((name) => results.some(({ byName }) => (byName[name] ?? 0) >= SHOWN_MIN));
  const per = (value: number) => (value === 0 ? "–" : value.toFixed(3));
  const rest = ({ byName }: SystemCallsResult) =>
    names.filter((name) => !shown.includes(name)).reduce((sum, name) => sum + (byName[name] ?? 0), 0);
  const rows = [
    ...shown.map((name) => ({ name, value: (result: SystemCallsResult) => result.byName[name] ?? 0 })),
    { name: "others", value: rest },
    { name: "all", value: (result: SystemCallsResult) => result.callsPerMessage },
  ];
  return table(rows, [
    { head: "", cell: (row) => row.name, align: "left" },
    ...results.map((result) => ({
      head: `${result.system}, ${result.inFlight} in flight`,
      cell: (row: (typeof rows)[number]) => per(row.value(result)),
    })),
  ]);
}

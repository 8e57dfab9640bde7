/**
 * The benchmark's command line: one verb per file in verbs/; without a verb the
 * canonical workload runs. `npm run bench` and `interline bench` are both this.
 */
import { Command, CommanderError, type OutputConfiguration } from "commander";
import { asksForJson, type Failure, failureLine, readFailure } from "../src/cli/output.js";
import { EXIT_COULD_NOT_RUN } from "./exit-codes.js";
import { progress } from "./report/progress.js";
import { addCompare } from "./verbs/compare.js";
import { addConnectStorm } from "./verbs/connect-storm.js";
import { addDiff } from "./verbs/diff.js";
import { addDuplicates } from "./verbs/duplicates.js";
import { addGroupFanout } from "./verbs/group-fanout.js";
import { addIdle } from "./verbs/idle.js";
import { addKernels } from "./verbs/kernels.js";
import { addLoad } from "./verbs/load.js";
import { addMixed } from "./verbs/mixed.js";
import { addOfflineDrain } from "./verbs/offline-drain.js";
import { addOpenLoop } from "./verbs/open-loop.js";
import { addPage } from "./verbs/page.js";
import { addPairs } from "./verbs/pairs.js";
import { addReceipts } from "./verbs/receipts.js";
import { addRestart } from "./verbs/restart.js";
import { addSchema } from "./verbs/schema.js";
import { addSlowReaders } from "./verbs/slow-readers.js";
import { addSyscalls } from "./verbs/syscalls.js";

/** Runs the verb that the arguments name; the exit code is set, not taken. Codes: exit-codes.ts. */
export async function runBench(
  args: readonly string[],
  name = "bench",
  /** Where help and what went wrong goes; default: stdout and stderr. */
  output: OutputConfiguration = {},
): Promise<void> {
  const { writeOut = (text) => process.stdout.write(text), writeErr = (text) => process.stderr.write(text) } =
    output;
  try {
    const program = benchProgram(name, output);
    refuseUnknownVerb(program, args[0]);
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    // Help is no failure.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    progress.clear();
    const failure = readFailure(error) ?? couldNotRun(error);
    // Commander has told people already.
    if (!(error instanceof CommanderError)) writeErr(`${failure.message}\n`);
    if (asksForJson(args)) writeOut(failureLine(failure));
    // That messages were lost has been found before, and says more than a threshold that is about no row.
    process.exitCode ??= failure.exitCode;
  } finally {
    progress.end();
  }
}

function couldNotRun(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return { code: "failed", message, exitCode: EXIT_COULD_NOT_RUN };
}

/** The default verb would take it for an argument of its own. */
function refuseUnknownVerb(program: Command, verb: string | undefined): void {
  if (verb === undefined || verb.startsWith("-") || verb === "help") return;
  if (program.commands.some((command) => command.name() === verb)) return;
  program.error(`error: unknown command '${verb}' (see: ${program.name()} --help)`);
}

function benchProgram(name: string, output: OutputConfiguration): Command {
  const program = new Command(name).description(
    "Measures Interline beside a bare uWebSockets.js relay, on this machine, in one run.",
  );
  // Before the verbs, which take both over.
  program.exitOverride().configureOutput(output);
  addPairs(program);
  addCompare(program);
  addReceipts(program);
  addSyscalls(program);
  addKernels(program);
  addIdle(program);
  addRestart(program);
  addOpenLoop(program);
  addOfflineDrain(program);
  addConnectStorm(program);
  addDuplicates(program);
  addGroupFanout(program);
  addMixed(program);
  addSlowReaders(program);
  addLoad(program);
  addDiff(program);
  addPage(program);
  addSchema(program);
  return program;
}

/**
 * The benchmark's command line: one verb per file in verbs/; without a verb the
 * canonical workload runs. `npm run bench` and `interline bench` are both this.
 */
import { Command } from "commander";
import { progressDone } from "./report/output.js";
import { addCompare } from "./verbs/compare.js";
import { addConnectStorm } from "./verbs/connect-storm.js";
import { addDiff } from "./verbs/diff.js";
import { addDuplicates } from "./verbs/duplicates.js";
import { EXIT_COULD_NOT_RUN } from "./verbs/exit-codes.js";
import { addGroupFanout } from "./verbs/group-fanout.js";
import { addIdle } from "./verbs/idle.js";
import { addKernels } from "./verbs/kernels.js";
import { addOfflineDrain } from "./verbs/offline-drain.js";
import { addOpenLoop } from "./verbs/open-loop.js";
import { addPage } from "./verbs/page.js";
import { addPairs } from "./verbs/pairs.js";
import { addReceipts } from "./verbs/receipts.js";
import { addRestart } from "./verbs/restart.js";
import { addSchema } from "./verbs/schema.js";
import { addSlowReaders } from "./verbs/slow-readers.js";
import { addSyscalls } from "./verbs/syscalls.js";

/** Runs the verb that the arguments name; the exit code is set, not taken. Codes: verbs/exit-codes.ts. */
export async function runBench(args: readonly string[], name = "bench"): Promise<void> {
  try {
    await benchProgram(name).parseAsync(args, { from: "user" });
  } catch (error) {
    progressDone();
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = EXIT_COULD_NOT_RUN;
  }
}

function benchProgram(name: string): Command {
  const program = new Command(name).description(
    "Measures Interline beside a bare uWebSockets.js relay, on this machine, in one run.",
  );
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
  addSlowReaders(program);
  addDiff(program);
  addPage(program);
  addSchema(program);
  return program;
}

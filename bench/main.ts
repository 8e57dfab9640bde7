/**
 * `npm run bench`: the benchmark's command line. One verb per file in verbs/;
 * without a verb the canonical workload runs. bench/README.md says how to read
 * what it prints. Exit codes are in verbs/exit-codes.ts.
 */
import { Command } from "commander";
import { progressDone } from "./report/output.js";
import { addConnectStorm } from "./verbs/connect-storm.js";
import { addDiff } from "./verbs/diff.js";
import { addDuplicates } from "./verbs/duplicates.js";
import { EXIT_COULD_NOT_RUN } from "./verbs/exit-codes.js";
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

const program = new Command("bench").description(
  "Measures Interline beside a bare uWebSockets.js relay, on this machine, in one run.",
);
addPairs(program);
addReceipts(program);
addSyscalls(program);
addKernels(program);
addIdle(program);
addRestart(program);
addOpenLoop(program);
addOfflineDrain(program);
addConnectStorm(program);
addDuplicates(program);
addSlowReaders(program);
addDiff(program);
addPage(program);
addSchema(program);

try {
  await program.parseAsync();
} catch (error) {
  progressDone();
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = EXIT_COULD_NOT_RUN;
}

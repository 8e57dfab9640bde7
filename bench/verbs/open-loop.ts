/** `open-loop`: latencies at fixed arrival rates, which do not wait for the system. */
import type { Command } from "commander";
import { EXIT_WRONG } from "../exit-codes.js";
import { openLoopMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { isRateClean, type OpenLoopRun, runOpenLoop } from "../measure/open-loop.js";
import { openLoopReport } from "../report/open-loop-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { answeringRelay } from "../systems/answering-relay.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

interface OpenLoopOptions extends CommonOptions {
  readonly only: boolean;
}

export function addOpenLoop(program: Command): void {
  withCommonOptions(program.command("open-loop"))
    .description("latencies at 50, 70 and 90 % of the highest rate that is sustained")
    .option("--only", "Interline alone", false)
    .addHelpText("after", "\nExample:\n  npm run bench -- open-loop --json open-loop.json")
    .action(async (options: OpenLoopOptions) => {
      const { dataDirectory } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.openLoop, options);
      progress.plan(openLoopMs(workload, options.only ? "alone" : "beside relays"), options.progress);
      const run = { workload, dataDirectory, onProgress: progress.step };
      const openLoop = await runOpenLoop({ ...run, system: interline });
      print(openLoopReport(openLoop));
      const relays = options.only ? undefined : await besideRelays(run, openLoop.sustainablePerSec);
      await writeResults(options, environment, { rows: [], openLoop, ...relays });
      const rates = [openLoop, ...Object.values(relays ?? {})].flatMap((result) => result.rates);
      if (!rates.every(isRateClean)) process.exitCode = EXIT_WRONG;
    });
}

/** What answering alone does to latencies at our rates, and what a relay that does not even answer has at its own. */
async function besideRelays(run: Omit<OpenLoopRun, "system">, ofPerSec: number) {
  const openLoopAnswering = await runOpenLoop({ ...run, system: answeringRelay, ofPerSec });
  print(`\n${openLoopReport(openLoopAnswering)}`);
  const openLoopBare = await runOpenLoop({ ...run, system: bareRelay });
  print(`\n${openLoopReport(openLoopBare)}`);
  return { openLoopAnswering, openLoopBare };
}

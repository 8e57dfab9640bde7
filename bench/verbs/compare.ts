/**
 * `compare`: the canonical workload for Interline, the bare relay and every peer
 * that is installed, in one run, in alternating rounds.
 */
import type { Command } from "commander";
import { pairsMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runPairs } from "../measure/pairs.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { pairsReport } from "../report/pairs-report.js";
import { progress } from "../report/progress.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { peers } from "../systems/peers.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { overridden, type PairsOptions, pick, withPairsOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

interface CompareOptions extends PairsOptions, ThresholdOptions {}

export function addCompare(program: Command): void {
  withThresholds(withPairsOptions(program.command("compare")))
    .description("the canonical workload, Interline beside what one would use instead")
    .addHelpText(
      "after",
      `
Peers that are not installed are left out, and named; bench/peers/install.sh installs them.

Examples:
  npm run bench -- compare --json compare.json --html compare.html
  npm run bench -- compare --in-flight 8 --rounds 9`,
    )
    .action(runCompare);
}

async function runCompare(options: CompareOptions): Promise<void> {
  const { dataDirectory } = options;
  const environment = describeEnvironment(dataDirectory);
  print(environmentReport(environment));
  const all = [...peers.values()];
  const present = all.filter((peer) => peer.missing() === undefined);
  for (const peer of all) {
    const missing = peer.missing();
    if (missing !== undefined) print(`left out: ${missing}`);
  }
  const workload = overridden(pick(workloads.compare, options), options);
  const systems = [interline, bareRelay, ...present];
  progress.plan(pairsMs(workload, systems.length), options.progress);
  const rows = await runPairs({ workload, systems, dataDirectory, onProgress: progress.step });
  print(pairsReport(rows));
  await writeResults(options, environment, { rows });
  judgeRows(rows, options);
}

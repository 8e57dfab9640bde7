/**
 * `pairs`, the default verb: the canonical workload for Interline and the bare
 * relay in alternating rounds, then receipts under deep pipelining, then system
 * calls per message, then the kernels.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { limits } from "../../src/rules/limits.js";
import { pairsMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runPairs } from "../measure/pairs.js";
import type { Row } from "../measure/row.js";
import { environmentReport, print, type Results, writeResults } from "../report/output.js";
import { pairsReport, receiptsReport } from "../report/pairs-report.js";
import { progress } from "../report/progress.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { peers } from "../systems/peers.js";
import type { System } from "../systems/system.js";
import { type KernelsWorkload, workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { kernelsSection } from "./kernels.js";
import { overridden, type PairsOptions, pick, withPairsOptions } from "./options.js";
import { systemCallsSection } from "./syscalls.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

interface CanonicalOptions extends PairsOptions, ThresholdOptions {
  readonly only: boolean;
  readonly systems: readonly System[];
}

/** What runs when nothing else is asked for; peers must be asked for, because they must be installed. */
const systems: readonly System[] = [interline, bareRelay];
const systemNames = [...systems.map(({ name }) => name), ...peers.keys()];

export function addPairs(program: Command): void {
  withThresholds(withPairsOptions(program.command("pairs", { isDefault: true })))
    .description("the canonical workload, Interline against the bare relay (default)")
    .option("--only", "nothing after the canonical workload", false)
    .addOption(
      new Option("--systems <list>", `some of ${systemNames.join(",")}`)
        .argParser(systemList)
        .default(systems, systems.map(({ name }) => name).join(",")),
    )
    .addHelpText(
      "after",
      `
Each of the devices has a number of messages under way; each delivery makes its receiver send one
to a random other device. Server and load generator are processes on cores of their own.

Examples:
  npm run bench                                     the whole, in about four minutes
  npm run bench -- --json results.json              and the results as JSON
  npm run bench -- --html results.html              and as a page with plots
  npm run bench -- --threshold 'pairs/8:cpu_ratio<=0.4'   exit code 3 when it is more
  npm run bench -- --in-flight 1,8,64 --only        the canonical workload alone, deeper too
  npm run bench -- --rounds 15 --seconds 5 --only   longer, for a quieter median
  npm run bench -- --only --systems interline,bare-relay,mosquitto
                                                    beside a peer (bench/peers/install.sh)
  npm run bench -- --smoke                          does it work at all?`,
    )
    .action(runCanonical);
}

function systemList(text: string): System[] {
  return text.split(",").map((name) => {
    const peer = peers.get(name);
    const system = peer ?? systems.find((known) => known.name === name);
    if (system === undefined) throw new InvalidArgumentError(`No system is called ${name}.`);
    const missing = peer?.missing();
    if (missing !== undefined) throw new InvalidArgumentError(`${missing}.`);
    return system;
  });
}

async function runCanonical(options: CanonicalOptions): Promise<void> {
  const { dataDirectory } = options;
  const environment = describeEnvironment(dataDirectory);
  print(environmentReport(environment));
  const workload = overridden(pick(workloads.pairs, options), options);
  progress.plan(pairsMs(workload, options.systems.length), options.progress);
  const rows = await runPairs({
    workload,
    systems: options.systems,
    dataDirectory,
    onProgress: progress.step,
  });
  print(pairsReport(rows));
  const more = options.only ? { rows: [] } : await afterwards(builtInOnly(options));
  const results: Results = { ...more, rows: [...rows, ...more.rows] };
  await writeResults(options, environment, results);
  judgeRows(results.rows, options, results.kernels);
}

/** A workload of one's own replaces the canonical one, not what follows it. */
function builtInOnly({ workload: _workload, ...options }: CanonicalOptions): CanonicalOptions {
  return options;
}

async function afterwards(options: CanonicalOptions): Promise<Results> {
  const rows = await receiptRows(options);
  print(`\n${receiptsReport(rows)}\n`);
  const syscalls = await systemCallsSection(options);
  const kernels = await kernelsSection(atNodeSizes(pick(workloads.kernels, options)), options.progress);
  return { rows, ...(syscalls && { syscalls }), kernels };
}

/** Tables as large as a node's; the larger ones take a minute more, and have a verb of their own. */
function atNodeSizes(workload: KernelsWorkload): KernelsWorkload {
  const upTo = (sizes: readonly number[], most: number) => sizes.filter((size) => size <= most).slice(-1);
  return {
    ...workload,
    windowKeys: upTo(workload.windowKeys, limits.dedupWindowCount),
    accounts: upTo(workload.accounts, limits.residentAccountsMax),
  };
}

/** Interline alone under deep pipelining. */
export function receiptRows(options: PairsOptions): Promise<Row[]> {
  const { dataDirectory } = options;
  const workload = overridden(pick(workloads.receipts, options), {
    ...options,
    inFlight: pick(workloads.receipts, options).inFlight,
    rounds: options.rounds ?? pick(workloads.receipts, options).rounds,
  });
  progress.plan(pairsMs(workload, 1), options.progress);
  return runPairs({ workload, systems: [interline], dataDirectory, onProgress: progress.step });
}

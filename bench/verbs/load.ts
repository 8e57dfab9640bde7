/**
 * `load`: a load on a node that is there already, here or elsewhere, from several
 * processes whose results become one. Also `interline load` (src/cli/load.ts).
 */
import { type Command, InvalidArgumentError } from "commander";
import { urlOf } from "../../src/cli/device-client.js";
import { loadConfig } from "../../src/config.js";
import { wrongCommand } from "../exit-codes.js";
import { defaultDataDirectory, describeEnvironment, type Environment } from "../measure/environment.js";
import { runLoad } from "../measure/load.js";
import type { LoadPhase, LoadStatus } from "../measure/load-monitor.js";
import { type LoadTarget, parseTarget } from "../measure/load-target.js";
import { mintTokens, tokensFromFile } from "../measure/load-tokens.js";
import { parseCoreList } from "../process/cores.js";
import { loadReport } from "../report/load-report.js";
import { type OutputFiles, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { ProgressEndpoint } from "../report/progress-endpoint.js";
import { snapshotOf } from "../systems/process-telemetry.js";
import { CONNECTIONS_MAX, type LoadWorkload } from "../workloads/schemas.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { pick, positive, whole, withRunOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

interface LoadOptions extends OutputFiles, ThresholdOptions {
  readonly url?: string;
  readonly config?: string;
  readonly dataDirectory?: string;
  readonly accountPrefix: string;
  readonly tokens?: string;
  readonly processes?: number;
  readonly devices?: number;
  readonly peers?: number;
  readonly rate?: number;
  readonly inFlight?: number;
  readonly payloadBytes?: number;
  readonly seconds?: number;
  readonly warmUpSeconds?: number;
  readonly seed?: number;
  readonly sourceAddresses?: number;
  readonly cores?: readonly number[];
  readonly serverPid?: number;
  readonly progressPort?: number;
  readonly workload?: string;
  readonly smoke: boolean;
  readonly progress: boolean;
}

/** What connecting and draining take, about. */
const CONNECT_MS_PER_DEVICE = 0.5;
const AROUND_MS = 1_000;

export function addLoad(program: Command): void {
  const command = withRunOptions(program.command("load"))
    .description("a load on a node that runs already, here or elsewhere, from several processes")
    .option("-u, --url <url>", "the node, ws:// or wss:// (that of the configuration)")
    .option("-c, --config <file>", "the node's configuration file")
    .option("-d, --data-directory <path>", "where the keys of the node's development brands are")
    .option("--account-prefix <text>", "what the names of its accounts begin with", "load")
    .option("--tokens <file>", "tokens of the brands' issuers, one a line, in place of those keys")
    .option("--processes <n>", "generator processes", whole)
    .option("--devices <n>", "devices, each of an account of its own, with one connection", whole)
    .option("--peers <n>", "devices that each device writes to", whole)
    .option("--rate <n>", "sends per second in all, at times fixed beforehand (open loop)", positiveNumber)
    .option("--in-flight <n>", "messages under way per device instead (closed loop)", whole)
    .option("--payload-bytes <n>", "bytes of each payload", whole)
    .option("--seconds <n>", "length of the measured window", positive)
    .option("--warm-up-seconds <n>", "before it", positive)
    .option("--seed <n>", "where the schedule starts", whole)
    .option(
      "--source-addresses <n>",
      "each process connects from so many loopback addresses of its own",
      whole,
    )
    .option("--cores <list>", "pin the processes to these cores in turn, as in 2,3 or 2-5", coreList)
    .option("--server-pid <pid>", "the node's process on this machine, for its CPU and memory", whole)
    .option("--progress-port <n>", "serve progress as Prometheus text on 127.0.0.1", whole);
  withThresholds(command)
    .addHelpText(
      "after",
      `
Every device signs in, and writes to those after it. What is lost, comes twice, late or to the wrong
device is judged over all processes together. Exit codes: 0 done; 1 could not run; 2 the command or a
workload is wrong; 3 a threshold does not hold; 4 something was lost, repeated, out of order,
misdelivered or left without a receipt.

Examples (with a node started by: interline serve):
  interline load
  interline load --rate 20000 --seconds 60 --processes 4 --threshold 'load:delivery_p99_ms<5'
  interline load --in-flight 8 --json load.json --html load.html
  interline load --server-pid "$(pgrep -f 'interline serve')"
  interline load --devices 30000 --source-addresses 4 --progress-port 9400
  interline load --url wss://chat.example:443 --tokens tokens.txt --devices 500`,
    )
    .action(run);
}

async function run(options: LoadOptions): Promise<void> {
  const config = loadConfig({ config: options.config, dataDirectory: options.dataDirectory });
  const target = parseTarget(options.url ?? urlOf(config));
  const workload = overridden(pick(workloads.load, options), options);
  check(workload, target, options);
  const environment = generatorsEnvironment();
  const endpoint =
    options.progressPort === undefined ? undefined : await ProgressEndpoint.start(options.progressPort);
  const steps = stepsOf(workload);
  progress.plan(
    Object.values(steps).reduce((sum, ms) => sum + ms, 0),
    options.progress,
  );
  progress.step(`load: signing in ${workload.devices} devices at ${target.url}`, steps.connecting);
  try {
    const tokens =
      options.tokens === undefined
        ? await mintTokens(config.dataDirectory, options.accountPrefix, workload.devices)
        : tokensFromFile(options.tokens, workload.devices);
    const load = await runLoad({
      workload,
      target,
      tokens,
      serverPid: options.serverPid,
      cores: options.cores,
      onStatus: (status) => {
        endpoint?.tell(status);
        show(status, steps);
      },
    });
    print(loadReport(load));
    await writeResults(options, environment, { rows: [], load });
    judgeRows([load], options);
  } finally {
    endpoint?.stop();
  }
}

let shown: LoadPhase | undefined;

function show({ phase, deliveredPerSec, deliveryP99Ms }: LoadStatus, steps: Record<LoadPhase, number>): void {
  if (phase !== shown) progress.step(`load: ${phase}`, steps[phase]);
  shown = phase;
  progress.see({ perSec: deliveredPerSec, p99Ms: deliveryP99Ms });
}

function stepsOf({ devices, warmUpMs, windowMs }: LoadWorkload): Record<LoadPhase, number> {
  return {
    connecting: AROUND_MS + devices * CONNECT_MS_PER_DEVICE,
    "warming up": warmUpMs,
    measuring: windowMs,
    draining: AROUND_MS,
  };
}

function overridden(workload: LoadWorkload, options: LoadOptions): LoadWorkload {
  const { rate, inFlight, seconds, warmUpSeconds } = options;
  if (rate !== undefined && inFlight !== undefined) {
    throw wrongCommand("--rate is an open loop and --in-flight a closed one: give one of them");
  }
  return {
    ...workload,
    devices: options.devices ?? workload.devices,
    peers: options.peers ?? workload.peers,
    processes: options.processes ?? workload.processes,
    payloadBytes: options.payloadBytes ?? workload.payloadBytes,
    seed: options.seed ?? workload.seed,
    sourceAddresses: options.sourceAddresses ?? workload.sourceAddresses,
    windowMs: seconds === undefined ? workload.windowMs : seconds * 1000,
    warmUpMs: warmUpSeconds === undefined ? workload.warmUpMs : warmUpSeconds * 1000,
    ...(rate !== undefined && { pace: { ratePerSec: rate } }),
    ...(inFlight !== undefined && { pace: { inFlight } }),
  };
}

/** Throws an error for people about what could not go well. */
function check(workload: LoadWorkload, target: LoadTarget, { serverPid }: LoadOptions): void {
  const { devices, processes, sourceAddresses } = workload;
  if (devices < 2 * processes)
    throw wrongCommand(`${processes} processes want at least ${2 * processes} devices`);
  const each = Math.ceil(devices / processes);
  if (each > CONNECTIONS_MAX) {
    throw wrongCommand(
      `${each} devices in one process are more than its ${CONNECTIONS_MAX}: see --processes`,
    );
  }
  if (sourceAddresses > 0 && !target.isLoopback) {
    throw wrongCommand(`--source-addresses are loopback addresses, which do not reach ${target.host}`);
  }
  if (serverPid !== undefined && snapshotOf(serverPid).rssBytes === 0) {
    throw new Error(`there is no process ${serverPid} on this machine that may be looked at`);
  }
}

/** Nothing is pinned unless asked for, and no node of ours keeps data here. */
function generatorsEnvironment(): Environment {
  return {
    ...describeEnvironment(defaultDataDirectory()),
    serverCore: null,
    generatorCore: null,
    warnings: [],
  };
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e9)) throw new InvalidArgumentError("It must be a number above zero.");
  return value;
}

function coreList(text: string): number[] {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) throw new InvalidArgumentError("As in 2,3 or 2-5.");
  return parseCoreList(text);
}

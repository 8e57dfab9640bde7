/** `open-loop`: latencies at fixed arrival rates, which do not wait for the system. */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import {
  isRateClean,
  type Latency,
  type OpenLoopRate,
  type OpenLoopResult,
  runOpenLoop,
} from "../measure/open-loop.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { figure, table } from "../report/table.js";
import { bareRelay } from "../systems/bare-relay.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { EXIT_WRONG } from "./exit-codes.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

interface OpenLoopOptions extends CommonOptions {
  readonly only: boolean;
}

/** Cores' worth of other work; interrupts and the system's own threads come to less. */
const OTHERS_BUSY_MAX = 0.15;

export function addOpenLoop(program: Command): void {
  withCommonOptions(program.command("open-loop"))
    .description("latencies at 50, 70 and 90 % of the highest rate that is sustained")
    .option("--only", "Interline alone", false)
    .addHelpText("after", "\nExample:\n  npm run bench -- open-loop --json open-loop.json")
    .action(async (options: OpenLoopOptions) => {
      const { dataDirectory } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const run = { workload: pick(workloads.openLoop, options), dataDirectory, onProgress: progress };
      const openLoop = await runOpenLoop({ ...run, system: interline });
      print(openLoopReport(openLoop));
      const bare = options.only ? undefined : await runOpenLoop({ ...run, system: bareRelay });
      if (bare !== undefined) print(`\n${openLoopReport(bare)}`);
      const sections = { openLoop, ...(bare && { openLoopBare: bare }) };
      await writeResults(options, environment, { rows: [], ...sections });
      const rates = [...openLoop.rates, ...(bare?.rates ?? [])];
      if (!rates.every(isRateClean)) process.exitCode = EXIT_WRONG;
    });
}

function openLoopReport(result: OpenLoopResult): string {
  const { system, devices, payloadBytes, seed, scheduleHash, sustainablePerSec } = result;
  return [
    `${system}: ${devices} devices, ${payloadBytes}-byte payloads; seed ${seed}, schedule ${scheduleHash}`,
    `sustains ${figure(sustainablePerSec)} sends per second`,
    "",
    latencyTable(result.rates),
    "",
    table(result.rates, [
      { head: "of it", cell: percent },
      { head: "lost", cell: (rate) => figure(rate.lost) },
      { head: "dup", cell: (rate) => figure(rate.duplicated) },
      { head: "reord", cell: (rate) => figure(rate.reordered) },
      { head: "server busy", cell: (rate) => figure(rate.serverBusy) },
      { head: "generator busy", cell: (rate) => figure(rate.generatorBusy) },
      { head: "others busy", cell: (rate) => figure(rate.othersBusy) },
      { head: "lag ms p99", cell: (rate) => figure(rate.generatorLagP99Ms) },
      { head: "max", cell: (rate) => figure(rate.generatorLagMaxMs) },
    ]),
    ...doubts(result).map((text) => `\n${text}`),
  ].join("\n");
}

function latencyTable(rates: readonly OpenLoopRate[]): string {
  const four = (latency: Latency | null) =>
    latency === null
      ? "–"
      : [latency.p50Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(figure).join(" / ");
  return table(rates, [
    { head: "of it", cell: percent },
    { head: "sends/s", cell: (rate) => figure(rate.ratePerSec) },
    { head: "achieved", cell: (rate) => figure(rate.achievedPerSec) },
    { head: "delivery ms 50/99/99.9/max", cell: (rate) => four(rate.delivery) },
    { head: "receipt ms 50/99/99.9/max", cell: (rate) => four(rate.receipt) },
  ]);
}

function percent({ share }: OpenLoopRate): string {
  return `${Math.round(share * 100)} %`;
}

function doubts({ system, generatorWasLimit, rates, search }: OpenLoopResult): string[] {
  const texts: string[] = [];
  if ([...search, ...rates].some(({ othersBusy }) => (othersBusy ?? 0) > OTHERS_BUSY_MAX)) {
    texts.push(`warning: ${system}: something else ran on this machine: run it again when it is quiet`);
  }
  if (generatorWasLimit) {
    texts.push(`warning: ${system}: the generator ended the search: the system may sustain more`);
  }
  for (const rate of rates) {
    const name = `${system} at ${percent(rate)}`;
    if (rate.generatorWasLimit) {
      texts.push(`warning: ${name}: the generator was late or busy: it is part of these latencies`);
    }
    if (rate.gaveUp) texts.push(`warning: ${name}: the rate was not sustained and its arrivals ended early`);
    if (rate.refused > 0)
      texts.push(`warning: ${name}: ${figure(rate.refused)} sends were refused and repeated`);
    if (!isRateClean(rate)) {
      const { lost, duplicated, reordered, misdelivered, unreceipted } = rate;
      texts.push(
        `WRONG: ${name}: ${lost} lost, ${duplicated} duplicated, ${reordered} reordered, ` +
          `${misdelivered} misdelivered, ${unreceipted} without a receipt`,
      );
    }
  }
  return texts;
}

/** `connect-storm`: 15,000 sign-ins at once beside a paced load. */
import type { Command } from "commander";
import { type ConnectStormResult, runConnectStorm, type StormWindow } from "../measure/connect-storm.js";
import { describeEnvironment } from "../measure/environment.js";
import type { Latency } from "../measure/open-loop.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { figure, table } from "../report/table.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { EXIT_WRONG } from "./exit-codes.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

/** The generator's lag is no part of the server's latency below this. */
const LAG_P99_MS_MAX = 1;

export function addConnectStorm(program: Command): void {
  withCommonOptions(program.command("connect-storm"))
    .description("15,000 sign-ins at once: time until all are in, and what established devices notice")
    .addHelpText(
      "after",
      "\nServer and generator each need a file descriptor per connection (ulimit -n).\n\nExample:\n  npm run bench -- connect-storm",
    )
    .action(async (options: CommonOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const connectStorm = await runConnectStorm({
        workload: pick(workloads.connectStorm, options),
        system: interline,
        dataDirectory: options.dataDirectory,
        onProgress: progress,
      });
      print(connectStormReport(connectStorm));
      await writeResults(options, environment, { rows: [], connectStorm });
      const { lost, duplicated, reordered, misdelivered } = connectStorm;
      if (lost + duplicated + reordered + misdelivered > 0) process.exitCode = EXIT_WRONG;
    });
}

function connectStormReport(result: ConnectStormResult): string {
  const { signIns, signInsAtOnce, sourceAddresses, seed, scheduleHash, before, during } = result;
  const four = (latency: Latency | null) =>
    latency === null
      ? "–"
      : [latency.p50Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(figure).join(" / ");
  const windows = [
    { name: "before", window: before },
    { name: "during", window: during },
  ];
  const cell = (show: (window: StormWindow) => string) => (row: (typeof windows)[number]) => show(row.window);
  const late = during.generatorLagP99Ms > LAG_P99_MS_MAX;
  return [
    `${figure(signIns)} sign-ins, ${figure(signInsAtOnce)} at once, from ${sourceAddresses} addresses`,
    `  all welcomed after  ${figure(result.allWelcomedMs)} ms (${figure((signIns / result.allWelcomedMs) * 1000)}/s)`,
    `  refused             ${figure(result.refused)}`,
    ...Object.entries(result.refusalReasons).map(([reason, count]) => `    ${figure(count)} × ${reason}`),
    "",
    `established: ${figure(result.establishedDevices)} devices, ${figure(result.ratePerSec)} sends per second; seed ${seed}, schedule ${scheduleHash}`,
    "",
    table(windows, [
      { head: "", cell: (row) => row.name, align: "left" },
      { head: "delivery ms 50/99/99.9/max", cell: cell(({ delivery }) => four(delivery)) },
      { head: "receipt ms 50/99/99.9/max", cell: cell(({ receipt }) => four(receipt)) },
      { head: "server busy", cell: cell(({ serverBusy }) => figure(serverBusy)) },
      { head: "lag p99", cell: cell(({ generatorLagP99Ms }) => figure(generatorLagP99Ms)) },
    ]),
    "",
    `delivery p99 during, × before: ${figure(result.deliveryP99Ratio)}`,
    `lost ${result.lost}, duplicated ${result.duplicated}, reordered ${result.reordered}, misdelivered ${result.misdelivered}`,
    ...(late ? ["warning: the generator was late during the storm: it is part of these latencies"] : []),
  ].join("\n");
}

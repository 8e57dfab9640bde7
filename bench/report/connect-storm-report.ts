/** What a connect storm prints: the storm, and what established devices noticed of it. */
import type { ConnectStormResult, StormWindow } from "../measure/connect-storm.js";
import type { Latency } from "../measure/open-loop.js";
import { figure, table, wrapped } from "./table.js";

/** The generator's lag is no part of the server's latency below this. */
const LAG_P99_MS_MAX = 1;

export function connectStormReport(result: ConnectStormResult): string {
  const { system, signIns, signInsAtOnce, sourceAddresses, seed, scheduleHash, before, during, vanishing } =
    result;
  const four = (latency: Latency | null) =>
    latency === null
      ? "–"
      : [latency.p50Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(figure).join(" / ");
  const windows = [
    { name: "before", window: before },
    { name: "during", window: during },
    { name: "as all vanish", window: vanishing },
  ];
  const cell = (show: (window: StormWindow) => string) => (row: (typeof windows)[number]) => show(row.window);
  const late = during.generatorLagP99Ms > LAG_P99_MS_MAX;
  return [
    `${system}: ${figure(signIns)} newcomers, ${figure(signInsAtOnce)} at once, from ${sourceAddresses} addresses`,
    `  all in after  ${figure(result.allWelcomedMs)} ms (${figure((signIns / result.allWelcomedMs) * 1000)}/s)`,
    `  refused       ${figure(result.refused)}`,
    ...Object.entries(result.refusalReasons).map(([reason, count]) =>
      wrapped(`    ${figure(count)} × ${reason}`),
    ),
    "",
    wrapped(
      `established: ${figure(result.establishedDevices)} devices, ${figure(result.ratePerSec)} sends per second; ` +
        `seed ${seed}, schedule ${scheduleHash}`,
    ),
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

/** What an open-loop run prints: latencies at parts of the sustainable rate, what was right, what to doubt. */
import { isRateClean, type Latency, type OpenLoopRate, type OpenLoopResult } from "../measure/open-loop.js";
import { figure, table, wrapped } from "./table.js";

/** Cores' worth of other work; interrupts and the system's own threads come to less. */
export const OTHERS_BUSY_MAX = 0.15;

export function openLoopReport(result: OpenLoopResult): string {
  const { system, devices, payloadBytes, seed, scheduleHash, sustainablePerSec, search, rates } = result;
  const rounds = rates[0]?.rounds ?? 0;
  return [
    `${system}: ${devices} devices, ${payloadBytes}-byte payloads; seed ${seed}, schedule ${scheduleHash}`,
    search.length > 0
      ? `sustains ${figure(sustainablePerSec)} sends per second`
      : `at parts of what the system before sustains: ${figure(sustainablePerSec)} sends per second`,
    `latencies: medians of ${rounds} rounds`,
    "",
    latencyTable(rates),
    "",
    table(rates, [
      { head: "of it", cell: percent },
      { head: "p99 of rounds", cell: p99Range },
      { head: "lost", cell: (rate) => figure(rate.lost) },
      { head: "dup", cell: (rate) => figure(rate.duplicated) },
      { head: "reord", cell: (rate) => figure(rate.reordered) },
      { head: "server busy", cell: (rate) => figure(rate.serverBusy) },
      { head: "generator busy", cell: (rate) => figure(rate.generatorBusy) },
      { head: "others busy", cell: (rate) => figure(rate.othersBusy) },
      { head: "lag ms", cell: (rate) => figure(rate.generatorLagP99Ms) },
      { head: "read", cell: (rate) => figure(rate.generatorReadLagP99Ms) },
    ]),
    ...doubts(result).map((text) => `\n${wrapped(text)}`),
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

function p99Range({ deliveryP99MsMin, deliveryP99MsMax }: OpenLoopRate): string {
  return `${figure(deliveryP99MsMin)} – ${figure(deliveryP99MsMax)}`;
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

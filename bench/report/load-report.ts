/** What a load run prints, and the table of it in the page. */
import type { LoadResult } from "../measure/load-result.js";
import { isClean } from "../measure/row.js";
import type { ResultLoad } from "./schema.js";
import { type Column, figure, table, wrapped } from "./table.js";

export function loadReport(result: LoadResult): string {
  const { url, processes, devices, peers, payloadBytes, seed, scheduleHash, windowMs } = result;
  const schedule = scheduleHash === null ? "" : `, schedule ${scheduleHash}`;
  return [
    wrapped(
      `${url}: ${figure(devices)} devices, ${figure(peers)} peers each, in ${processes} processes; ` +
        `${payloadBytes}-byte payloads, ${paceOf(result)}, ${figure(windowMs / 1000)} s; seed ${seed}${schedule}`,
    ),
    "",
    table([result], loadColumns),
    "",
    table([result], correctnessColumns),
    "",
    ...nodeLines(result),
    ...generatorLines(result),
    ...loadDoubts(result).map((text) => `\n${wrapped(text)}`),
  ].join("\n");
}

function paceOf({ ratePerSec, inFlight }: ResultLoad): string {
  return ratePerSec === null ? `${inFlight} in flight per device` : `${figure(ratePerSec)} sends per second`;
}

export const loadColumns: readonly Column<ResultLoad>[] = [
  { head: "durability", cell: ({ durability }) => durability ?? "–", align: "left" },
  { head: "delivered/s", cell: (row) => figure(row.deliveredPerSec) },
  {
    head: "delivery ms 50/99/99.9/max",
    cell: (row) => four(row.deliveryP50Ms, row.deliveryP99Ms, row.deliveryP999Ms, row.deliveryMaxMs),
  },
  {
    head: "receipt ms 50/99/99.9/max",
    cell: (row) => four(row.receiptP50Ms, row.receiptP99Ms, row.receiptP999Ms, row.receiptMaxMs),
  },
];

export const correctnessColumns: readonly Column<ResultLoad>[] = [
  { head: "sent", cell: (row) => figure(row.sent) },
  { head: "lost", cell: (row) => figure(row.lost) },
  { head: "duplicated", cell: (row) => figure(row.duplicated) },
  { head: "reordered", cell: (row) => figure(row.reordered) },
  { head: "misdelivered", cell: (row) => figure(row.misdelivered) },
  { head: "unreceipted", cell: (row) => figure(row.unreceipted) },
  { head: "refused", cell: (row) => figure(row.refused) },
];

function four(...milliseconds: readonly (number | null)[]): string {
  return milliseconds.includes(null) ? "–" : milliseconds.map(figure).join(" / ");
}

const MiB = 1024 * 1024;

function nodeLines(result: ResultLoad): string[] {
  const { serverCpuUsPerMsg, serverBusy, serverRssBytes, diskBytesPerMsg } = result;
  if (serverRssBytes === null) return ["node: not seen from here (--server-pid, on its own machine)"];
  return [
    wrapped(
      `node: ${figure(serverCpuUsPerMsg)} µs of CPU per message, ${figure(serverBusy)} cores busy, ` +
        `${figure(serverRssBytes / MiB)} MiB, ${figure(diskBytesPerMsg)} bytes to storage per message`,
    ),
  ];
}

function generatorLines(result: ResultLoad): string[] {
  const { generatorCpuUsPerMsg, generatorBusy, generatorLagP99Ms, generatorLagMaxMs, generatorSleeps } =
    result;
  const lag =
    generatorLagP99Ms === null
      ? ""
      : `, lag p99 ${figure(generatorLagP99Ms)} ms, max ${figure(generatorLagMaxMs)} ms` +
        (generatorSleeps ? " (they share cores, and sleep up to a millisecond)" : "");
  return [
    wrapped(
      `generators: ${figure(generatorCpuUsPerMsg)} µs of CPU per message, ` +
        `the busiest ${figure(100 * generatorBusy)} %${lag}`,
    ),
  ];
}

/** What a reader should not overlook. */
export function loadDoubts(result: ResultLoad): string[] {
  const { generatorWasLimit, gaveUp, unsent, refused, stale } = result;
  const texts: string[] = [];
  if (generatorWasLimit) {
    texts.push(
      "warning: the generators were the limit: they were late or busy, and that is part of these figures; " +
        "more --processes, or another machine, would tell more of the node",
    );
  }
  if (gaveUp) texts.push("warning: the rate was not sustained, and sends ended before the window did");
  else if (unsent > 0)
    texts.push(`warning: ${figure(unsent)} sends were due and not made when the window closed`);
  if (refused > 0) texts.push(`warning: ${figure(refused)} sends were refused for overload and repeated`);
  if (stale > 0)
    texts.push(`${figure(stale)} messages from before this run were delivered first, and not judged`);
  if (!isClean(result)) {
    const { lost, duplicated, reordered, misdelivered, unreceipted } = result;
    texts.push(
      `WRONG: ${lost} lost, ${duplicated} duplicated, ${reordered} reordered, ` +
        `${misdelivered} misdelivered, ${unreceipted} without a receipt`,
    );
  }
  return texts;
}

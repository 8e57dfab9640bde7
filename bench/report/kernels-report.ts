/** What a kernels run prints: time per id, and how many times as long as the kernel takes. */
import type { DedupResult } from "../kernels/dedup.js";
import { type Column, figure, table } from "./table.js";

export function dedupReport(results: readonly DedupResult[]): string {
  const { windowKeys = 0, batchKeys = 0 } = results[0] ?? {};
  return [
    `dedup: is this id known? Window of ${windowKeys} ids in two generations, batches of ${batchKeys}`,
    "",
    table(results, dedupColumns),
    "",
  ].join("\n");
}

export const dedupColumns: readonly Column<DedupResult>[] = [
  { head: "", cell: (row) => row.contestant, align: "left" },
  { head: "ns per id", cell: (row) => figure(row.nsPerKey) },
  { head: "min – max", cell: (row) => `${figure(row.nsPerKeyMin)} – ${figure(row.nsPerKeyMax)}` },
  { head: "× kernel", cell: (row) => figure(row.timesKernel) },
];

/** What a kernels run prints: a table for each kernel, with time per unit, and memory where entries are held. */
import type { ResultKernel } from "./schema.js";
import { type Column, figure, table, wrapped } from "./table.js";

type Kernel = ResultKernel["kernel"];

/** In the order of a turn, which is that of the report. */
const titles: Readonly<Record<Kernel, string>> = {
  parse: "parse: a turn of sends that are all repeats, read whole and found in the window",
  dedup: "dedup: is this id known? The window has two generations of so many ids",
  route: "route: accounts found and held against their rosters, among so many in the table",
  gather: "gather: sequences given, and the frames of each device laid out; sixteen devices a send",
  turn: "turn: parse, dedup, route and gather of the canonical workload's sends",
  crc: "crc: of so many bytes at once, as of a block of the journal",
};

const sizeHeads: Partial<Record<Kernel, string>> = { dedup: "window", route: "accounts", crc: "bytes" };

export function kernelsReport(results: readonly ResultKernel[]): string {
  return (Object.keys(titles) as Kernel[])
    .map((kernel) => results.filter((result) => result.kernel === kernel))
    .filter((rows) => rows.length > 0)
    .map((rows) => `${wrapped(titleOf(rows[0]!))}\n\n${table(rows, columnsOf(rows[0]!.kernel))}\n`)
    .join("\n");
}

function titleOf({ kernel, batchKeys }: ResultKernel): string {
  return kernel === "crc" ? titles.crc : `${titles[kernel]}; ${figure(batchKeys)} a call`;
}

const contestant: Column<ResultKernel> = { head: "", cell: (row) => row.contestant, align: "left" };
const memory: Column<ResultKernel> = { head: "bytes each", cell: (row) => figure(row.bytesPerEntry) };
const times: readonly Column<ResultKernel>[] = [
  { head: "per", cell: ({ unit = "id" }) => unit, align: "left" },
  { head: "ns", cell: (row) => figure(row.nsPerKey) },
  { head: "min – max", cell: (row) => `${figure(row.nsPerKeyMin)} – ${figure(row.nsPerKeyMax)}` },
  { head: "× kernel", cell: (row) => figure(row.timesKernel) },
];

function columnsOf(kernel: Kernel): Column<ResultKernel>[] {
  const head = sizeHeads[kernel];
  const size: Column<ResultKernel>[] = head === undefined ? [] : [{ head, cell: sizeOf }];
  return [...size, contestant, ...times, ...(kernel === "dedup" || kernel === "route" ? [memory] : [])];
}

function sizeOf({ windowKeys }: ResultKernel): string {
  return windowKeys === 0 ? "" : figure(windowKeys);
}

/** Of one table for all kernels. */
export const allKernelColumns: readonly Column<ResultKernel>[] = [
  { head: "", cell: ({ kernel }) => kernel, align: "left" },
  { head: "size", cell: sizeOf },
  contestant,
  ...times,
  memory,
];

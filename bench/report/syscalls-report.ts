/** What a syscalls run prints: calls per message by name, a column for each system and number in flight. */
import type { SystemCallsResult } from "../measure/syscalls.js";
import { type Column, table } from "./table.js";

/** Rarer calls than this are summed up. */
const SHOWN_MIN = 0.005;

interface Call {
  readonly name: string;
  readonly value: (result: SystemCallsResult) => number;
}

interface SystemCallsTable {
  readonly rows: readonly Call[];
  readonly columns: readonly Column<Call>[];
}

export function systemCallsReport(results: readonly SystemCallsResult[]): string {
  const { rows, columns } = systemCallsTable(results);
  return `system calls per delivered message\n\n${table(rows, columns)}\n`;
}

/** Without results there is no row either. */
export function systemCallsTable(results: readonly SystemCallsResult[]): SystemCallsTable {
  const names = [...new Set(results.flatMap(({ byName }) => Object.keys(byName)))];
  const shown = names.filter((name) => results.some(({ byName }) => (byName[name] ?? 0) >= SHOWN_MIN));
  const per = (value: number) => (value === 0 ? "–" : value.toFixed(3));
  const rest = ({ byName }: SystemCallsResult) =>
    names.filter((name) => !shown.includes(name)).reduce((sum, name) => sum + (byName[name] ?? 0), 0);
  const rows: Call[] = [
    ...shown.map((name) => ({ name, value: (result: SystemCallsResult) => result.byName[name] ?? 0 })),
    { name: "others", value: rest },
    { name: "all", value: (result) => result.callsPerMessage },
  ];
  return {
    rows: results.length === 0 ? [] : rows,
    columns: [
      { head: "", cell: (row) => row.name, align: "left" },
      ...results.map((result) => ({
        head: `${result.system}, ${result.inFlight} in flight`,
        cell: (row: Call) => per(row.value(result)),
      })),
    ],
  };
}

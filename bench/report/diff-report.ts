/** What `diff` prints: what changed by more than noise, or everything. */
import { type Change, type Diff, ROUNDS_MIN } from "./diff.js";
import { figure, table, wrapped } from "./table.js";

export function diffReport({ changes, onlyBefore, onlyAfter, caveats }: Diff, all: boolean): string {
  const changed = changes.filter(({ verdict }) => verdict === "better" || verdict === "worse");
  const count = (verdict: Change["verdict"]) => changes.filter((change) => change.verdict === verdict).length;
  const shown = all ? changes : changed;
  return [
    ...caveats.map((text) => wrapped(`warning: ${text}`)),
    ...onlyBefore.map((row) => `only before: ${row}`),
    ...onlyAfter.map((row) => `only after: ${row}`),
    ...(shown.length === 0 ? [] : [changeTable(shown)]),
    `${count("better")} better, ${count("worse")} worse, ${count("same")} within noise` +
      (count("not judged") === 0
        ? ""
        : `, ${count("not judged")} not judged: fewer than ${ROUNDS_MIN} rounds have the figure`),
  ].join("\n");
}

function changeTable(changes: readonly Change[]): string {
  return table(changes, [
    { head: "row", cell: ({ row }) => row, align: "left" },
    { head: "metric", cell: ({ metric }) => metric, align: "left" },
    { head: "before", cell: ({ before }) => figure(before) },
    { head: "after", cell: ({ after }) => figure(after) },
    { head: "after ÷ before", cell: ({ ratio }) => figure(ratio) },
    { head: "noise ±", cell: ({ noise }) => figure(noise) },
    { head: "", cell: ({ verdict }) => verdict, align: "left" },
  ]);
}

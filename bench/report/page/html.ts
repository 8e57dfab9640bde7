/** Text and tables as HTML. Whatever comes from outside goes through `escaped`. */
import type { Column } from "../table.js";

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}

/** The columns of a plain text table, as an HTML table with a heading. */
export function tableSection<T>(
  heading: string,
  rows: readonly T[] | undefined,
  columns: readonly Column<T>[],
): string {
  if (rows === undefined || rows.length === 0) return "";
  const alignment = ({ align }: Column<T>) => (align === "left" ? ' class="left"' : "");
  const head = columns.map((column) => `<th scope="col"${alignment(column)}>${escaped(column.head)}</th>`);
  const body = rows.map((row) => {
    const cells = columns.map((column) => `<td${alignment(column)}>${escaped(column.cell(row))}</td>`);
    return `<tr>${cells.join("")}</tr>`;
  });
  return `<section><h2>${escaped(heading)}</h2>
<div class="scroll"><table><thead><tr>${head.join("")}</tr></thead>
<tbody>${body.join("\n")}</tbody></table></div></section>`;
}

/** A value inside a script element: nothing in it can end the element. */
export function jsonScript(id: string, value: unknown): string {
  const json = JSON.stringify(value).replaceAll("<", "\\u003c");
  return `<script type="application/json" id="${id}">${json}</script>`;
}

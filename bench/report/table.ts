/** Plain text tables of at most 100 columns: names left, numbers right. Heads are broken where a table would be wider. */

export const TABLE_COLUMNS_MAX = 100;

export interface Column<T> {
  readonly head: string;
  readonly cell: (row: T) => string;
  readonly align?: "left" | "right";
}

export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const body = rows.map((row) => columns.map(({ cell }) => cell(row)));
  const bodyWidths = columns.map((_, at) => Math.max(0, ...body.map((line) => line[at]!.length)));
  const heads = columns.map(({ head }) => [head]);
  const fits = widthOf(heads.map(([head = ""], at) => Math.max(head.length, bodyWidths[at]!)));
  const headLines =
    fits <= TABLE_COLUMNS_MAX ? heads : columns.map(({ head }, at) => broken(head, bodyWidths[at]!));
  const widths = headLines.map((lines, at) => Math.max(bodyWidths[at]!, ...lines.map((line) => line.length)));
  const format = (line: readonly string[]) =>
    line
      .map((text, at) => {
        const width = widths[at] ?? 0;
        return columns[at]?.align === "left" ? text.padEnd(width) : text.padStart(width);
      })
      .join("  ")
      .trimEnd();
  const height = Math.max(0, ...headLines.map((lines) => lines.length));
  const head = Array.from({ length: height }, (_, line) =>
    headLines.map((lines) => lines[line - height + lines.length] ?? ""),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [...head.map(format), rule, ...body.map(format)].join("\n");
}

function widthOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width + 2, -2);
}

/** A head in lines no longer than its column's cells, where its words allow that. */
function broken(head: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of head.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A text in lines as short as a table's, all but the first indented. */
export function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= TABLE_COLUMNS_MAX) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else lines.push(line === undefined ? word : `  ${word}`);
  }
  return lines.join("\n");
}

/** A number with as many digits as say something; a dash for none. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 10 ? 1 : 2);
}

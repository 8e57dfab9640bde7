/** Plain text tables of at most 100 columns: the first columns left, numbers right. */

export const TABLE_COLUMNS_MAX = 100;

export interface Column<T> {
  readonly head: string;
  readonly cell: (row: T) => string;
  readonly align?: "left" | "right";
}

export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ cell }) => cell(row)))];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
  const format = (line: readonly string[]) =>
    line
      .map((text, at) => {
        const width = widths[at] ?? 0;
        return columns[at]?.align === "left" ? text.padEnd(width) : text.padStart(width);
      })
      .join("  ")
      .trimEnd();
  const [head = [], ...body] = cells;
  return [format(head), widths.map((width) => "─".repeat(width)).join("  "), ...body.map(format)].join("\n");
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

/**
 * Bars by system, as SVG that needs no script: widths are percentages, so that
 * text keeps its size on every screen. A thin line spans the rounds from the
 * least to the most.
 *
 *   pairs, 8 in flight
 *   interline                    412,345
 *   ████████████████████──┼──
 */

import type { ResultRound, ResultRow } from "../schema.js";
import { figure } from "../table.js";
import { colourOf } from "./colours.js";
import { escaped } from "./html.js";

export interface BarChart {
  readonly title: string;
  readonly ofRow: (row: ResultRow) => number;
  readonly ofRound: (round: ResultRound) => number;
}

const HEADING_HEIGHT = 30;
const BAR_HEIGHT = 38;

/** Rows that share a workload and a number in flight stand together. */
export function barFigure(chart: BarChart, rows: readonly ResultRow[]): string {
  const most = Math.max(...rows.flatMap((row) => [chart.ofRow(row), ...row.rounds.map(chart.ofRound)]));
  const percent = (value: number) => `${((100 * value) / most).toFixed(2)}%`;
  const parts: string[] = [];
  let y = 0;
  let heading = "";
  for (const row of rows) {
    if (headingOf(row) !== heading) {
      heading = headingOf(row);
      parts.push(`<text class="heading" x="0" y="${y + 20}">${escaped(heading)}</text>`);
      y += HEADING_HEIGHT;
    }
    const [least, greatest] = extremes(row.rounds.map(chart.ofRound));
    parts.push(
      `<text x="0" y="${y + 12}">${escaped(row.system)}</text>`,
      `<text x="100%" y="${y + 12}" text-anchor="end">${figure(chart.ofRow(row))}</text>`,
      `<rect x="0" y="${y + 17}" width="${percent(chart.ofRow(row))}" height="12" fill="var(--series-${colourOf(row.system, rows)})"/>`,
      `<line class="spread" x1="${percent(least)}" x2="${percent(greatest)}" y1="${y + 23}" y2="${y + 23}"/>`,
    );
    y += BAR_HEIGHT;
  }
  return `<figure><figcaption>${escaped(chart.title)}</figcaption>
<svg class="bars" role="img" aria-label="${escaped(chart.title)}" width="100%" height="${y}">${parts.join("\n")}</svg></figure>`;
}

export function headingOf({ workload, inFlight }: ResultRow): string {
  return `${workload}, ${figure(inFlight)} in flight`;
}

function extremes(values: readonly number[]): [number, number] {
  return values.length === 0 ? [0, 0] : [Math.min(...values), Math.max(...values)];
}

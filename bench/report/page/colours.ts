/** Which colour a system has, the same in every plot: the order in which the rows name them. */
import type { ResultRow } from "../schema.js";

/** Custom properties --series-0 and so on, defined in style.ts. */
const COLOURS = 6;

export function colourOf(system: string, rows: readonly ResultRow[]): number {
  const systems = [...new Set(rows.map((row) => row.system))];
  return systems.indexOf(system) % COLOURS;
}

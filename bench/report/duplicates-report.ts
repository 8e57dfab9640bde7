/** What a duplicates run prints: pairs with and without repeats, and what a repeat costs. */
import type { DuplicatesResult } from "../measure/duplicates.js";
import { pairsReport } from "./pairs-report.js";
import { figure } from "./table.js";

export function duplicatesReport(results: readonly DuplicatesResult[]): string {
  const seed = results[0]?.seed ?? 0;
  const lines = results.map(
    ({ inFlight, repeatedPerMsg, ratioToPlain, ratioToPlainMin, ratioToPlainMax }) =>
      `${inFlight} in flight: ${figure(100 * repeatedPerMsg)} % repeated; CPU per message × plain ` +
      `${figure(ratioToPlain)} (${figure(ratioToPlainMin)} – ${figure(ratioToPlainMax)})`,
  );
  const rows = results.flatMap(({ plain, repeating }) => [plain, repeating]);
  return [pairsReport(rows), "", ...lines, `seed ${seed}`].join("\n");
}

/** What was found damaged: told once per place and run, and counted. */
import type { CorruptionReport } from "./shapes.js";

const REMEMBERED_MAX = 10_000;

export class CorruptionReports {
  readonly #tell: ((report: CorruptionReport) => void) | undefined;
  readonly #places = new Set<string>();

  constructor(tell: ((report: CorruptionReport) => void) | undefined) {
    this.#tell = tell;
  }

  add(report: CorruptionReport): void {
    const address = report.address ? Buffer.from(report.address).toString("hex") : "";
    const place = `${report.table} ${address} ${report.number ?? ""}`;
    if (this.#places.has(place) || this.#places.size >= REMEMBERED_MAX) return;
    this.#places.add(place);
    this.#tell?.(report);
  }

  get count(): number {
    return this.#places.size;
  }
}

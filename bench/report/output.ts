/**
 * Where results go: a readable report on stdout, with `--json FILE` one JSON
 * object (schema.ts) and with `--html FILE` a page (page/page.ts).
 */
import { writeFile } from "node:fs/promises";
import type { KernelResult } from "../kernels/result.js";
import type { ConnectStormResult } from "../measure/connect-storm.js";
import type { DuplicatesResult } from "../measure/duplicates.js";
import type { Environment } from "../measure/environment.js";
import type { IdleResult } from "../measure/idle.js";
import type { LoadResult } from "../measure/load-result.js";
import type { MixedResult } from "../measure/mixed.js";
import type { OfflineDrainResult } from "../measure/offline-drain.js";
import type { OpenLoopResult } from "../measure/open-loop.js";
import type { RestartResult } from "../measure/restart.js";
import type { Row } from "../measure/row.js";
import type { SlowReadersResult } from "../measure/slow-readers.js";
import type { SystemCallsResult } from "../measure/syscalls.js";
import { environmentLines } from "./environment-report.js";
import { resultsPage } from "./page/page.js";
import { progress } from "./progress.js";
import { type ResultsFile, SCHEMA } from "./schema.js";
import { wrapped } from "./table.js";

export interface Results {
  readonly rows: readonly Row[];
  readonly syscalls?: readonly SystemCallsResult[];
  readonly kernels?: readonly KernelResult[];
  readonly idle?: readonly IdleResult[];
  readonly restart?: RestartResult;
  readonly openLoop?: OpenLoopResult;
  readonly openLoopAnswering?: OpenLoopResult;
  readonly openLoopBare?: OpenLoopResult;
  readonly offlineDrain?: OfflineDrainResult;
  readonly connectStorm?: ConnectStormResult;
  readonly connectStormAnswering?: ConnectStormResult;
  readonly duplicates?: readonly DuplicatesResult[];
  readonly slowReaders?: SlowReadersResult;
  readonly mixed?: MixedResult;
  readonly load?: LoadResult;
}

/** The files that the command line asked for. */
export interface OutputFiles {
  readonly json?: string;
  readonly html?: string;
}

export async function writeResults(
  { json, html }: OutputFiles,
  environment: Environment,
  results: Results,
): Promise<void> {
  const content: ResultsFile = { schema: SCHEMA, environment, ...results };
  if (json !== undefined) await writeFile(json, `${JSON.stringify(content, null, 2)}\n`);
  if (html !== undefined) await writeFile(html, resultsPage(content));
}

export function environmentReport(environment: Environment): string {
  return `${environmentLines(environment).map(wrapped).join("\n")}\n`;
}

export function print(text: string): void {
  progress.clear();
  process.stdout.write(`${text}\n`);
}

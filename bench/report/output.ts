/**
 * Where results go: a readable report on stdout, progress on stderr when that is
 * a terminal, and with `--json FILE` one JSON object:
 *
 *   { schema: "interline-bench/1", environment, rows, syscalls?, kernels?, idle?, … }
 *
 * The schema's number rises when a field changes its meaning or goes.
 */
import { writeFile } from "node:fs/promises";
import type { DedupResult } from "../kernels/dedup.js";
import type { ConnectStormResult } from "../measure/connect-storm.js";
import type { DuplicatesResult } from "../measure/duplicates.js";
import type { Environment } from "../measure/environment.js";
import type { IdleResult } from "../measure/idle.js";
import type { OfflineDrainResult } from "../measure/offline-drain.js";
import type { OpenLoopResult } from "../measure/open-loop.js";
import type { RestartResult } from "../measure/restart.js";
import type { Row } from "../measure/row.js";
import type { SlowReadersResult } from "../measure/slow-readers.js";
import type { SystemCallsResult } from "../measure/syscalls.js";
import { figure } from "./table.js";

export const SCHEMA = "interline-bench/1";

export interface Results {
  readonly rows: readonly Row[];
  readonly syscalls?: readonly SystemCallsResult[];
  readonly kernels?: readonly DedupResult[];
  readonly idle?: readonly IdleResult[];
  readonly restart?: RestartResult;
  readonly openLoop?: OpenLoopResult;
  readonly openLoopBare?: OpenLoopResult;
  readonly offlineDrain?: OfflineDrainResult;
  readonly connectStorm?: ConnectStormResult;
  readonly duplicates?: readonly DuplicatesResult[];
  readonly slowReaders?: SlowReadersResult;
}

export interface BenchFile extends Results {
  readonly schema: typeof SCHEMA;
  readonly environment: Environment;
}

export async function writeResults(file: string, environment: Environment, results: Results): Promise<void> {
  const content: BenchFile = { schema: SCHEMA, environment, ...results };
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
}

export function environmentReport(environment: Environment): string {
  const { cpu, cores, node, platform, kernel, serverCore, generatorCore } = environment;
  const pinned =
    serverCore === null ? "not pinned" : `server on core ${serverCore}, load on core ${generatorCore}`;
  return [
    `Interline ${environment.interline}${environment.commit === null ? "" : ` (${environment.commit})`}, Node ${node}, ${platform}, kernel ${kernel}`,
    `${cpu}, ${cores} cores; ${pinned}`,
    `data in ${environment.dataDirectory} (${environment.fileSystem}); writing and flushing 300 KB takes ${figure(environment.flushMs)} ms`,
    ...environment.warnings.map((text) => `warning: ${text}`),
    "",
  ].join("\n");
}

/** One line on a terminal that is written over; nothing elsewhere. */
export function progress(text: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\x1b[K${text}`);
}

export function progressDone(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

export function print(text: string): void {
  progressDone();
  process.stdout.write(`${text}\n`);
}

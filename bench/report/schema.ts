/**
 * The result file as a schema: what `--json` writes, what `diff` and `page` read,
 * and what `npm run bench -- schema` prints as JSON Schema. The compiler holds it
 * to the types that are written: a new field of a row or a round without a line
 * here does not compile.
 *
 * A field may be added under the same number, as optional. The number rises when
 * a field changes its meaning or goes. Unknown fields are skipped on reading.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { KernelName, KernelResult } from "../kernels/result.js";
import type { DuplicatesResult } from "../measure/duplicates.js";
import type { Environment } from "../measure/environment.js";
import type { MixedResult } from "../measure/mixed.js";
import type { RawRound, Row } from "../measure/row.js";
import type { SlowReadersResult } from "../measure/slow-readers.js";
import { connectStorm, load, offlineDrain, openLoop } from "./paced-schema.js";

export const SCHEMA = "interline-bench/1";

const text = z.string();
const figure = z.number();
const figureOrNull = z.number().nullable();
const count = z.number().int().nonnegative();

const environment = z.object({
  interline: text.describe("version of the package"),
  commit: text.nullable().describe("null for an installed package"),
  node: text,
  v8: text,
  platform: text.describe("operating system and architecture"),
  kernel: text,
  cpu: text.describe("model of the first core"),
  cores: count,
  memoryBytes: count,
  serverCore: count.nullable().describe("the core servers are pinned to; null when they are not"),
  generatorCore: count.nullable().describe("the core load generators are pinned to; null when they are not"),
  dataDirectory: text,
  fileSystem: text.describe("of the data directory"),
  flushMs: figure.describe("median time to write 300 KB in the data directory and flush them"),
  warnings: z.array(text).readonly().describe("what to doubt about this machine"),
} satisfies Record<keyof Environment, z.ZodType>);

const round = z.object({
  delivered: count.describe("messages that arrived in the window"),
  deliveredPerSec: figure,
  serverCpuUsPerMsg: figure.describe("CPU time of the server process per delivered message"),
  serverUserShare: figure.describe("the part of that CPU time that was spent outside the kernel, 0 to 1"),
  serverBusy: figure.describe("CPU seconds of the server per second; 1 is a whole core"),
  generatorCpuUsPerMsg: figure,
  generatorBusy: figure,
  serverRssBytes: count.describe("resident memory of the server at the window's end"),
  serverLoopDelayP99Ms: figure.describe("delay of the server's event loop"),
  serverLoopDelayMaxMs: figure.optional(),
  serverGcShare: figure.optional().describe("pauses for garbage collection, as a share of the window"),
  serverGcPauseMaxMs: figure.optional(),
  diskBytesPerMsg: figureOrNull.optional().describe("sent to storage per delivered message"),
  flushesPerSec: figureOrNull.optional().describe("null where nothing is stored"),
  sent: count.describe("over the whole round, as are the counts below"),
  lost: count,
  duplicated: count,
  reordered: count,
  misdelivered: count,
  refused: count,
  repeated: count.optional().describe("sends made again under the same id"),
  unreceipted: count,
  longestReceiptGapMs: figure,
  deliveryLatency: text.optional().describe("HdrHistogram of microseconds, compressed, in base64"),
  receiptLatency: text.optional().describe("the same; empty where no receipts are given"),
  returns: count.optional().describe("of devices that came back in the window; of mixed only"),
  drained: count.optional().describe("entries that came before their queues were empty"),
  drainLatency: text
    .optional()
    .describe("from the moment a device was due back until its queue was empty; as the latencies above"),
} satisfies Record<keyof RawRound, z.ZodType>);

const row = z.object({
  workload: text,
  inFlight: figure.describe("messages under way per device"),
  devices: count,
  payloadBytes: count,
  system: text,
  durability: text.describe("what a receipt promises; none for a system without receipts"),
  guarantee: text.optional().describe("what the system promises, and what not, in a line"),
  deliveredPerSec: figure.describe("median of the rounds"),
  serverCpuUsPerMsg: figure.describe("median of the rounds"),
  generatorCpuUsPerMsg: figure.describe("median of the rounds"),
  serverBusy: figure.describe("median of the rounds; 1 is a whole core"),
  generatorBusy: figure.describe("median of the rounds; 1 is a whole core"),
  ratioToBare: figureOrNull.describe(
    "serverCpuUsPerMsg divided by the bare relay's of the neighbouring round, median; null without a bare relay",
  ),
  ratioToBareMin: figureOrNull,
  ratioToBareMax: figureOrNull,
  ratioToPublish: figure
    .optional()
    .describe("serverCpuUsPerMsg divided by that of uWebSockets.js publish, likewise; of group-fanout only"),
  ratioToPublishMin: figure.optional(),
  ratioToPublishMax: figure.optional(),
  deliveryP50Ms: figure.describe("from the moment a device meant to send to the payload's arrival"),
  deliveryP99Ms: figure,
  deliveryP999Ms: figure,
  deliveryMaxMs: figure,
  receiptP50Ms: figureOrNull.describe("from the same moment to the receipt; null without receipts"),
  receiptP99Ms: figureOrNull,
  receiptP999Ms: figureOrNull,
  receiptMaxMs: figureOrNull,
  longestReceiptGapMs: figureOrNull.describe("longest time without any receipt in any round"),
  drainP50Ms: figure.optional().describe("from the moment a device was due back until its queue was empty"),
  drainP99Ms: figure.optional(),
  drainMaxMs: figure.optional(),
  lost: count.describe("sum over whole rounds, as are the counts below"),
  duplicated: count,
  reordered: count,
  misdelivered: count.describe("at another device than addressed, or never sent"),
  refused: count.describe("sends refused for overload and repeated"),
  unreceipted: count.describe("sends without a receipt when the round was over"),
  serverLoopDelayP99Ms: figure.optional().describe("delay of the server's event loop, median of the rounds"),
  serverLoopDelayMaxMs: figure.optional(),
  serverGcShare: figure.optional().describe("pauses for garbage collection, as a share of the time; median"),
  serverGcPauseMaxMs: figure.optional(),
  diskBytesPerMsg: figureOrNull.optional().describe("sent to storage per delivered message; null off Linux"),
  flushesPerSec: figureOrNull.optional().describe("null where nothing is stored"),
  generatorWasLimit: z.boolean().describe("the load generator was saturated and the server was not"),
  rounds: z.array(round).readonly(),
} satisfies Record<keyof Row, z.ZodType>);

const systemCalls = z.object({
  system: text,
  inFlight: figure,
  delivered: count.describe("messages delivered while strace was attached"),
  callsPerMessage: figure,
  byName: z.record(text, figure).describe("calls per message, most frequent first"),
});

const kernel = z.object({
  kernel: z.enum(["dedup", "parse", "route", "gather", "turn", "crc"]),
  system: text.optional().describe("short name of the contestant; interline is what the node runs"),
  contestant: text,
  unit: text
    .optional()
    .describe("what is counted, where older files have ids: id, send, account, entry or KiB"),
  windowKeys: count.describe(
    "ids a generation holds, accounts in the table, or bytes of a call; 0 without any",
  ),
  batchKeys: count.describe("units in one call"),
  nsPerKey: figure.describe("per unit, median of the rounds"),
  nsPerKeyMin: figure,
  nsPerKeyMax: figure,
  timesKernel: figureOrNull.describe("how many times as long as interline takes"),
  bytesPerEntry: figureOrNull.optional().describe("memory for each id or account that is held"),
  roundsNs: z.array(figure).readonly().optional().describe("per unit, one figure a round"),
} satisfies Record<keyof KernelResult, z.ZodType>);

const idle = z.object({
  system: text,
  connections: count,
  rssBeforeBytes: count,
  rssAfterBytes: count,
  bytesPerConnection: figure,
  anonymousBytesPerConnection: figureOrNull.describe("the part that is no file mapped into memory"),
  connectMs: figure.describe("from the first connection to the last sign-in"),
});

const restart = z.object({
  system: text,
  entries: count,
  queuedPerSec: figure,
  refused: count,
  readyMs: figure.describe("from the start of the process until it says that it is ready"),
  firstDeliveryMs: figure,
  drainedPerSec: figure,
  lost: count,
  duplicated: count,
  reordered: count,
});

const duplicates = z.object({
  inFlight: figure,
  seed: count,
  repeatedShare: figure,
  repeatedPerMsg: figure.describe("repeats per message sent, as they were made"),
  ratioToPlain: figure.describe("server CPU per delivered message, to plain pairs'; median"),
  ratioToPlainMin: figure,
  ratioToPlainMax: figure,
  plain: row,
  repeating: row,
} satisfies Record<keyof DuplicatesResult, z.ZodType>);

const slowReaders = z.object({
  slowDevices: count,
  tricklingDevices: count,
  feedPerSec: figure,
  seed: count,
  deliveryP99Ratio: figure.describe("delivery p99 at healthy devices, beside slow readers to without"),
  evicted: count.describe("connections that the node ended, over all rounds"),
  quiet: row,
  besideSlow: row,
} satisfies Record<keyof SlowReadersResult, z.ZodType>);

const mixed = z.object({
  seed: count,
  scheduleHash: text,
  ratePerSec: figure.describe("sends offered per second, whatever the system does"),
  deliveriesPerSend: figure,
  groups: count,
  churningDevices: count.describe("devices that come and go, out of the row's"),
  awayShare: figure.describe("those away at a time, of all devices"),
  payloadMedianBytes: count,
  payloadBytesMax: count,
  returns: count,
  drainedPerReturn: figure,
  generatorLagP99Ms: figure.describe(
    "from the moment a send was meant for until a socket had it; the worst round",
  ),
  generatorLagMaxMs: figure,
  othersBusy: figureOrNull.describe("cores' worth of other work on the machine; null off Linux"),
  unsent: count.describe("due at a window's end and not sent"),
  row: row.describe("deliveries' latencies are those of devices that are connected throughout"),
} satisfies Record<keyof MixedResult, z.ZodType>);

const resultsFile = z.object({
  schema: z.literal(SCHEMA),
  environment,
  rows: z.array(row).readonly().describe("one for each workload, number in flight and system"),
  syscalls: z.array(systemCalls).readonly().optional(),
  kernels: z.array(kernel).readonly().optional(),
  idle: z.array(idle).readonly().optional(),
  restart: restart.optional(),
  openLoop: openLoop.optional(),
  openLoopAnswering: openLoop
    .optional()
    .describe("a relay that answers each message, at the rates of openLoop; its search is empty"),
  openLoopBare: openLoop.optional().describe("the bare relay at parts of its own sustainable rate"),
  offlineDrain: offlineDrain.optional(),
  connectStorm: connectStorm.optional(),
  connectStormAnswering: connectStorm
    .optional()
    .describe("of a relay that answers each message, and signs nobody in"),
  duplicates: z.array(duplicates).readonly().optional(),
  slowReaders: slowReaders.optional(),
  mixed: mixed.optional(),
  load: load.optional(),
});

export type ResultsFile = z.infer<typeof resultsFile>;
export type ResultRow = z.infer<typeof row>;
export type ResultKernel = z.infer<typeof kernel>;
export type ResultMixed = z.infer<typeof mixed>;
export type ResultLoad = z.infer<typeof load>;
export type ResultRound = z.infer<typeof round>;

/** The rows of the canonical workload and of those like it. */
export function rowsOf({
  rows,
  duplicates = [],
  slowReaders,
  mixed,
}: Omit<ResultsFile, "schema" | "environment">): ResultRow[] {
  return [
    ...rows,
    ...duplicates.flatMap(({ plain, repeating }) => [plain, repeating]),
    ...(slowReaders === undefined ? [] : [slowReaders.quiet, slowReaders.besideSlow]),
    ...(mixed === undefined ? [] : [mixed.row]),
  ];
}

/** What a row is called in options and tables, as in `pairs/8@interline`. */
export function rowName({
  workload,
  inFlight,
  system,
}: Pick<ResultRow, "workload" | "inFlight" | "system">): string {
  return `${workload}/${inFlight}@${system}`;
}

/** A kernel's result as a row that thresholds can name, as in `dedup/1048576@js-table`; undefined in older files. */
export function kernelRow(result: ResultKernel): KernelRow | undefined {
  const { kernel, windowKeys, system } = result;
  return system === undefined ? undefined : { ...result, workload: kernel, inFlight: windowKeys, system };
}

export interface KernelRow extends ResultKernel {
  readonly workload: KernelName;
  readonly inFlight: number;
  readonly system: string;
}

/** The schema as JSON Schema, for readers in other languages. */
export function jsonSchema(): object {
  return z.toJSONSchema(resultsFile);
}

/** Throws an error that names the file and what is wrong with it. */
export async function readResults(file: string): Promise<ResultsFile> {
  return parseResults(file, await readFile(file, "utf8"));
}

export function parseResults(file: string, content: string): ResultsFile {
  const value = jsonOf(file, content);
  const named = z.object({ schema: text }).safeParse(value);
  if (!named.success) throw new Error(`${file} is no result file of this benchmark: it names no schema`);
  if (named.data.schema !== SCHEMA) {
    throw new Error(`${file} is of the schema ${named.data.schema}; this version reads ${SCHEMA}`);
  }
  const parsed = resultsFile.safeParse(value);
  if (!parsed.success)
    throw new Error(`${file} is not as its schema says:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function jsonOf(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new Error(`${file} is not JSON`, { cause });
  }
}

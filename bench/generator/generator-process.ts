/**
 * The load generator: one process, many devices, driven by the harness over IPC
 * (requests.ts). It sends and judges; it does not know which system it talks to
 * beyond the dialect it is told.
 */
import { spawnSync } from "node:child_process";
import { constants, setPriority } from "node:os";
import { announceReady, answerRequests } from "../process/requests.js";
import type { ArrivalOptions } from "./arrivals.js";
import type { Fill } from "./filling.js";
import { Generator, KEEP_ALIVE_TICK_MS } from "./generator.js";
import type { Circulate, GeneratorOptions, OpenRange } from "./orders.js";
import type { SlowReadersOptions } from "./slow-readers.js";

let generator: Generator | undefined;

function present(): Generator {
  if (generator === undefined) throw new Error("the generator has not been set up");
  return generator;
}

setInterval(() => generator?.keepAlive(), KEEP_ALIVE_TICK_MS).unref();

/** Idle time alone: what wakes beside it runs at once. A lower priority only, where chrt (util-linux) is not installed. */
function yieldCore(): void {
  const { status } = spawnSync("chrt", ["--all-tasks", "--idle", "--pid", "0", String(process.pid)]);
  if (status !== 0) setPriority(constants.priority.PRIORITY_LOW);
}

answerRequests({
  /** For a generator beside another one on the same core, whose latencies it must not disturb. */
  yieldCore,
  setUp(options: GeneratorOptions) {
    generator = new Generator(options);
  },
  open: (range: OpenRange) => present().open(range),
  close: (range: { from: number; to: number }) => present().close(range),
  learnRosters: (range: { asker: number; from: number; to: number }) => present().learnRosters(range),
  addresses: () => present().addresses(),
  learnAddresses: (addresses: readonly string[]) => present().learnAddresses(addresses),
  circulate: (options: Circulate) => present().circulate(options),
  arrive: (options: ArrivalOptions) => present().arrive(options),
  cutWindow: () => present().cutWindow(),
  stopArrivals: () => present().stopArrivals(),
  slowDown: (options: SlowReadersOptions & { port: number }) => present().slowDown(options),
  speedUp: () => present().speedUp(),
  fill: (fill: Fill) => present().fill(fill),
  firstDelivery: () => present().firstDelivery(),
  begin: () => present().begin(),
  measure: () => present().measure(),
  closeWindow: () => present().closeWindow(),
  progress: () => present().progress(),
  stopSending: () => present().stop(),
  ledgerPart: () => present().ledgerPart(),
  finish: (window: { fromMs: number; toMs: number; drainMs: number }) => present().finish(window),
});
announceReady({});

/**
 * A load on a node that is there already, here or elsewhere, from several
 * generator processes: every one has every so-manieth device (generator/share.ts),
 * and devices write to devices of all processes.
 *
 *   open, learn addresses and rosters ──▶ traffic ──▶ warm-up ──▶ │ window │ ──▶ drain ──▶ judge
 *
 * Counts are sums over the processes, histograms are merged, and what is lost,
 * duplicated, out of order or misdelivered is judged over all of them together
 * (generator/merged-ledger.ts), over the whole run.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ACCOUNT_ADDRESS_BYTES } from "../../src/base/address.js";
import type { ArrivalOptions, ArrivalWindow } from "../generator/arrivals.js";
import { mergedLatency } from "../generator/latency.js";
import type { LedgerPart } from "../generator/ledger.js";
import { judgeParts } from "../generator/merged-ledger.js";
import type {
  Circulate,
  GeneratorOptions,
  GeneratorProgress,
  OpenRange,
  RoundResult,
} from "../generator/orders.js";
import { isOwn } from "../generator/share.js";
import type { Child } from "../process/child.js";
import { sharedMs } from "../process/clock.js";
import { mustSleep } from "../process/cores.js";
import { deviceWindows } from "../systems/interline.js";
import { snapshotOf } from "../systems/process-telemetry.js";
import type { ServerSnapshot } from "../systems/server-telemetry.js";
import type { LoadWorkload } from "../workloads/schemas.js";
import { OPEN_TIMEOUT_MS, startGenerator } from "./contestant.js";
import { LoadMonitor, type LoadStatus } from "./load-monitor.js";
import { type LoadOutcome, type LoadResult, resultOf } from "./load-result.js";
import type { LoadTarget } from "./load-target.js";

interface LoadRun {
  readonly workload: LoadWorkload;
  readonly target: LoadTarget;
  /** One for each device. */
  readonly tokens: readonly string[];
  /** The node's process, where it is on this machine and may be looked at. */
  readonly serverPid: number | undefined;
  /** The cores of the generators, in turn; undefined: the system's choice. */
  readonly cores: readonly number[] | undefined;
  readonly onStatus: (status: LoadStatus) => void;
}

/** Connections that all processes together open at one time: below the listen backlog of 512. */
const OPENING_MAX = 200;
/** Sends without a receipt: of all devices, and bounds for one. */
const UNRECEIPTED_ALL = 1 << 20;
const UNRECEIPTED_MIN = 256;
const UNRECEIPTED_MAX = 4_096;
/** From the moment the schedule is given out until its first send. */
const START_LEAD_MS = 50;
/** A node that stands still for so long is not coming back. */
const BACKLOG_SECONDS_MAX = 20;
/** After everything has arrived: time for what should not arrive. */
const SETTLE_MS = 50;
/** Arrivals of the last moments, merged ledgers: of long runs with many devices. */
const JUDGE_TIMEOUT_MS = 120_000;

export async function runLoad(run: LoadRun): Promise<LoadResult> {
  const { processes } = run.workload;
  const starting = Array.from({ length: processes }, (_, part) => {
    return startGenerator({ generator: run.cores?.[part % run.cores.length] });
  });
  const started = await Promise.allSettled(starting);
  const generators = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  try {
    // The first failure, if there was one.
    await Promise.all(starting);
    return await drive(run, generators);
  } finally {
    await Promise.allSettled(generators.map((generator) => generator.kill()));
  }
}

async function drive(run: LoadRun, generators: readonly Child[]): Promise<LoadResult> {
  const { workload, target } = run;
  await signIn(run, generators);
  const stale = await all<GeneratorProgress>(generators, "progress");
  const monitor = new LoadMonitor(generators, workload.windowMs, run.onStatus);
  const sleeps = mustSleep(workload.processes, target.isLoopback, run.cores);
  await all(generators, "begin");
  await startTraffic(workload, generators, sleeps);
  await monitor.watch("warming up", workload.warmUpMs, workload.windowMs);
  const serverBefore = serverSnapshot(run);
  await all(generators, "measure");
  const fromMs = sharedMs();
  await monitor.watch("measuring", workload.windowMs);
  const toMs = sharedMs();
  const serverAfter = serverSnapshot(run);
  const windows = await stopTraffic(workload, generators);
  await monitor.drain(workload.drainMs);
  await sleep(SETTLE_MS);
  const rounds = await all<RoundResult>(generators, "finish", { fromMs, toMs, drainMs: 0 }, JUDGE_TIMEOUT_MS);
  const parts = await all<LedgerPart>(generators, "ledgerPart", {}, JUDGE_TIMEOUT_MS);
  const outcome: LoadOutcome = {
    windowMs: toMs - fromMs,
    judgement: judgeParts(parts),
    rounds,
    windows,
    sleeps,
    stale: stale.reduce((sum, one) => sum + one.stale, 0),
    timeline: monitor.timeline,
    server: serverBefore && serverAfter && { before: serverBefore, after: serverAfter },
    deliveryLatency: mergedLatency(rounds.map((round) => round.deliveryLatency)),
    receiptLatency: mergedLatency(rounds.map((round) => round.receiptLatency)),
  };
  return resultOf(run, outcome);
}

async function signIn(run: LoadRun, generators: readonly Child[]): Promise<void> {
  const { workload, target } = run;
  const { devices, processes } = workload;
  await Promise.all(generators.map((generator, part) => generator.request("setUp", setUpOf(run, part))));
  const atOnce = Math.max(1, Math.floor(OPENING_MAX / processes));
  const { sourceAddresses } = workload;
  const everybody = { from: 0, to: devices };
  const range: OpenRange = { port: target.port, ...everybody, atOnce, sourceAddresses };
  await all(generators, "open", range, OPEN_TIMEOUT_MS);
  const addresses = await all<string[]>(generators, "addresses");
  const inOrder = Array.from({ length: devices }, (_, device) => {
    return addresses[device % processes]![Math.floor(device / processes)]!;
  });
  if (new Set(inOrder.map((address) => address.slice(0, 2 * ACCOUNT_ADDRESS_BYTES))).size < devices) {
    throw new Error("two tokens are of one account: devices of a load are of as many accounts");
  }
  await all(generators, "learnAddresses", inOrder);
  await Promise.all(
    generators.map((generator, asker) => {
      return generator.request("learnRosters", { asker, ...everybody }, OPEN_TIMEOUT_MS);
    }),
  );
}

function setUpOf({ workload, target, tokens }: LoadRun, part: number): GeneratorOptions {
  const { devices, peers, payloadBytes, seed, processes } = workload;
  const share = { part, parts: processes };
  return {
    host: target.host,
    isTls: target.isTls,
    devices,
    senders: devices,
    peers: Math.min(peers, devices - 1),
    share,
    payloadBytes,
    seed,
    takesStale: true,
    unreceiptedPerDeviceMax: Math.min(
      UNRECEIPTED_MAX,
      Math.max(UNRECEIPTED_MIN, Math.ceil(UNRECEIPTED_ALL / devices)),
    ),
    dialect: {
      name: "interline",
      // Whose device it is, the node says; another process has no use for the token.
      signIns: tokens.map((token, device) => ({
        token: isOwn(share, device) ? token : "",
        account: "",
        device: 1,
      })),
      windows: deviceWindows,
      manners: { readyWhenLive: true, path: target.path },
    },
  };
}

async function startTraffic(
  { pace, devices, peers, seed }: LoadWorkload,
  generators: readonly Child[],
  sleeps: boolean,
): Promise<void> {
  if ("inFlight" in pace) {
    const circulate: Circulate = { inFlight: pace.inFlight, continues: true };
    await all(generators, "circulate", circulate);
    return;
  }
  const arrive: ArrivalOptions = {
    ratePerSec: pace.ratePerSec,
    devices,
    peers: Math.min(peers, devices - 1),
    seed,
    sleeps,
    continues: true,
    startMs: sharedMs() + START_LEAD_MS,
    backlogSecondsMax: BACKLOG_SECONDS_MAX,
  };
  await all(generators, "arrive", arrive);
}

/** Latencies of an open loop count until everything has arrived: `finish` closes its window. */
async function stopTraffic(
  { pace }: LoadWorkload,
  generators: readonly Child[],
): Promise<readonly ArrivalWindow[]> {
  if ("ratePerSec" in pace) return all<ArrivalWindow>(generators, "stopArrivals");
  await all(generators, "closeWindow");
  await all(generators, "stopSending");
  return [];
}

function all<Answer>(
  generators: readonly Child[],
  verb: string,
  body: unknown = {},
  timeoutMs?: number,
): Promise<Answer[]> {
  return Promise.all(generators.map((generator) => generator.request<Answer>(verb, body, timeoutMs)));
}

function serverSnapshot({ serverPid }: LoadRun): ServerSnapshot | undefined {
  return serverPid === undefined ? undefined : snapshotOf(serverPid);
}

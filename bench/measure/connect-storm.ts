/**
 * Many sign-ins at once, while a paced load goes on among established devices:
 * how long until everybody is in, and what the others notice of it. Then all newcomers vanish, at once too.
 *
 *   established:  paced sends ──▶ │ before │ ──▶ │ during the storm           │ ──▶ │ as all vanish │ ──▶ drain
 *   storm:                                         connect, upgrade, hello ▸ welcome  gone
 *
 * The storm has a generator process of its own that is given idle time alone: on the core
 * that both share, the established devices' generator runs first and sleeps where
 * nothing is due, so that their latencies are the server's doing. Its lag in each window says how well
 * that went. Tokens are minted beforehand by an earlier server process. To a relay nobody signs in: who is upgraded is in.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ArrivalWindow } from "../generator/arrivals.js";
import { mergedPercentiles, type Percentiles } from "../generator/latency.js";
import type { GeneratorOptions, Opened, RoundResult } from "../generator/orders.js";
import { scheduleHash } from "../generator/schedule.js";
import type { Child } from "../process/child.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { System } from "../systems/system.js";
import type { ConnectStormWorkload } from "../workloads/workloads.js";
import { Contestant, HOST, OPEN_TIMEOUT_MS, startGenerator } from "./contestant.js";
import { connectingMs, VANISHING_MS } from "./durations.js";
import type { Latency } from "./open-loop.js";
import { withScratchDirectory } from "./scratch-directory.js";

export interface StormWindow {
  readonly delivery: Latency;
  readonly receipt: Latency | null;
  readonly generatorLagP99Ms: number;
  readonly serverBusy: number;
}

export interface ConnectStormResult {
  readonly system: string;
  readonly signIns: number;
  readonly signInsAtOnce: number;
  readonly sourceAddresses: number;
  /** From the first attempt until the last device was welcomed; by a relay, upgraded. */
  readonly allWelcomedMs: number;
  /** Connections refused or ended before welcome; they were tried again. */
  readonly refused: number;
  /** What they were told, and how often. */
  readonly refusalReasons: Readonly<Record<string, number>>;
  readonly establishedDevices: number;
  readonly ratePerSec: number;
  readonly seed: number;
  readonly scheduleHash: string;
  /** The established devices' traffic. */
  readonly before: StormWindow;
  readonly during: StormWindow;
  /** From the moment at which all newcomers' connections vanish, VANISHING_MS long. */
  readonly vanishing: StormWindow;
  /** Delivery p99, during to before. */
  readonly deliveryP99Ratio: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
}

interface ConnectStormRun {
  readonly workload: ConnectStormWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

type Dialect = GeneratorOptions["dialect"];

const UNRECEIPTED_MAX = 1024;
/** Between two windows: reading the first one's histograms holds the generator up. */
const PAUSE_MS = 300;

export function runConnectStorm(run: ConnectStormRun): Promise<ConnectStormResult> {
  return withScratchDirectory(run.dataDirectory, (directory) => measureConnectStorm(run, directory));
}

async function measureConnectStorm(run: ConnectStormRun, directory: string): Promise<ConnectStormResult> {
  const { workload, system, onProgress } = run;
  const { devices, payloadBytes, seed, signIns } = workload;
  const cores = chooseCores();
  onProgress(`${workload.name}: minting ${devices + signIns} tokens`, 2 * connectingMs(devices + signIns));
  const minting = await system.start({ core: cores.server, directory });
  const dialect = await minting.dialectFor(devices + signIns);
  await minting.stop();
  const [established, newcomers] = splitAt(devices, dialect);
  const contestant = await Contestant.start(system, {
    cores,
    directory,
    devices,
    payloadBytes,
    seed,
    dialect: established,
    unreceiptedPerDeviceMax: UNRECEIPTED_MAX,
  });
  const storm = await startGenerator(cores);
  try {
    await setUpStorm(storm, workload, newcomers);
    await contestant.open({ from: 0, to: devices });
    await contestant.learnRosters(0, { from: 0, to: devices });
    return await measureTraffic(run, contestant, storm);
  } finally {
    await storm.kill();
    await contestant.stop();
  }
}

/** For the first devices, and for all others. */
function splitAt(devices: number, dialect: Dialect): [Dialect, Dialect] {
  if (dialect.name === "interline") {
    const { signIns } = dialect;
    return [
      { ...dialect, signIns: signIns.slice(0, devices) },
      { ...dialect, signIns: signIns.slice(devices) },
    ];
  }
  if (dialect.name !== "relay") throw new Error(`a storm of ${dialect.name} has not been thought of`);
  return [dialect, { ...dialect, manners: { ...dialect.manners, firstIndex: devices } }];
}

async function setUpStorm(storm: Child, workload: ConnectStormWorkload, dialect: Dialect): Promise<void> {
  const setUp: GeneratorOptions = {
    host: HOST,
    devices: workload.signIns,
    payloadBytes: workload.payloadBytes,
    seed: workload.seed,
    senders: 0,
    unreceiptedPerDeviceMax: 1,
    dialect,
  };
  await storm.request("setUp", setUp);
  await storm.request("yieldCore");
}

async function measureTraffic(
  run: ConnectStormRun,
  contestant: Contestant,
  storm: Child,
): Promise<ConnectStormResult> {
  const { workload, system, onProgress } = run;
  const { devices, ratePerSec, seed, signIns, signInsAtOnce, sourceAddresses } = workload;
  const { generator, server } = contestant;
  await generator.request("arrive", { ratePerSec, devices, seed, sleeps: true });
  await sleep(workload.warmUpMs);
  onProgress(`${workload.name}: ${ratePerSec} sends per second, undisturbed`, workload.windowMs);
  const before = await windowOf(contestant, () => sleep(workload.windowMs));
  await sleep(PAUSE_MS);
  onProgress(`${workload.name}: ${signIns} sign-ins at once`, connectingMs(signIns), {
    perSec: ratePerSec,
    p99Ms: before.window.delivery.p99Ms,
  });
  const range = { port: server.port, from: 0, to: signIns, atOnce: signInsAtOnce, sourceAddresses };
  const during = await windowOf(contestant, () =>
    storm.request<Opened>("open", { ...range, repeatsRefused: true }, OPEN_TIMEOUT_MS),
  );
  await sleep(PAUSE_MS);
  onProgress(`${workload.name}: ${signIns} connections vanish`, VANISHING_MS, {
    perSec: ratePerSec,
    p99Ms: during.window.delivery.p99Ms,
  });
  const vanishing = await windowOf(contestant, () => Promise.all([storm.kill(), sleep(VANISHING_MS)]));
  await generator.request("stopArrivals");
  const drain = { fromMs: 0, toMs: 0, drainMs: workload.drainMs };
  const { lost, duplicated, reordered, misdelivered }: RoundResult = await contestant.finish(drain);
  return {
    system: system.name,
    signIns,
    signInsAtOnce,
    sourceAddresses,
    allWelcomedMs: during.value.tookMs,
    refused: during.value.refused,
    refusalReasons: during.value.reasons,
    establishedDevices: devices,
    ratePerSec,
    seed,
    scheduleHash: scheduleHash(seed, devices),
    before: before.window,
    during: during.window,
    vanishing: vanishing.window,
    deliveryP99Ratio: during.window.delivery.p99Ms / before.window.delivery.p99Ms,
    lost,
    duplicated,
    reordered,
    misdelivered,
  };
}

/** The established devices' figures while `work` goes on. */
async function windowOf<T>(
  { generator, server }: Contestant,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly window: StormWindow }> {
  const [before] = await Promise.all([server.snapshot(), generator.request("measure")]);
  const value = await work();
  const [after, cut] = await Promise.all([server.snapshot(), generator.request<ArrivalWindow>("cutWindow")]);
  const delivery = mergedPercentiles([cut.deliveryLatency]);
  const receipt = mergedPercentiles([cut.receiptLatency]);
  if (delivery === undefined) throw new Error("established devices got nothing in a whole window");
  const cpuUs = after.cpuUserUs - before.cpuUserUs + after.cpuSystemUs - before.cpuSystemUs;
  return {
    value,
    window: {
      delivery: latencyOf(delivery),
      receipt: receipt === undefined ? null : latencyOf(receipt),
      generatorLagP99Ms: cut.lagP99Ms,
      serverBusy: cpuUs / 1000 / (after.sharedMs - before.sharedMs),
    },
  };
}

function latencyOf({ p50Ms, p99Ms, p999Ms, maxMs }: Percentiles): Latency {
  return { p50Ms, p99Ms, p999Ms, maxMs };
}

/**
 * Restart with full queues: entries are queued for devices that are away, every
 * one receipted; the node is killed with SIGKILL and started again; the time from
 * the start of its process to the first delivery is taken; then every device
 * comes back and everything must arrive once and in order.
 */
import type { RoundResult } from "../generator/orders.js";
import { sharedMs } from "../process/clock.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { RunningSystem, System } from "../systems/system.js";
import type { RestartWorkload } from "../workloads/workloads.js";
import { Contestant } from "./contestant.js";
import { connectingMs, entriesMs } from "./durations.js";
import { withScratchDirectory } from "./scratch-directory.js";

export interface RestartResult {
  readonly system: string;
  readonly entries: number;
  readonly queuedPerSec: number;
  /** Refusals for overload while queueing; those sends were repeated. */
  readonly refused: number;
  /** From the start of the process until it says that it is ready. */
  readonly readyMs: number;
  readonly firstDeliveryMs: number;
  /** From the first device's return until the last entry, over all devices. */
  readonly drainedPerSec: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
}

const FILL_TIMEOUT_MS = 300_000;
const DRAIN_PATIENCE_MS = 10_000;
/** Sends of one sender without a receipt while queues are filled. */
const UNRECEIPTED_MAX = 200;

interface RestartRun {
  readonly workload: RestartWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

export function runRestart(run: RestartRun): Promise<RestartResult> {
  return withScratchDirectory(run.dataDirectory, (directory) => measureRestart(run, directory));
}

async function measureRestart(run: RestartRun, directory: string): Promise<RestartResult> {
  const { workload, system, onProgress } = run;
  const contestant = await Contestant.start(system, {
    cores: chooseCores(),
    directory,
    devices: workload.senders + workload.receivers,
    payloadBytes: workload.payloadBytes,
    seed: 1,
    unreceiptedPerDeviceMax: 2 * UNRECEIPTED_MAX,
  });
  let restarted: RunningSystem | undefined;
  try {
    onProgress(
      `queueing ${workload.entries} entries`,
      connectingMs(workload.receivers) + entriesMs(workload.entries),
    );
    const queuedPerSec = await queue(contestant, workload);
    await contestant.server.kill();
    onProgress("restarting", entriesMs(workload.entries), { perSec: queuedPerSec, p99Ms: null });
    const startedMs = sharedMs();
    restarted = await system.start({ core: chooseCores().server, directory });
    const readyMs = sharedMs() - startedMs;
    const drained = await drain(contestant, restarted.port, workload);
    return {
      system: system.name,
      entries: workload.entries,
      queuedPerSec,
      readyMs,
      firstDeliveryMs: drained.firstMs - startedMs,
      drainedPerSec: drained.perSec,
      refused: drained.result.refused,
      lost: drained.result.lost,
      duplicated: drained.result.duplicated + drained.result.misdelivered,
      reordered: drained.result.reordered,
    };
  } finally {
    await contestant.generator.kill();
    await contestant.server.kill();
    await restarted?.kill();
  }
}

/** Every receiver signs in once, so that its account is known, and leaves. Returns entries per second. */
async function queue(contestant: Contestant, workload: RestartWorkload): Promise<number> {
  const { generator } = contestant;
  const senders = { from: 0, to: workload.senders };
  const receivers = { from: workload.senders, to: workload.senders + workload.receivers };
  await contestant.open(receivers);
  await generator.request("close", receivers);
  await contestant.open(senders);
  await contestant.learnRosters(0, receivers);
  await generator.request("begin");
  const fromMs = sharedMs();
  const fill = {
    senders: workload.senders,
    ...receivers,
    entries: workload.entries,
    unreceiptedMax: UNRECEIPTED_MAX,
  };
  await generator.request("fill", fill, FILL_TIMEOUT_MS);
  const tookMs = sharedMs() - fromMs;
  await generator.request("close", senders);
  return (workload.entries / tookMs) * 1000;
}

async function drain(
  { generator }: Contestant,
  port: number,
  workload: RestartWorkload,
): Promise<{ firstMs: number; perSec: number; result: RoundResult }> {
  const first = workload.senders;
  const fromMs = sharedMs();
  await generator.request("open", { port, from: first, to: first + 1 });
  const firstMs = await generator.request<number>("firstDelivery");
  await generator.request("open", { port, from: first + 1, to: first + workload.receivers });
  const window = { fromMs: 0, toMs: 0, drainMs: DRAIN_PATIENCE_MS };
  const result = await generator.request<RoundResult>("finish", window, FILL_TIMEOUT_MS);
  return { firstMs, perSec: (workload.entries / (sharedMs() - fromMs)) * 1000, result };
}

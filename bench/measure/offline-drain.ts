/**
 * The same sends twice, to devices that are connected and to the same devices
 * while they are away; then all come back and drain.
 *
 *   online:   senders ──▶ receivers, which ack           server CPU per message
 *   offline:  senders ──▶ queues                         server CPU per entry
 *   drain:    every receiver signs in and takes its queue
 *
 * Both CPU figures hold what the server does afterwards too, for `settleMs`:
 * moving entries from the journal to queues on disk is part of keeping them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RoundResult } from "../generator/orders.js";
import { sharedMs } from "../process/clock.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { System } from "../systems/system.js";
import type { OfflineDrainWorkload } from "../workloads/workloads.js";
import { Contestant } from "./contestant.js";
import { connectingMs, entriesMs } from "./durations.js";
import { withScratchDirectory } from "./scratch-directory.js";

export interface OfflineDrainResult {
  readonly system: string;
  readonly receivers: number;
  readonly entries: number;
  readonly payloadBytes: number;
  /** Signing in with an empty queue: all devices, before anything was sent. */
  readonly signInCpuUs: number;
  readonly signInsPerSec: number;
  readonly onlineCpuUsPerMsg: number;
  readonly onlinePerSec: number;
  readonly enqueueCpuUsPerEntry: number;
  /** Until the last receipt. */
  readonly enqueuedPerSec: number;
  /** CPU per entry queued, to CPU per message delivered. */
  readonly enqueueToOnline: number;
  /** From the first device's return until the last was signed in. */
  readonly connectMs: number;
  /** From the first device's return until the last entry. */
  readonly drainMs: number;
  readonly drainedPerSec: number;
  /** Sign-ins included. */
  readonly drainCpuUsPerEntry: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
  /** Refusals for overload; those sends were repeated. */
  readonly refused: number;
}

interface OfflineDrainRun {
  readonly workload: OfflineDrainWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

const FILL_TIMEOUT_MS = 300_000;
/** After all have left: time for the server to notice. */
const LEAVE_MS = 500;

export function runOfflineDrain(run: OfflineDrainRun): Promise<OfflineDrainResult> {
  return withScratchDirectory(run.dataDirectory, async (directory) => {
    const { senders, receivers, payloadBytes, unreceiptedPerSender } = run.workload;
    const contestant = await Contestant.start(run.system, {
      cores: chooseCores(),
      directory,
      devices: senders + receivers,
      senders,
      payloadBytes,
      seed: 1,
      unreceiptedPerDeviceMax: 2 * unreceiptedPerSender,
    });
    try {
      return await measureOfflineDrain(run, contestant);
    } finally {
      await contestant.stop();
    }
  });
}

async function measureOfflineDrain(
  run: OfflineDrainRun,
  contestant: Contestant,
): Promise<OfflineDrainResult> {
  const { workload, system, onProgress } = run;
  const { senders, receivers } = workload;
  const { generator } = contestant;
  const away = { from: senders, to: senders + receivers };
  const entries = receivers * workload.entriesPerReceiver;
  const everybody = senders + receivers;
  onProgress(`${workload.name}: connecting ${everybody} devices`, connectingMs(everybody));
  const signIn = await costOf(contestant, everybody, () => contestant.open({ from: 0, to: everybody }));
  await contestant.learnRosters(0, away);

  const sendMs = entriesMs(entries) + workload.settleMs;
  onProgress(`${workload.name}: ${entries} messages to devices that are connected`, sendMs);
  await generator.request("begin");
  const online = await costOf(contestant, entries, async () => {
    await send(contestant, workload);
    const result = await judged(contestant, workload);
    await sleep(workload.settleMs);
    return result;
  });

  await generator.request("close", away);
  await sleep(LEAVE_MS);
  onProgress(`${workload.name}: ${entries} entries for devices that are away`, sendMs);
  await generator.request("begin");
  const offline = await costOf(contestant, entries, async () => {
    const tookMs = await send(contestant, workload);
    await sleep(workload.settleMs);
    return tookMs;
  });

  const enqueuedPerSec = (entries / offline.value) * 1000;
  onProgress(`${workload.name}: everybody comes back`, connectingMs(receivers) + entriesMs(entries), {
    perSec: enqueuedPerSec,
    p99Ms: null,
  });
  const drain = await costOf(contestant, entries, async () => {
    const fromMs = sharedMs();
    await contestant.open(away);
    const connectMs = sharedMs() - fromMs;
    return { connectMs, result: await judged(contestant, workload), drainMs: sharedMs() - fromMs };
  });
  const { connectMs, result, drainMs } = drain.value;
  const both = [online.value, result];
  const sumOf = (pick: (one: RoundResult) => number) => both.reduce((sum, one) => sum + pick(one), 0);
  return {
    system: system.name,
    receivers,
    entries,
    payloadBytes: workload.payloadBytes,
    signInCpuUs: signIn.cpuUs,
    signInsPerSec: (everybody / signIn.tookMs) * 1000,
    onlineCpuUsPerMsg: online.cpuUs,
    onlinePerSec: (entries / (online.tookMs - workload.settleMs)) * 1000,
    enqueueCpuUsPerEntry: offline.cpuUs,
    enqueuedPerSec,
    enqueueToOnline: offline.cpuUs / online.cpuUs,
    connectMs,
    drainMs,
    drainedPerSec: (entries / drainMs) * 1000,
    drainCpuUsPerEntry: drain.cpuUs,
    lost: sumOf(({ lost }) => lost),
    duplicated: sumOf(({ duplicated }) => duplicated),
    reordered: sumOf(({ reordered }) => reordered),
    misdelivered: sumOf(({ misdelivered }) => misdelivered),
    refused: sumOf(({ refused }) => refused),
  };
}

/** What `work` costs the server per entry, and how long it takes. */
async function costOf<T>(
  { server }: Contestant,
  entries: number,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly cpuUs: number; readonly tookMs: number }> {
  const before = await server.snapshot();
  const value = await work();
  const after = await server.snapshot();
  const cpuUs = after.cpuUserUs - before.cpuUserUs + after.cpuSystemUs - before.cpuSystemUs;
  return { value, cpuUs: cpuUs / entries, tookMs: after.sharedMs - before.sharedMs };
}

/** All entries, until the last has its receipt; returns how long that took. */
async function send({ generator }: Contestant, workload: OfflineDrainWorkload): Promise<number> {
  const { senders, receivers, entriesPerReceiver, unreceiptedPerSender } = workload;
  const fromMs = sharedMs();
  const fill = {
    senders,
    from: senders,
    to: senders + receivers,
    entries: receivers * entriesPerReceiver,
    unreceiptedMax: unreceiptedPerSender,
  };
  await generator.request("fill", fill, FILL_TIMEOUT_MS);
  return sharedMs() - fromMs;
}

/** Waits for what is under way, and judges all since the last `begin`. */
function judged({ generator }: Contestant, { drainMs }: OfflineDrainWorkload): Promise<RoundResult> {
  return generator.request("finish", { fromMs: 0, toMs: 0, drainMs }, FILL_TIMEOUT_MS);
}

/**
 * Pairs, while other devices take what is sent to them slowly or not at all,
 * beside rounds in which the same devices are sent the same and read it.
 *
 *   quiet:  circulate + feed ──▶ │ window │ ──▶ drain
 *   slow:   pause, fill ahead, circulate + feed ──▶ │ window │ ──▶ read on, reconnect, drain
 *
 * Filled ahead, every slow device has its window full and entries in its queue
 * when the window opens. Latencies are the circulating devices' alone. After it
 * the slow ones read on, and nothing may be missing: what was sent to them too.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Circulate } from "../generator/orders.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { System } from "../systems/system.js";
import type { SlowReadersWorkload } from "../workloads/workloads.js";
import { Contestant } from "./contestant.js";
import { roundMs, slowRoundMs } from "./durations.js";
import { judge, type Round, seenIn } from "./round.js";
import { type Row, rowOf } from "./row.js";
import { withScratchDirectory } from "./scratch-directory.js";

export interface SlowReadersResult {
  readonly slowDevices: number;
  readonly tricklingDevices: number;
  readonly feedPerSec: number;
  readonly seed: number;
  /** Delivery p99 at healthy devices, beside slow readers to without. */
  readonly deliveryP99Ratio: number;
  /** Connections that the node ended, over all rounds. */
  readonly evicted: number;
  readonly quiet: Row;
  readonly besideSlow: Row;
}

interface SlowReadersRun {
  readonly workload: SlowReadersWorkload;
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

const UNRECEIPTED_MAX = 1024;
/** Of one sender, while queues are filled ahead. */
const FILL_UNRECEIPTED_MAX = 20;
const FILL_TIMEOUT_MS = 300_000;

export function runSlowReaders(run: SlowReadersRun): Promise<SlowReadersResult> {
  return withScratchDirectory(run.dataDirectory, async (directory) => {
    const { devices, slowDevices, payloadBytes, seed } = run.workload;
    const everybody = { from: 0, to: devices + slowDevices };
    const contestant = await Contestant.start(run.system, {
      cores: chooseCores(),
      directory,
      devices: everybody.to,
      senders: devices,
      payloadBytes,
      seed,
      unreceiptedPerDeviceMax: UNRECEIPTED_MAX,
    });
    try {
      await contestant.open(everybody);
      await contestant.learnRosters(0, everybody);
      return await alternate(run, contestant);
    } finally {
      await contestant.stop();
    }
  });
}

async function alternate(run: SlowReadersRun, contestant: Contestant): Promise<SlowReadersResult> {
  const { workload, system, onProgress } = run;
  const { name, devices, payloadBytes, inFlight, slowDevices, tricklingDevices, feedPerSec, seed } = workload;
  const quiet: Round[] = [];
  const slow: Round[] = [];
  let evicted = 0;
  for (let i = 1; i <= workload.rounds; i++) {
    onProgress(
      `${name}: round ${i} of ${workload.rounds}, everybody reads`,
      roundMs(workload),
      seenIn(slow.at(-1)),
    );
    quiet.push(await quietRound(contestant, workload));
    onProgress(
      `${name}: round ${i} of ${workload.rounds}, ${slowDevices} devices do not read`,
      slowRoundMs(workload),
      seenIn(quiet.at(-1)),
    );
    const result = await slowRound(contestant, workload);
    slow.push(result.round);
    evicted += result.evicted;
  }
  const row = (workloadName: string, rounds: readonly Round[]) =>
    rowOf({ workload: workloadName, inFlight, devices, payloadBytes, system, rounds, bare: undefined });
  const quietRow = row("quiet", quiet);
  const slowRow = row(name, slow);
  return {
    slowDevices,
    tricklingDevices,
    feedPerSec,
    seed,
    deliveryP99Ratio: slowRow.deliveryP99Ms / quietRow.deliveryP99Ms,
    evicted,
    quiet: quietRow,
    besideSlow: slowRow,
  };
}

async function quietRound(contestant: Contestant, workload: SlowReadersWorkload): Promise<Round> {
  await contestant.generator.request("circulate", circulation(workload, false));
  const { before, after } = await windowOf(contestant, workload);
  return judge(contestant, before, after, workload.drainMs);
}

async function slowRound(
  contestant: Contestant,
  workload: SlowReadersWorkload,
): Promise<{ readonly round: Round; readonly evicted: number }> {
  const { generator, server } = contestant;
  const { devices, slowDevices, tricklingDevices, trickleMs, aheadEntries } = workload;
  const slow = { from: devices, to: devices + slowDevices };
  await generator.request("slowDown", { ...slow, trickling: tricklingDevices, trickleMs, port: server.port });
  await generator.request("begin");
  const fill = { senders: devices, ...slow, entries: aheadEntries, unreceiptedMax: FILL_UNRECEIPTED_MAX };
  await generator.request("fill", fill, FILL_TIMEOUT_MS);
  await generator.request("circulate", circulation(workload, true));
  const { before, after } = await windowOf(contestant, workload);
  const evicted = await generator.request<number>("speedUp");
  return { round: await judge(contestant, before, after, workload.drainMs), evicted };
}

function circulation(workload: SlowReadersWorkload, continues: boolean): Circulate {
  const { inFlight, devices, slowDevices, feedPerSec } = workload;
  return { inFlight, continues, feed: { perSec: feedPerSec, from: devices, to: devices + slowDevices } };
}

async function windowOf({ generator, server }: Contestant, { warmUpMs, windowMs }: SlowReadersWorkload) {
  await sleep(warmUpMs);
  const [before] = await Promise.all([server.snapshot(), generator.request("measure")]);
  await sleep(windowMs);
  const [after] = await Promise.all([server.snapshot(), generator.request("closeWindow")]);
  return { before, after };
}

/**
 * One message to a whole group: Interline (one shared part, stored once, sequenced and acked at every member, receipted
 * after the flush) beside uWebSockets.js `publish` to a topic, in alternating rounds. What counts is the server's CPU time
 * per delivery.
 *
 * Each round has a server, a generator and connections of its own: a topic's and a group's members are what changes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../src/rules/limits.js";
import type { FanoutOptions, FanoutResult } from "../generator/fanout.js";
import { mergedPercentiles } from "../generator/latency.js";
import { Child } from "../process/child.js";
import { chooseCores } from "../process/cores.js";
import { interline } from "../systems/interline.js";
import type { RunningSystem, System } from "../systems/system.js";
import { uwsTopics } from "../systems/uws-topics.js";
import type { GroupFanoutWorkload } from "../workloads/workloads.js";
import { HOST, OPEN_TIMEOUT_MS } from "./contestant.js";
import { withScratchDirectory } from "./scratch-directory.js";
import { spread } from "./statistics.js";

export interface FanoutRow {
  readonly system: string;
  readonly durability: string;
  readonly members: number;
  readonly inFlight: number;
  readonly deliveredPerSec: number;
  readonly cpuUsPerDelivery: number;
  /** To `publish`, of neighbouring rounds: median, least, most; 1 for `publish` itself. */
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number };
  readonly deliveryP99Ms: number;
  readonly lost: number;
  readonly wrong: number;
  readonly unreceipted: number;
}

interface FanoutRun {
  readonly workload: GroupFanoutWorkload;
  readonly dataDirectory: string;
  readonly onProgress: (text: string) => void;
}

interface FanoutRound extends FanoutResult {
  readonly cpuUsPerDelivery: number;
  readonly deliveredPerSec: number;
}

export async function runGroupFanout(run: FanoutRun): Promise<FanoutRow[]> {
  const rows: FanoutRow[] = [];
  for (const members of run.workload.members) {
    for (const inFlight of run.workload.inFlight) rows.push(...(await alternate(run, members, inFlight)));
  }
  return rows;
}

async function alternate(run: FanoutRun, members: number, inFlight: number): Promise<FanoutRow[]> {
  const ours: FanoutRound[] = [];
  const theirs: FanoutRound[] = [];
  for (let i = 1; i <= run.workload.rounds; i++) {
    run.onProgress(`group-fanout to ${members}, ${inFlight} in flight: round ${i} of ${run.workload.rounds}`);
    ours.push(await runRound(run, interline, members, inFlight));
    theirs.push(await runRound(run, uwsTopics, members, inFlight));
  }
  const ratio = spread(ours.map((round, i) => round.cpuUsPerDelivery / theirs[i]!.cpuUsPerDelivery));
  const one = { median: 1, min: 1, max: 1 };
  return [rowOf(interline, members, inFlight, ours, ratio), rowOf(uwsTopics, members, inFlight, theirs, one)];
}

function rowOf(
  { name, durability }: System,
  members: number,
  inFlight: number,
  rounds: readonly FanoutRound[],
  ratio: FanoutRow["ratio"],
): FanoutRow {
  const median = (pick: (round: FanoutRound) => number): number => spread(rounds.map(pick)).median;
  const sum = (pick: (round: FanoutRound) => number): number =>
    rounds.reduce((all, round) => all + pick(round), 0);
  const latency = mergedPercentiles(rounds.map(({ deliveryLatency }) => deliveryLatency));
  return {
    system: name,
    durability,
    members,
    inFlight,
    deliveredPerSec: median((round) => round.deliveredPerSec),
    cpuUsPerDelivery: median((round) => round.cpuUsPerDelivery),
    ratio: { median: ratio.median, min: ratio.min, max: ratio.max },
    deliveryP99Ms: latency?.p99Ms ?? 0,
    lost: sum((round) => round.lost),
    wrong: sum((round) => round.wrong),
    unreceipted: sum((round) => round.unreceipted),
  };
}

function runRound(run: FanoutRun, system: System, members: number, inFlight: number): Promise<FanoutRound> {
  return withScratchDirectory(run.dataDirectory, async (directory) => {
    const cores = chooseCores();
    const server = await system.start({ core: cores.server, directory });
    const module = new URL("../generator/fanout-process.js", import.meta.url);
    const { child } = await Child.start({ module, core: cores.generator });
    try {
      return await measured(run.workload, { server, generator: child, members, inFlight });
    } finally {
      await child.kill();
      await server.stop();
    }
  });
}

async function measured(
  { payloadBytes, ackHoldMs, warmUpMs, windowMs, drainMs }: GroupFanoutWorkload,
  round: {
    readonly server: RunningSystem;
    readonly generator: Child;
    readonly members: number;
    readonly inFlight: number;
  },
): Promise<FanoutRound> {
  const { server, generator, inFlight } = round;
  // The sender is a member too.
  const members = Math.min(round.members, limits.groupMembersMax - 1);
  const speech = await speechOf(server, members);
  const options: FanoutOptions = { host: HOST, port: server.port, members, payloadBytes, ackHoldMs, speech };
  await generator.request("open", options, OPEN_TIMEOUT_MS);
  await generator.request("start", { inFlight });
  await sleep(warmUpMs);
  const [before] = await Promise.all([server.snapshot(), generator.request("measure")]);
  await sleep(windowMs);
  const after = await server.snapshot();
  const window = { fromMs: before.sharedMs, toMs: after.sharedMs, drainMs };
  const result = await generator.request<FanoutResult>("finish", window);
  const cpuUs = after.cpuUserUs + after.cpuSystemUs - before.cpuUserUs - before.cpuSystemUs;
  return {
    ...result,
    cpuUsPerDelivery: cpuUs / result.delivered,
    deliveredPerSec: (1000 * result.delivered) / (after.sharedMs - before.sharedMs),
  };
}

/** Of Interline the sign-ins of the sender and all receivers, and the group that the server makes of so many accounts. */
async function speechOf(server: RunningSystem, receivers: number): Promise<FanoutOptions["speech"]> {
  const group = await server.groupOf?.(receivers + 1);
  const dialect = await server.dialectFor(receivers + 1);
  if (group === undefined || dialect.name !== "interline") return { name: "publish" };
  return { ...dialect, ...group };
}

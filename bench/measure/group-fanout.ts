/**
 * One message to a whole group: Interline (one shared part, stored once, sequenced and acked at every member, receipted
 * after the flush) beside uWebSockets.js `publish` to a topic, in alternating rounds. What counts is the server's CPU time
 * per delivery.
 *
 * Each round has a server, a generator and connections of its own: a topic's and a group's members are what changes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../src/rules/limits.js";
import type { FanoutOptions } from "../generator/fanout.js";
import type { RoundResult } from "../generator/orders.js";
import { both } from "../process/both.js";
import type { Child } from "../process/child.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { RunningSystem, System } from "../systems/system.js";
import { uwsTopics } from "../systems/uws-topics.js";
import type { GroupFanoutWorkload } from "../workloads/workloads.js";
import { HOST, OPEN_TIMEOUT_MS, startGenerator } from "./contestant.js";
import { fanoutRoundMs } from "./durations.js";
import { type Round, roundOf, seenIn } from "./round.js";
import { type Row, rowOf } from "./row.js";
import { withScratchDirectory } from "./scratch-directory.js";
import { spread } from "./statistics.js";

const GENERATOR = new URL("../generator/fanout-process.js", import.meta.url);

interface FanoutRun {
  readonly workload: GroupFanoutWorkload;
  /** What stands beside `publish`. */
  readonly system: System;
  readonly dataDirectory: string;
  readonly onProgress: OnProgress;
}

interface FanoutSize {
  readonly members: number;
  readonly inFlight: number;
}

/** Two rows for each number of members and number in flight, whose workload is named by both: `group-fanout-1000`. */
export async function runGroupFanout(run: FanoutRun): Promise<Row[]> {
  const rows: Row[] = [];
  for (const members of run.workload.members) {
    for (const inFlight of run.workload.inFlight) rows.push(...(await alternate(run, { members, inFlight })));
  }
  return rows;
}

async function alternate(run: FanoutRun, size: FanoutSize): Promise<Row[]> {
  const { workload, system, onProgress } = run;
  const { inFlight } = size;
  const members = receiversOf(size);
  const ours: Round[] = [];
  const theirs: Round[] = [];
  for (let i = 1; i <= workload.rounds; i++) {
    const name = `${workload.name} to ${members}, ${inFlight} in flight: round ${i} of ${workload.rounds}`;
    onProgress(`${name}, ${system.name}`, fanoutRoundMs(workload, members), seenIn(theirs.at(-1)));
    ours.push(await runRound(run, system, size));
    onProgress(`${name}, ${uwsTopics.name}`, fanoutRoundMs(workload, members), seenIn(ours.at(-1)));
    theirs.push(await runRound(run, uwsTopics, size));
  }
  const ratio = spread(ours.map((round, i) => round.serverCpuUsPerMsg / theirs[i]!.serverCpuUsPerMsg));
  const row = (of: System, rounds: readonly Round[], { median, min, max }: typeof ratio): Row => ({
    ...rowOf({
      workload: `${workload.name}-${size.members}`,
      inFlight,
      devices: members + 1,
      payloadBytes: workload.payloadBytes,
      system: of,
      rounds,
      bare: undefined,
    }),
    ratioToPublish: median,
    ratioToPublishMin: min,
    ratioToPublishMax: max,
  });
  return [row(system, ours, ratio), row(uwsTopics, theirs, { median: 1, min: 1, max: 1 })];
}

/** The sender is a member too, and so is whoever makes the group, until he has left it. */
function receiversOf({ members }: FanoutSize): number {
  return Math.min(members, limits.groupMembersMax - 2);
}

function runRound(run: FanoutRun, system: System, size: FanoutSize): Promise<Round> {
  return withScratchDirectory(run.dataDirectory, async (directory) => {
    const cores = chooseCores();
    const serverStarts = system.start({ core: cores.server, directory });
    const [server, generator] = await both(serverStarts, startGenerator(cores, GENERATOR));
    try {
      return await measured(run.workload, server, generator, size);
    } finally {
      await Promise.all([generator.kill(), server.stop()]);
    }
  });
}

async function measured(
  workload: GroupFanoutWorkload,
  server: RunningSystem,
  generator: Child,
  size: FanoutSize,
): Promise<Round> {
  const members = receiversOf(size);
  const { payloadBytes, ackHoldMs, warmUpDeliveries, warmUpMsMax, windowMs, drainMs } = workload;
  const speech = await speechOf(server, members, workload.topicAcks);
  const options: FanoutOptions = { host: HOST, port: server.port, members, payloadBytes, ackHoldMs, speech };
  await generator.request("open", options, OPEN_TIMEOUT_MS);
  await generator.request("start", { inFlight: size.inFlight });
  await generator.request("warmUp", { deliveries: warmUpDeliveries, msMax: warmUpMsMax }, OPEN_TIMEOUT_MS);
  const [before] = await Promise.all([server.snapshot(), generator.request("measure")]);
  await sleep(windowMs);
  const after = await server.snapshot();
  const window = { fromMs: before.sharedMs, toMs: after.sharedMs, drainMs };
  return roundOf(before, after, await generator.request<RoundResult>("finish", window));
}

/** Of Interline the sign-ins of the sender and all receivers, and the group that the server makes of so many accounts. */
async function speechOf(
  server: RunningSystem,
  receivers: number,
  topicAcks: boolean,
): Promise<FanoutOptions["speech"]> {
  const everybody = Array.from({ length: receivers + 1 }, (_, device) => device);
  const [group] = (await server.groupsOf?.([everybody])) ?? [];
  const dialect = await server.dialectFor(receivers + 1);
  if (group === undefined || dialect.name !== "interline") return { name: "publish", acks: topicAcks };
  return { ...dialect, ...group };
}

/**
 * How long procedures take, about: for the time that is left (report/progress.ts),
 * which corrects itself by how long they really take. Seen on two cores.
 */
import type {
  ConnectStormWorkload,
  GroupFanoutWorkload,
  IdleWorkload,
  MixedWorkload,
  OfflineDrainWorkload,
  OpenLoopWorkload,
  PairsWorkload,
  RestartWorkload,
  SlowReadersWorkload,
} from "../workloads/schemas.js";

/** Drain and judge a round. */
const AFTER_ROUND_MS = 300;
const START_MS = 500;
/** From a storm's end: what its connections' end does to others. */
export const VANISHING_MS = 1_000;
const PER_DEVICE_MS = 0.6;
const PER_ENTRY_MS = 0.008;
/** A rate that is not sustained is tried twice. */
const TRIALS_PER_RATE = 1.5;
/** What a short window finds is more than what a long one confirms. */
const RATES_TO_CONFIRM = 4;

/** A system's start, and its devices' sign-ins. */
export function connectingMs(devices: number): number {
  return START_MS + devices * PER_DEVICE_MS;
}

/** Sends and deliveries, or entries queued, or drained. */
export function entriesMs(entries: number): number {
  return START_MS + entries * PER_ENTRY_MS;
}

export function roundMs({ warmUpMs, windowMs }: { readonly warmUpMs: number; readonly windowMs: number }) {
  return warmUpMs + windowMs + AFTER_ROUND_MS;
}

/** Rounds of each system and number in flight; under strace there is one. */
export function pairsMs(workload: PairsWorkload, systems: number, rounds = workload.rounds): number {
  const { devices, inFlight } = workload;
  return systems * (connectingMs(devices) + inFlight.length * rounds * roundMs(workload));
}

export function idleMs({ connections, settleMs }: IdleWorkload): number {
  return connectingMs(connections) + 2 * settleMs;
}

export function restartMs({ entries, senders, receivers }: RestartWorkload): number {
  return connectingMs(senders + receivers) + 2 * entriesMs(entries);
}

/** Beside relays: another search, and the same rates twice more. */
export function openLoopMs(workload: OpenLoopWorkload, how: "alone" | "beside relays"): number {
  const { devices, shares, rounds } = workload;
  const [searches, systems] = how === "alone" ? [1, 1] : [2, 3];
  return (
    searches * searchMs(workload) +
    systems * (connectingMs(devices) + shares.length * rounds * roundMs(workload))
  );
}

function searchMs(workload: OpenLoopWorkload): number {
  const { warmUpMs, searchWindowMs, confirmations } = workload;
  const trialMs = roundMs({ warmUpMs, windowMs: searchWindowMs });
  const confirmMs = RATES_TO_CONFIRM * confirmations * roundMs(workload);
  return TRIALS_PER_RATE * ratesTried(workload) * trialMs + confirmMs;
}

/** Sixteen times the first rate is about where a generator ends the search. */
function ratesTried({ searchFromPerSec, searchToPerSec, bisections }: OpenLoopWorkload): number {
  return Math.min(5, Math.ceil(Math.log2(searchToPerSec / searchFromPerSec)) + 1) + bisections;
}

export function offlineDrainMs(workload: OfflineDrainWorkload): number {
  const { senders, receivers, entriesPerReceiver, settleMs } = workload;
  return 2 * connectingMs(senders + receivers) + 3 * entriesMs(receivers * entriesPerReceiver) + 2 * settleMs;
}

export function connectStormMs(workload: ConnectStormWorkload, systems: number): number {
  const { devices, signIns, warmUpMs, windowMs } = workload;
  const windowsMs = warmUpMs + windowMs + connectingMs(signIns) + VANISHING_MS;
  return systems * (2 * connectingMs(devices + signIns) + windowsMs);
}

/** One round of one system, with its start. */
export function fanoutRoundMs({ warmUpDeliveries, windowMs }: GroupFanoutWorkload, members: number): number {
  return connectingMs(members) + entriesMs(warmUpDeliveries) + roundMs({ warmUpMs: 0, windowMs });
}

export function groupFanoutMs(workload: GroupFanoutWorkload, systems: number): number {
  const { members, inFlight, rounds } = workload;
  const each = members.reduce((sum, count) => sum + fanoutRoundMs(workload, count), 0);
  return systems * rounds * inFlight.length * each;
}

export function mixedMs(workload: MixedWorkload): number {
  return connectingMs(workload.devices) + workload.rounds * roundMs(workload);
}

export function slowReadersMs(workload: SlowReadersWorkload): number {
  const { devices, slowDevices, rounds } = workload;
  return connectingMs(devices + slowDevices) + rounds * (roundMs(workload) + slowRoundMs(workload));
}

/** The slow ones are filled ahead, read on, and drain. */
export function slowRoundMs(workload: SlowReadersWorkload): number {
  return roundMs(workload) + 2 * entriesMs(workload.aheadEntries);
}

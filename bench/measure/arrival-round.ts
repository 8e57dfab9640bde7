/**
 * One round of an open loop, whatever arrives in it:
 *
 *   arrive ──▶ warm-up ──▶ │ window: arrivals at their times │ ──▶ drain; latencies count to the end
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ArrivalOptions, ArrivalWindow } from "../generator/arrivals.js";
import { mergedPercentiles, type Percentiles } from "../generator/latency.js";
import type { Contestant } from "./contestant.js";
import { machineBusyMs } from "./machine.js";
import { judge, type Round } from "./round.js";

export interface ArrivalRound {
  readonly window: ArrivalWindow;
  readonly round: Round;
  /** Cores' worth of other work on this machine in the window (interrupts and stolen time too); null off Linux. */
  readonly othersBusy: number | null;
  readonly delivery: Percentiles | undefined;
  readonly receipt: Percentiles | undefined;
}

/** The generator is the limit when it is busier than this, or sends or reads later than this. */
const GENERATOR_BUSY_MAX = 0.95;
const GENERATOR_LAG_P99_MS_MAX = 1;

export async function runArrivals(
  contestant: Contestant,
  options: ArrivalOptions,
  times: { readonly warmUpMs: number; readonly windowMs: number; readonly drainMs: number },
): Promise<ArrivalRound> {
  const { generator, server } = contestant;
  await generator.request("arrive", options);
  await sleep(times.warmUpMs);
  const [before] = await Promise.all([server.snapshot(), generator.request("measure")]);
  const machineBefore = machineBusyMs();
  await sleep(times.windowMs);
  const machineAfter = machineBusyMs();
  const [after, window] = await Promise.all([
    server.snapshot(),
    generator.request<ArrivalWindow>("stopArrivals"),
  ]);
  const round = await judge(contestant, before, after, times.drainMs);
  const busy = machineBefore === null || machineAfter === null ? null : machineAfter - machineBefore;
  return {
    window,
    round,
    othersBusy: busy && Math.max(0, busy / times.windowMs - round.serverBusy - round.generatorBusy),
    delivery: mergedPercentiles([round.deliveryLatency]),
    receipt: mergedPercentiles([round.receiptLatency]),
  };
}

/** Whether its own lateness is a good part of what was measured. */
export function generatorWasLimit({ window, round }: ArrivalRound): boolean {
  if (window.busy > GENERATOR_BUSY_MAX && round.serverBusy < GENERATOR_BUSY_MAX) return true;
  return Math.max(window.lagP99Ms, window.readLagP99Ms) > GENERATOR_LAG_P99_MS_MAX;
}

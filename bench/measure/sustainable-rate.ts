/**
 * The highest rate that a system sustains: in a window the backlog (sends that are due, under way or pushed back) does not
 * grow, nothing is refused, and deliveries stay within a bound.
 *
 *   double    from the first rate on, until one fails twice in short windows
 *   bisect    between the last two
 *   confirm   from there down, a twentieth at a time, until most of some windows as long as a round's hold
 *
 * Short windows, of which one of two is enough, find what a system can do for a moment; only what was confirmed is sustained.
 */
import type { OpenLoopWorkload } from "../workloads/workloads.js";
import type { ArrivalRound } from "./arrival-round.js";

type Search = Pick<
  OpenLoopWorkload,
  "searchFromPerSec" | "searchToPerSec" | "bisections" | "searchWindowMs" | "confirmations" | "windowMs"
>;

/** One window at one rate: true when it was sustained. */
export type Trial = (ratePerSec: number, windowMs: number) => Promise<boolean>;

/** A backlog that grows by no more than this is steady: half as much again, and so many milliseconds' sends. */
const GROWTH_MAX = 1.5;
const GROWTH_SLACK_MS = 20;
/** A rate must fail so often: one pause of the machine is no limit of the system. */
export const ATTEMPTS = 2;
const CONFIRM_STEP = 0.95;

/** Per second; 0 when even the first rate was not sustained. */
export async function findSustainable(search: Search, trial: Trial): Promise<number> {
  const highest = await highestForAMoment(search, trial);
  for (let rate = highest; rate >= search.searchFromPerSec; rate = Math.floor(rate * CONFIRM_STEP)) {
    if (await isConfirmed(search, trial, rate)) return rate;
  }
  return 0;
}

async function highestForAMoment(search: Search, trial: Trial): Promise<number> {
  const { searchFromPerSec, searchToPerSec, bisections, searchWindowMs } = search;
  const holds = async (ratePerSec: number): Promise<boolean> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++)
      if (await trial(ratePerSec, searchWindowMs)) return true;
    return false;
  };
  let low = 0;
  let high = searchFromPerSec;
  while (await holds(high)) {
    low = high;
    if (high === searchToPerSec) return low;
    high = Math.min(2 * high, searchToPerSec);
  }
  for (let i = 0; i < bisections; i++) {
    const middle = Math.round((low + high) / 2);
    if (await holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

async function isConfirmed(
  { confirmations, windowMs }: Search,
  trial: Trial,
  ratePerSec: number,
): Promise<boolean> {
  let held = 0;
  let failed = 0;
  while (2 * held < confirmations && 2 * failed < confirmations) {
    if (await trial(ratePerSec, windowMs)) held++;
    else failed++;
  }
  return held > failed;
}

export function isSustained(arrivals: ArrivalRound, ratePerSec: number, deliveryP99MsMax: number): boolean {
  const { window, delivery, round } = arrivals;
  const slack = (ratePerSec * GROWTH_SLACK_MS) / 1000;
  const grows = window.backlogSecondHalf > GROWTH_MAX * window.backlogFirstHalf + slack;
  return !window.gaveUp && !grows && round.refused === 0 && (delivery?.p99Ms ?? Infinity) <= deliveryP99MsMax;
}

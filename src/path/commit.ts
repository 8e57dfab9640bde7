/**
 * Commits group by themselves: while one is being flushed the ticks accumulate, and the next takes them all. Small
 * ones are also kept a few milliseconds apart, the more the longer turns are; the first after a pause goes at once.
 * Only after the flush has returned are receipts due: nothing else in the engine settles them.
 *
 * A commit begins before what it holds is sent. While turns are long and a commit is large, its turn takes many times
 * what the flush takes: to wait for the flush then lets the receipts ride in the very sends of the turn, where
 * they would otherwise wait for the next one.
 */
import type { PathState } from "./state.js";

/** Acks alone are committed this seldom: losing them costs a repeated delivery, not an envelope. */
const ACKS_ALONE_MS = 250;
/** Of the longest spacing (limits.ts: commitSpacingMs), what commits keep however little there is to do. */
const SPACING_LEAST = 0.1;

export function commit(state: PathState): void {
  const { kernel, moment, limits } = state;
  if (state.underWay !== undefined || state.hasFailed || !state.hasUncommitted) return;
  const sinceMs = moment.monotonicMs - state.lastCommitMs;
  const isLarge = kernel.uncommittedBytes >= limits.largeCommitBytes;
  if (!isLarge && sinceMs < limits.commitSpacingMs * Math.max(SPACING_LEAST, moment.patience)) return;
  const isAcksAlone = kernel.uncommittedBytes === 0 && !kernel.hasUnsealedReceipts;
  if (isAcksAlone && sinceMs < ACKS_ALONE_MS) return;
  const batch = kernel.seal(moment.wallMs, moment.monotonicMs);
  if (batch === undefined) return;
  const { records, dedupKeys } = batch;
  const commit = state.store.commit({ records, dedupKeys, timeMs: moment.wallMs });
  state.underWay = { batch, commit, bytes: records.reduce((sum, record) => sum + record.bytes.length, 0) };
  state.commitCount++;
  state.lastCommitMs = moment.monotonicMs;
  commit.durable.then(state.wake, () => failed(state));
}

/** What the commit under way made durable, if it is by now, is receipted from here on. */
export function settleCommit(state: PathState, waitMs = 0): void {
  const { underWay } = state;
  if (underWay === undefined || state.hasFailed || !underWay.commit.isDurable(waitMs)) return;
  state.underWay = undefined;
  state.kernel.committed(underWay.batch, state.moment.monotonicMs);
}

/** How long the sends of this turn may wait for the flush of what they hold. */
export function flushWaitMs({ underWay, moment, limits }: PathState): number {
  const isWorthIt =
    moment.patience === 1 && underWay !== undefined && underWay.bytes >= limits.largeCommitBytes;
  return isWorthIt ? limits.flushWaitMs : 0;
}

/** The store says `failed` to the node, which stops; from here on nothing is receipted, and nobody waits for it. */
export function failed(state: PathState): void {
  state.hasFailed = true;
  state.settle();
}

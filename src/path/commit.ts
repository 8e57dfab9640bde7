/**
 * Commits group by themselves: while one is being flushed the ticks accumulate, and the next takes them all. While
 * the loop is busy they are also kept a few milliseconds apart, which their receipts would spend waiting for a ride.
 * Only after the flush has returned are receipts due: nothing else in the engine settles them.
 */
import type { SealedBatch } from "../kernel/kernel.js";
import type { PathState } from "./state.js";

/** Acks alone are committed this seldom: losing them costs a repeated delivery, not an envelope. */
const ACKS_ALONE_MS = 250;

export function commit(state: PathState): void {
  const { kernel, moment } = state;
  if (state.isCommitting || !state.hasUncommitted) return;
  const sinceMs = moment.monotonicMs - state.lastCommitMs;
  if (sinceMs < state.limits.commitSpacingMs * moment.patience) return;
  const isAcksAlone = kernel.uncommittedBytes === 0 && !kernel.hasUnsealedReceipts;
  if (isAcksAlone && sinceMs < ACKS_ALONE_MS) return;
  const batch = kernel.seal(moment.wallMs, moment.monotonicMs);
  if (batch === undefined) return;
  state.isCommitting = true;
  state.lastCommitMs = moment.monotonicMs;
  state.store.commit({ records: batch.records, dedupKeys: batch.dedupKeys, timeMs: moment.wallMs }).then(
    () => flushed(state, batch),
    () => failed(state),
  );
}

function flushed(state: PathState, batch: SealedBatch): void {
  state.isCommitting = false;
  if (state.hasFailed) return;
  state.kernel.committed(batch, state.moment.monotonicMs);
  state.wake();
}

/** The store says `failed` to the node, which stops; from here on nothing is receipted. */
export function failed(state: PathState): void {
  state.hasFailed = true;
}

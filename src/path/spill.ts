/**
 * Moves what stayed unacked from the tail to its devices' queues, a few thousand runs at a time, when the oldest
 * record is old or the tail is half full. A connected device's traffic is acked long before and costs only a look.
 */
import { failed } from "./commit.js";
import type { PathState } from "./state.js";

const RUNS_PER_SCAN = 16_384;

export function spill(state: PathState): void {
  const { kernel, limits, moment } = state;
  if (state.isSpilling) return;
  const ageMs = kernel.oldestRecordAgeMs(moment.monotonicMs);
  if (ageMs < limits.spillAgeMs && (ageMs === 0 || kernel.tailUsed < limits.journalTailBytes / 2)) return;
  const scan = kernel.spillScan(RUNS_PER_SCAN);
  if (scan.seen === 0 && scan.record === 0) return;
  state.isSpilling = true;
  state.store
    .spill(scan.rows, scan.record, (number) => kernel.part(number))
    .then(
      () => {
        state.isSpilling = false;
        if (state.hasFailed) return;
        kernel.release();
        for (const row of scan.rows) state.events.queued?.(row.device, row.entryCount);
        state.wake();
      },
      () => failed(state),
    );
}

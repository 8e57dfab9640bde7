/**
 * One clock for all processes of a run: milliseconds of the machine's monotonic
 * clock. `performance.now()` counts from each process's own start; hrtime does not.
 */
const OFFSET_TRIES = 100;
const offsetMs = offsetOfPerformance();

/** Between two readings of the one clock, the other is read; the quickest try was not interrupted. */
function offsetOfPerformance(): number {
  let quickestMs = Infinity;
  let offset = 0;
  for (let i = 0; i < OFFSET_TRIES; i++) {
    const before = Number(process.hrtime.bigint()) / 1e6;
    const now = performance.now();
    const tookMs = Number(process.hrtime.bigint()) / 1e6 - before;
    if (tookMs < quickestMs) {
      quickestMs = tookMs;
      offset = before + tookMs / 2 - now;
    }
  }
  return offset;
}

/** Comparable between processes of one machine. */
export function sharedMs(): number {
  return performance.now() + offsetMs;
}

/**
 * From one stamp to a later one. A stamp, as payloads hold it, is `sharedMs` in microseconds, modulo 2^32. Clocks of
 * two processes agree within a few microseconds: a later stamp that seems earlier is taken for the same.
 */
export function elapsedUs(fromStamp: number, toStamp: number): number {
  return Math.max((toStamp - fromStamp) | 0, 0);
}

/**
 * One clock for all processes of a run: milliseconds of the machine's monotonic
 * clock. `performance.now()` counts from each process's own start; hrtime does not.
 */
const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Comparable between processes of one machine. */
export function sharedMs(): number {
  return performance.now() + offsetMs;
}

/** Microseconds, modulo 2^32: for stamps inside payloads; differences are taken modulo 2^32 too. */
export function stampUs(): number {
  return ((performance.now() + offsetMs) * 1000) >>> 0;
}

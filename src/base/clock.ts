/**
 * Time as the engine sees it, read once a turn and passed down. Two of them, because a machine's clock is set now and then
 * (NTP, an operator, a machine that was suspended):
 *
 *   wallMs        what people and others go by: dates of envelopes, of what is stored for weeks, of brands' tokens
 *   monotonicMs   how much time has passed: windows, limits, deadlines, ages, overlaps
 *
 * The second is the first's reading at the start of the process and what has passed since. No setting of the clock touches
 * it; that NTP makes the one go a little faster or slower goes for both, on Linux, and there the time for which the machine
 * is suspended does not count. It reads like a date so that the next process, which begins at the wall clock again, can go on
 * with what is stored by it (buckets of keys, overlaps of delivery tokens): out by as much as the clock was set since the start.
 */

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC; may jump. */
  wallMs(): number;
  /** Milliseconds, with fractions; never jumps nor goes back. */
  monotonicMs(): number;
}

const { timeOrigin } = performance;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => timeOrigin + performance.now(),
};

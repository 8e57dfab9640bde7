/**
 * By what time entries are judged to be too old: the wall clock, as long as it goes like the clock that never jumps. Set
 * ahead it would expire in a moment what was to be kept for weeks, and nothing brings that back when it is set right
 * again. So a jump ahead is not believed at once:
 *
 *   within clockStepMs of what was expected   believed: clocks are corrected by seconds, and leap
 *   behind it                                 believed: entries expire later, and none is lost
 *   ahead of it                               not believed for clockDoubtMs, in which time goes on as it went; then it is
 *
 * A machine that slept looks like a clock that was set ahead; its entries then stay for clockDoubtMs longer. At a start the
 * wall clock is believed, as there is nothing to hold it against.
 */

export interface ClockBounds {
  readonly clockStepMs: number;
  readonly clockDoubtMs: number;
}

export interface Judged {
  /** By which entries expire; never ahead of the wall clock. */
  readonly expiryMs: number;
  /** Of the clock that never jumps, at this look. */
  readonly monotonicMs: number;
  /** For how long the wall clock has not been believed; undefined when it is. */
  readonly doubtedMs: number | undefined;
}

export function judgeClock(
  before: Judged | undefined,
  now: { readonly wallMs: number; readonly monotonicMs: number },
  { clockStepMs, clockDoubtMs }: ClockBounds,
): Judged {
  const { wallMs, monotonicMs } = now;
  const believed = { expiryMs: wallMs, monotonicMs, doubtedMs: undefined };
  if (before === undefined) return believed;
  const elapsedMs = monotonicMs - before.monotonicMs;
  const expectedMs = before.expiryMs + elapsedMs;
  if (wallMs <= expectedMs + clockStepMs) return believed;
  const doubtedMs = before.doubtedMs === undefined ? 0 : before.doubtedMs + elapsedMs;
  if (doubtedMs >= clockDoubtMs) return believed;
  return { expiryMs: expectedMs, monotonicMs, doubtedMs };
}

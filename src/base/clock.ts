/** Time as the engine sees it: one reading per turn, passed down as `nowMs`. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC; may jump. For what is stored or shown. */
  wallMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. For deadlines and ages. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

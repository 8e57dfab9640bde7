/**
 * How patient a node may be, from how busy its thread is: 0 while it is mostly idle, when waiting would only add
 * latency; 1 near saturation, when every millisecond of company saves system calls for many envelopes. In between it
 * rises with the square, so that a node at half its capacity waits hardly at all.
 */
const PATIENT_FROM = 0.25;
const PATIENT_TO = 0.9;

/** `busyShare`: of the last moments, 0 to 1, waiting and napping left out. */
export function patienceAt(busyShare: number): number {
  const pressure = (busyShare - PATIENT_FROM) / (PATIENT_TO - PATIENT_FROM);
  return Math.min(1, Math.max(0, pressure)) ** 2;
}

/** The least time from the begin of one turn to that of the next. */
export function turnSpacingMs(patience: number, spacingMaxMs: number): number {
  return spacingMaxMs * patience ** 2;
}

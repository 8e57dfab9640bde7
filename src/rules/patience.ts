/**
 * How patient a node is, from how long its turns are: 0 while they are short, when waiting would only add latency; 1 once
 * a turn takes so long that to wait for a few of them saves system calls and adds little to what everything waits for
 * anyway. What waits (limits.ts: receiptHoldMs, commitSpacingMs) thereby waits for a few turns, whatever their length.
 *
 * The share of time in which the thread is busy would not do: many short turns keep it as busy as few long ones.
 */
const PATIENT_FROM_MS = 0.25;
const PATIENT_TO_MS = 4;

export function patienceAt(turnLengthMs: number): number {
  return Math.min(1, Math.max(0, (turnLengthMs - PATIENT_FROM_MS) / (PATIENT_TO_MS - PATIENT_FROM_MS)));
}

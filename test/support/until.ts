/** Waiting for a condition, never for luck. */
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 5;

/** Resolves when the condition holds; rejects with its name when it has not after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(POLL_MS);
  }
}

/** True when the condition came to hold; false when `measure` stood still for `stillMs` before. */
export async function untilOrStill(
  condition: () => boolean,
  measure: () => number,
  stillMs: number,
): Promise<boolean> {
  let last = measure();
  let changedMs = performance.now();
  while (!condition()) {
    const now = measure();
    if (now !== last) {
      last = now;
      changedMs = performance.now();
    } else if (performance.now() - changedMs > stillMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

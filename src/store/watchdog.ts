/**
 * Says when a write does not come back. The time that a write takes is counted
 * in steps that the watchdog has seen itself, each worth at most two: a process
 * that was stopped for a minute finds its write done, not overdue.
 */
export class Watchdog {
  readonly #timer: NodeJS.Timeout;
  /** How long the write under way has been watched; undefined when there is none. */
  #underWayMs: number | undefined;
  #isOverdue = false;
  #resolveOverdue = (): void => {};
  /** Resolves when a write is overdue. */
  readonly overdue = new Promise<void>((resolve) => {
    this.#resolveOverdue = resolve;
  });

  /** `onOverdue` is called at most once for each write. */
  constructor(timeoutMs: number, onOverdue: (error: Error) => void) {
    const stepMs = Math.max(5, Math.min(1_000, timeoutMs / 8));
    let seenMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      const elapsedMs = Math.min(nowMs - seenMs, 2 * stepMs);
      seenMs = nowMs;
      if (this.#underWayMs === undefined) return;
      this.#underWayMs += elapsedMs;
      if (this.#underWayMs < timeoutMs || this.#isOverdue) return;
      this.#isOverdue = true;
      this.#resolveOverdue();
      onOverdue(new Error(`a write was not finished after ${timeoutMs} ms`));
    }, stepMs).unref();
  }

  /** True while a write is overdue: it may never come back, and hold its locks for ever. */
  get isOverdue(): boolean {
    return this.#isOverdue;
  }

  begin(): void {
    this.#underWayMs = 0;
  }

  end(): void {
    this.#underWayMs = undefined;
    this.#isOverdue = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/**
 * Background work in small pieces. Every task is called once a round and given
 * to do a bounded piece of its work (it keeps its own budget and place); then
 * the next; then the round rests until a second after it began, or for as long
 * as it took if that was more, so that sweeping never takes more than about
 * half of the time.
 *
 * Invariants. No two tasks run at once, and no task overlaps itself. A task that
 * fails is reported and called again in the next round. The timer does not keep
 * the process alive.
 */
export interface SweepTask {
  readonly name: string;
  run(): Promise<void> | void;
}

export class Sweeps {
  readonly #tasks: readonly SweepTask[];
  readonly #everyMs: number;
  readonly #onFailure: (name: string, error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isStopped = false;

  constructor(
    tasks: readonly SweepTask[],
    options: { readonly everyMs?: number; readonly onFailure: (name: string, error: unknown) => void },
  ) {
    this.#tasks = tasks;
    this.#everyMs = options.everyMs ?? 1_000;
    this.#onFailure = options.onFailure;
    this.#rest(this.#everyMs);
  }

  /** Resolves when no task runs any more, and none will. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  #rest(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#round = this.#sweep();
    }, ms);
    this.#timer.unref();
  }

  async #sweep(): Promise<void> {
    const startMs = performance.now();
    for (const task of this.#tasks) {
      if (this.#isStopped) return;
      try {
        await task.run();
      } catch (error) {
        this.#onFailure(task.name, error);
      }
    }
    const tookMs = performance.now() - startMs;
    if (!this.#isStopped) this.#rest(Math.max(this.#everyMs - tookMs, tookMs));
  }
}

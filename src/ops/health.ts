/**
 * Whether the node is ready for devices, and why not. Liveness is not asked
 * here: a process that answers at all is alive.
 *
 * A blocking condition makes the node not ready (it is draining, its storage
 * failed). Any other is told beside it and changes nothing: with a low disk
 * delivery goes on, and a load balancer that sent devices away would only move
 * the trouble.
 */
export interface HealthReport {
  readonly ready: boolean;
  /** Conditions that hold now, blocking ones first. */
  readonly conditions: readonly string[];
}

export class Health {
  readonly #blocking = new Set<string>();
  readonly #other = new Set<string>();

  /** Says whether the condition holds from now on. */
  block(condition: string, holds: boolean): void {
    put(this.#blocking, condition, holds);
  }

  /** Says whether the condition holds from now on. */
  note(condition: string, holds: boolean): void {
    put(this.#other, condition, holds);
  }

  report(): HealthReport {
    return { ready: this.#blocking.size === 0, conditions: [...this.#blocking, ...this.#other] };
  }
}

function put(set: Set<string>, condition: string, holds: boolean): void {
  if (holds) set.add(condition);
  else set.delete(condition);
}

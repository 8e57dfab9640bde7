/** A typed emitter that runs in browsers. Listeners are called in the order they were added. */

export type Listener<Event> = (event: Event) => unknown;

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  /** Adds a listener and returns the function that removes it. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener as Listener<never>);
    return () => listeners.delete(listener as Listener<never>);
  }

  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Calls every listener and returns what they return; an exception reaches the caller. */
  call<Name extends keyof Events>(name: Name, event: Events[Name]): unknown[] {
    return [...(this.#listeners.get(name) ?? [])].map((listener) =>
      (listener as Listener<Events[Name]>)(event),
    );
  }

  /**
   * Calls every listener. An exception of one must not break the client in the
   * middle of its work: it is thrown again outside, where the platform reports it.
   */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as Listener<Events[Name]>)(event);
      } catch (error) {
        throwOutside(error);
      }
    }
  }
}

export function throwOutside(error: unknown): void {
  setTimeout(() => {
    throw error;
  }, 0);
}

/**
 * Connections that were refused while they were opened: counted, and tried again
 * after a pause. A refusal may be told more than once (an error, then a close).
 */
const PAUSE_MS = 250;

export class Refusals {
  count = 0;
  readonly #open: (device: number) => void;
  readonly #paused = new Set<number>();

  constructor(open: (device: number) => void) {
    this.#open = open;
  }

  note(device: number): void {
    if (this.#paused.has(device)) return;
    this.count += 1;
    this.#paused.add(device);
    setTimeout(() => {
      this.#paused.delete(device);
      this.#open(device);
    }, PAUSE_MS);
  }
}

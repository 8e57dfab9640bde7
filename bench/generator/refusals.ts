/**
 * Connections that were refused while they were opened: counted, and tried again
 * after a pause. A refusal may be told more than once (an error, then a close).
 */
const PAUSE_MS = 250;
/** Not all at the same moment again: as much as this is added, by device. */
const PAUSE_SPREAD_MS = 500;

export class Refusals {
  count = 0;
  /** How often each reason was given. */
  readonly byReason = new Map<string, number>();
  readonly #open: (device: number) => void;
  readonly #paused = new Set<number>();

  constructor(open: (device: number) => void) {
    this.#open = open;
  }

  note(device: number, reason: string): void {
    if (this.#paused.has(device)) return;
    this.count += 1;
    this.byReason.set(reason, (this.byReason.get(reason) ?? 0) + 1);
    this.#paused.add(device);
    setTimeout(
      () => {
        this.#paused.delete(device);
        this.#open(device);
      },
      PAUSE_MS + (device % PAUSE_SPREAD_MS),
    );
  }
}

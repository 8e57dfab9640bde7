/** A paced stream of sends beside the circulation: senders in turn, to some devices in turn. */
import { sharedMs } from "../process/clock.js";
import type { Traffic } from "./traffic.js";

export interface FeedOptions {
  readonly perSec: number;
  /** Those that are sent to. */
  readonly from: number;
  readonly to: number;
}

const INTERVAL_MS = 5;

export class Feed {
  readonly #timer: NodeJS.Timeout;

  constructor(traffic: Traffic, senders: number, { perSec, from, to }: FeedOptions) {
    const startedMs = sharedMs();
    let sent = 0;
    this.#timer = setInterval(() => {
      const due = ((sharedMs() - startedMs) * perSec) / 1000;
      traffic.tick();
      for (; sent < due; sent++) {
        const sender = sent % senders;
        traffic.send(sender, from + (sent % (to - from)));
        traffic.flush(sender);
      }
    }, INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

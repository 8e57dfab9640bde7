/**
 * Watches generator processes while they run: asks all of them about once a
 * second, adds up what they say, and tells it on (to the terminal, to whoever
 * scrapes). What was seen in the window becomes the result's timeline.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CoarseLatency } from "../generator/coarse-latency.js";
import type { GeneratorProgress } from "../generator/orders.js";
import type { Child } from "../process/child.js";
import { sharedMs } from "../process/clock.js";

export const loadPhases = ["connecting", "warming up", "measuring", "draining"] as const;
export type LoadPhase = (typeof loadPhases)[number];

/** Of all processes together. */
export interface LoadStatus {
  readonly phase: LoadPhase;
  /** Until the window closes. */
  readonly remainingMs: number;
  /** Since the first send. */
  readonly sent: number;
  readonly delivered: number;
  readonly receipted: number;
  readonly refused: number;
  readonly unanswered: number;
  /** Since the last look. */
  readonly sentPerSec: number;
  readonly deliveredPerSec: number;
  /** Since the window opened, within one per cent; null before anything was. */
  readonly deliveryP99Ms: number | null;
  readonly receiptP99Ms: number | null;
  readonly lagP99Ms: number | null;
}

/** One look within the window: what had happened since the look before. */
export interface LoadMoment {
  /** Since the window opened. */
  readonly atMs: number;
  readonly sentPerSec: number;
  readonly deliveredPerSec: number;
  readonly deliveryP99Ms: number | null;
  readonly receiptP99Ms: number | null;
  readonly lagP99Ms: number | null;
}

interface Look {
  readonly atMs: number;
  readonly sent: number;
  readonly delivered: number;
  readonly delivery: CoarseLatency;
  readonly receipt: CoarseLatency;
  readonly lag: CoarseLatency;
}

const POLL_MS_MAX = 1_000;
const POLL_MS_MIN = 50;
/** A window is looked into at least so often. */
const LOOKS_MIN = 5;
const DRAIN_POLL_MS = 25;

export class LoadMonitor {
  /** Looks within the window, which is the phase called "measuring". */
  readonly timeline: LoadMoment[] = [];
  readonly #generators: readonly Child[];
  readonly #onStatus: (status: LoadStatus) => void;
  readonly #pollMs: number;
  #last: Look | undefined;
  #windowFromMs = 0;

  constructor(generators: readonly Child[], windowMs: number, onStatus: (status: LoadStatus) => void) {
    this.#generators = generators;
    this.#onStatus = onStatus;
    this.#pollMs = Math.max(POLL_MS_MIN, Math.min(POLL_MS_MAX, windowMs / LOOKS_MIN));
  }

  /** Watches for so long. `afterMs`: what comes after this phase until the window closes. */
  async watch(phase: LoadPhase, durationMs: number, afterMs = 0): Promise<void> {
    const endMs = sharedMs() + durationMs;
    if (phase === "measuring") {
      // Histograms begin anew with the window.
      this.#last = this.#last && { ...this.#last, ...noLatencies() };
      this.#windowFromMs = sharedMs();
    }
    for (;;) {
      const leftMs = endMs - sharedMs();
      if (leftMs < this.#pollMs * 1.5) {
        await sleep(Math.max(0, leftMs));
        return;
      }
      await sleep(this.#pollMs);
      await this.#look(phase, Math.max(0, endMs - sharedMs()) + afterMs);
    }
  }

  /** Until everything has arrived and has its receipt, or nothing has moved for `patienceMs`. */
  async drain(patienceMs: number): Promise<void> {
    let movedAtMs = sharedMs();
    let before = Infinity;
    for (;;) {
      const { sent, delivered, unanswered } = await this.#look("draining", 0);
      const left = sent - delivered + unanswered;
      if (left === 0) return;
      if (left !== before) movedAtMs = sharedMs();
      else if (sharedMs() - movedAtMs > patienceMs) return;
      before = left;
      await sleep(DRAIN_POLL_MS);
    }
  }

  async #look(phase: LoadPhase, remainingMs: number): Promise<LoadStatus> {
    const told = await Promise.all(
      this.#generators.map((generator) => generator.request<GeneratorProgress>("progress")),
    );
    const sumOf = (pick: (one: GeneratorProgress) => number) => told.reduce((sum, one) => sum + pick(one), 0);
    const look: Look = {
      atMs: sharedMs(),
      sent: sumOf(({ sent }) => sent),
      delivered: sumOf(({ delivered }) => delivered),
      delivery: new CoarseLatency(told.map(({ delivery }) => delivery)),
      receipt: new CoarseLatency(told.map(({ receipt }) => receipt)),
      lag: new CoarseLatency(told.map(({ lag }) => lag)),
    };
    const last = this.#last ?? { ...look, ...noLatencies() };
    const perSec = (difference: number) => difference / Math.max(0.001, (look.atMs - last.atMs) / 1000);
    const rates = {
      sentPerSec: perSec(look.sent - last.sent),
      deliveredPerSec: perSec(look.delivered - last.delivered),
    };
    if (phase === "measuring") {
      this.timeline.push({
        atMs: look.atMs - this.#windowFromMs,
        ...rates,
        deliveryP99Ms: look.delivery.percentileMs(99, last.delivery),
        receiptP99Ms: look.receipt.percentileMs(99, last.receipt),
        lagP99Ms: look.lag.percentileMs(99, last.lag),
      });
    }
    this.#last = look;
    const status: LoadStatus = {
      phase,
      remainingMs,
      sent: look.sent,
      delivered: look.delivered,
      receipted: sumOf(({ receipted }) => receipted),
      refused: sumOf(({ refused }) => refused),
      unanswered: sumOf(({ unanswered }) => unanswered),
      ...rates,
      deliveryP99Ms: look.delivery.percentileMs(99),
      receiptP99Ms: look.receipt.percentileMs(99),
      lagP99Ms: look.lag.percentileMs(99),
    };
    this.#onStatus(status);
    return status;
  }
}

function noLatencies(): Pick<Look, "delivery" | "receipt" | "lag"> {
  const nothing = new CoarseLatency([]);
  return { delivery: nothing, receipt: nothing, lag: nothing };
}

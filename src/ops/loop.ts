/**
 * Drives the path: one turn after each turn of the event loop in which something arrived, turns within one that others
 * make long, and later turns for what waits for time to pass. It reads the clock as a turn begins and as it ends, and
 * measures how long turns are: from that comes the path's patience (rules/patience.ts).
 */
import { performance } from "node:perf_hooks";
import type { Clock } from "../base/clock.js";
import { patienceAt } from "../rules/patience.js";

/** What the loop drives; src/path/path.ts is the real one. */
export interface Driven {
  turn(moment: { wallMs: number; monotonicMs: number; patience: number }): void;
  readonly isWaiting: boolean;
}

const SAMPLE_MS = 20;
/** What lies further back than this counts no more. */
const MEMORY_MS = 70;
const WAIT_MS = 5;
/** So long after a turn, or as long as that took, what arrived since is late: others have half of the time at least. */
const LATE_MS = 1;

export class Loop {
  private driven: Driven | undefined;
  private isScheduled = false;
  private isInTurn = false;
  private isStopped = false;
  private timer: NodeJS.Timeout | undefined;
  private patience = 0;
  /** Since the last sample. */
  private turns = 0;
  private sampledAtMs = 0;
  private sampledActiveMs = 0;
  private turnLengthMs = 0;
  private lastTurnMs = 0;
  private turnEndedAtMs = 0;

  /** `activeMs`: how long the thread has done anything but wait for events, in all. */
  constructor(
    private readonly clock: Clock,
    private readonly onError: (error: unknown) => void,
    private readonly activeMs = () => performance.eventLoopUtilization().active,
  ) {}

  drive(driven: Driven): void {
    this.driven = driven;
  }

  /** A turn soon: after all sockets that are ready now were read, or when it is late. */
  readonly wake = (): void => {
    if (this.isScheduled || this.isStopped) return;
    this.isScheduled = true;
    setImmediate(this.scheduled);
  };

  /** A turn at once; nothing happens when one is already under way. */
  readonly turnNow = (): void => {
    if (this.isInTurn || this.isStopped || this.driven === undefined) return;
    const monotonicMs = this.clock.monotonicMs();
    this.measure(monotonicMs);
    this.isInTurn = true;
    try {
      this.driven.turn({
        wallMs: this.clock.wallMs(),
        monotonicMs: Math.floor(monotonicMs),
        patience: this.patience,
      });
    } catch (error) {
      this.isStopped = true;
      this.onError(error);
    } finally {
      this.isInTurn = false;
    }
    this.turnEndedAtMs = this.clock.monotonicMs();
    this.lastTurnMs = this.turnEndedAtMs - monotonicMs;
    if (this.driven.isWaiting && this.timer === undefined && !this.isStopped) {
      this.timer = setTimeout(this.waited, WAIT_MS);
    }
  };

  /**
   * For whoever does something else on the thread, between two pieces of it: a turn at once when one is asked for and late.
   * Thousands of sockets that come or go at once are one turn of the event loop, with all messages that arrive among them.
   */
  readonly turnIfLate = (): void => {
    if (!this.isScheduled) return;
    const sinceMs = this.clock.monotonicMs() - this.turnEndedAtMs;
    if (sinceMs >= Math.max(LATE_MS, this.lastTurnMs)) this.turnNow();
  };

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private readonly scheduled = (): void => {
    this.isScheduled = false;
    this.turnNow();
  };

  private readonly waited = (): void => {
    this.timer = undefined;
    this.turnNow();
  };

  /** A turn's length is all that the thread did from one to the next: reading sockets, the turn itself, collecting garbage. */
  private measure(nowMs: number): void {
    this.turns++;
    const sinceMs = nowMs - this.sampledAtMs;
    if (sinceMs < SAMPLE_MS) return;
    const activeMs = this.activeMs();
    const lengthMs = (activeMs - this.sampledActiveMs) / this.turns;
    this.turnLengthMs += (lengthMs - this.turnLengthMs) * Math.min(1, sinceMs / MEMORY_MS);
    this.patience = patienceAt(this.turnLengthMs);
    this.turns = 0;
    this.sampledAtMs = nowMs;
    this.sampledActiveMs = activeMs;
  }
}

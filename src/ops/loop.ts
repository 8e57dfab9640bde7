/**
 * Drives the path: one turn after each turn of the event loop in which something arrived, and later turns for what
 * waits for time to pass. It reads the clock once per turn, and it is here that "busy" is decided: while the event
 * loop is occupied most of the time, waiting a few milliseconds for company saves system calls; while it is idle,
 * waiting would only add latency.
 */
import { performance } from "node:perf_hooks";
import type { Clock } from "../base/clock.js";

/** What the loop drives; src/path/path.ts is the real one. */
export interface Driven {
  turn(moment: { wallMs: number; monotonicMs: number; busy: boolean }): void;
  readonly isWaiting: boolean;
}

const SAMPLE_MS = 20;
const BUSY_SHARE = 0.5;
const WAIT_MS = 5;

export class Loop {
  private driven: Driven | undefined;
  private isScheduled = false;
  private isInTurn = false;
  private isStopped = false;
  private timer: NodeJS.Timeout | undefined;
  private busy = false;
  private sampledAtMs = 0;
  private sample = performance.eventLoopUtilization();

  constructor(
    private readonly clock: Clock,
    private readonly onError: (error: unknown) => void,
  ) {}

  drive(driven: Driven): void {
    this.driven = driven;
  }

  /** A turn soon: after all sockets that are ready now were read. */
  readonly wake = (): void => {
    if (this.isScheduled || this.isStopped) return;
    this.isScheduled = true;
    setImmediate(this.scheduled);
  };

  /** A turn at once; nothing happens when one is already under way. */
  readonly turnNow = (): void => {
    if (this.isInTurn || this.isStopped || this.driven === undefined) return;
    const monotonicMs = this.clock.monotonicMs();
    this.updateBusy(monotonicMs);
    this.isInTurn = true;
    try {
      this.driven.turn({
        wallMs: this.clock.wallMs(),
        monotonicMs: Math.floor(monotonicMs),
        busy: this.busy,
      });
    } catch (error) {
      this.isStopped = true;
      this.onError(error);
    } finally {
      this.isInTurn = false;
    }
    if (this.driven.isWaiting && this.timer === undefined && !this.isStopped) {
      this.timer = setTimeout(this.waited, WAIT_MS);
    }
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

  private updateBusy(nowMs: number): void {
    if (nowMs - this.sampledAtMs < SAMPLE_MS) return;
    const sample = performance.eventLoopUtilization();
    this.busy = performance.eventLoopUtilization(sample, this.sample).utilization > BUSY_SHARE;
    this.sample = sample;
    this.sampledAtMs = nowMs;
  }
}

/**
 * Drives the path: one turn after each turn of the event loop in which something arrived, and later turns for what
 * waits for time to pass. It reads the clock once per turn, and it is here that its patience is decided: while the event
 * loop is occupied most of the time, waiting a few milliseconds for company saves system calls; while it is idle,
 * waiting would only add latency.
 */
import { performance } from "node:perf_hooks";
import type { Clock } from "../base/clock.js";

/** What the loop drives; src/path/path.ts is the real one. */
export interface Driven {
  turn(moment: { wallMs: number; monotonicMs: number; patience: number }): void;
  readonly isWaiting: boolean;
}

const SAMPLE_MS = 20;
/** No patience below the first share of busy time, all of it from the second on. */
const PATIENT_FROM = 0.5;
const PATIENT_TO = 0.9;
const WAIT_MS = 5;

export class Loop {
  private driven: Driven | undefined;
  private isScheduled = false;
  private isInTurn = false;
  private isStopped = false;
  private timer: NodeJS.Timeout | undefined;
  private patience = 0;
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
    this.updatePatience(monotonicMs);
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

  private updatePatience(nowMs: number): void {
    if (nowMs - this.sampledAtMs < SAMPLE_MS) return;
    const sample = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(sample, this.sample);
    this.patience = Math.min(1, Math.max(0, (utilization - PATIENT_FROM) / (PATIENT_TO - PATIENT_FROM)));
    this.sample = sample;
    this.sampledAtMs = nowMs;
  }
}

/**
 * Drives the path: a turn after each turn of the event loop in which something arrived, and later turns for what
 * waits for time to pass. It reads the clock, and it measures how busy the thread is: from that come the path's patience
 * and the spacing of turns (rules/patience.ts).
 *
 * Spacing. A turn reads everything that has arrived and sends each device one message, so the fewer turns a second, the
 * fewer system calls an envelope. While the next turn is not yet due the thread naps, a millisecond at a time: what
 * arrives meanwhile is then read in one go, which waiting in the poll could not do, and everything else that the event
 * loop has to do is late by that millisecond at most. Naps count as idle, or they would keep themselves going.
 */
import { performance } from "node:perf_hooks";
import type { Clock } from "../base/clock.js";
import { patienceAt, turnSpacingMs } from "../rules/patience.js";

/** What the loop drives; src/path/path.ts is the real one. */
export interface Driven {
  turn(moment: { wallMs: number; monotonicMs: number; patience: number }): void;
  readonly isWaiting: boolean;
}

/** What the loop has of the thread that it runs on. */
export interface Thread {
  /** Holds the thread. */
  nap(ms: number): void;
  /** The share of the time since the last call in which the event loop did not wait for events. */
  utilization(): number;
}

const SAMPLE_MS = 20;
/** What lies further back than this counts no more. */
const MEMORY_MS = 70;
const WAIT_MS = 5;
const NAP_MS = 1;

export class Loop {
  private driven: Driven | undefined;
  private isScheduled = false;
  private isInTurn = false;
  private isStopped = false;
  private timer: NodeJS.Timeout | undefined;
  private patience = 0;
  private turnBeganMs = Number.NEGATIVE_INFINITY;
  private busyShare = 0;
  private sampledAtMs = 0;
  /** Since the last sample. */
  private nappedMs = 0;

  constructor(
    private readonly clock: Clock,
    private readonly spacingMaxMs: number,
    private readonly onError: (error: unknown) => void,
    private readonly thread: Thread = eventLoop(),
  ) {}

  drive(driven: Driven): void {
    this.driven = driven;
  }

  /** A turn soon: after all sockets that are ready now were read, and when it is due. */
  readonly wake = (): void => {
    if (this.isScheduled || this.isStopped) return;
    this.isScheduled = true;
    setImmediate(this.scheduled);
  };

  /** A turn at once; nothing happens when one is already under way. */
  readonly turnNow = (): void => {
    if (this.isInTurn || this.isStopped || this.driven === undefined) return;
    const monotonicMs = this.clock.monotonicMs();
    this.turnBeganMs = monotonicMs;
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
    if (this.isStopped) return;
    if (this.napUntilDue()) this.wake();
    else this.turnNow();
  };

  private readonly waited = (): void => {
    this.timer = undefined;
    this.wake();
  };

  /** Whether the next turn was not due yet, and a part of the time until then has been slept. */
  private napUntilDue(): boolean {
    const dueMs = this.turnBeganMs + turnSpacingMs(this.patience, this.spacingMaxMs);
    const beganMs = this.clock.monotonicMs();
    if (beganMs >= dueMs) return false;
    this.thread.nap(Math.min(NAP_MS, dueMs - beganMs));
    this.nappedMs += this.clock.monotonicMs() - beganMs;
    return true;
  }

  private measure(nowMs: number): void {
    const sinceMs = nowMs - this.sampledAtMs;
    if (sinceMs < SAMPLE_MS) return;
    const share = Math.max(0, this.thread.utilization() - this.nappedMs / sinceMs);
    this.busyShare += (share - this.busyShare) * Math.min(1, sinceMs / MEMORY_MS);
    this.patience = patienceAt(this.busyShare);
    this.sampledAtMs = nowMs;
    this.nappedMs = 0;
  }
}

function eventLoop(): Thread {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let sample = performance.eventLoopUtilization();
  return {
    nap: (ms) => Atomics.wait(cell, 0, 0, ms),
    utilization() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, sample);
      sample = now;
      return utilization;
    },
  };
}

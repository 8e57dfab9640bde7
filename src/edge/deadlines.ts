/**
 * What a connection owes, and by when. One sweep every edgeSweepMs looks at the
 * few links that owe something soon, and once a second at all of them.
 *
 *   helloTimeout   open, and no hello yet                     helloTimeoutMs
 *   overloaded     hello said, and sign-in not through        welcomeTimeoutMs
 *   silent         attached, and no whole message             silenceMs
 *   tooSlow        bytes wait, and fewer than stallBytesMin
 *                  (or all of them) were taken                stallMs
 *   (cut)          ending, and still taking what waits        endingMs
 *
 * The native idle timer is no help here: any single byte resets it.
 *
 * Time is counted in sweeps that ran, not read from a clock: a node that was
 * stopped for a minute, or was too busy to sweep, does not hold that against
 * its clients. A link costs the path one field write per message and nothing else.
 */
import { type Link, stages } from "./link.js";
import type { LinkTable } from "./table.js";

export interface DeadlineLimits {
  readonly edgeSweepMs: number;
  readonly helloTimeoutMs: number;
  readonly welcomeTimeoutMs: number;
  readonly silenceMs: number;
  readonly stallMs: number;
  readonly stallBytesMin: number;
}

export class Deadlines {
  readonly #table: LinkTable;
  readonly #helloTicks: number;
  readonly #welcomeTicks: number;
  readonly #silenceTicks: number;
  readonly #stallTicks: number;
  readonly #stallBytesMin: number;
  /** All links are looked at every so many ticks. */
  readonly #roundTicks: number;

  constructor(table: LinkTable, limits: DeadlineLimits) {
    const ticks = (ms: number) => Math.max(1, Math.ceil(ms / limits.edgeSweepMs));
    this.#table = table;
    this.#helloTicks = ticks(limits.helloTimeoutMs);
    this.#welcomeTicks = ticks(limits.welcomeTimeoutMs);
    this.#silenceTicks = ticks(limits.silenceMs);
    this.#stallTicks = ticks(limits.stallMs);
    this.#stallBytesMin = limits.stallBytesMin;
    this.#roundTicks = Math.min(4, this.#silenceTicks);
  }

  /** Each loop collects before it ends: ending changes the collections. */
  sweep(): void {
    this.#table.advance();
    const tick = this.#table.tick;
    for (const link of this.#dueToSignIn(tick)) {
      if (link.stage === stages.hello) link.end("helloTimeout", 0);
      else link.end("overloaded", 1_000);
    }
    for (const link of this.#stalled(tick)) link.end("tooSlow", 0);
    for (const link of this.#overstaying(tick)) link.cut();
    if (tick % this.#roundTicks === 0) {
      for (const link of this.#silent(tick)) link.end("silent", 0);
    }
  }

  #dueToSignIn(tick: number): Link[] {
    const due: Link[] = [];
    for (const link of this.#table.waiting) {
      const age = tick - link.lastSeenTick;
      if (age <= this.#helloTicks) break;
      if (link.stage === stages.hello || age > this.#welcomeTicks) due.push(link);
    }
    return due;
  }

  #silent(tick: number): Link[] {
    const oldest = tick - this.#silenceTicks;
    return this.#table.links.filter((link) => link.lastSeenTick < oldest && link.stage === stages.attached);
  }

  #overstaying(tick: number): Link[] {
    return [...this.#table.ending].filter(
      (link) => link.farewell !== undefined && tick > link.farewell.untilTick,
    );
  }

  #stalled(tick: number): Link[] {
    const stalled: Link[] = [];
    for (const link of this.#table.backlogs) {
      if (this.#takesNothing(link, tick)) stalled.push(link);
    }
    return stalled;
  }

  /** Moves the link's mark when it made progress, and forgets its backlog when that is gone. */
  #takesNothing(link: Link, tick: number): boolean {
    const backlog = link.backlog;
    const waiting = link.waitingBytes();
    if (backlog === undefined || waiting === 0) {
      link.backlog = undefined;
      this.#table.backlogs.delete(link);
      return false;
    }
    if (tick - backlog.tickMark <= this.#stallTicks) return false;
    const taken = backlog.offeredBytes - waiting;
    if (taken - backlog.takenBytesMark < this.#stallBytesMin) return true;
    backlog.takenBytesMark = taken;
    backlog.tickMark = tick;
    return false;
  }
}

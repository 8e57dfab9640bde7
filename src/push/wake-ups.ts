/**
 * Wake-ups of devices that are away, beside the path and never in its way.
 *
 *   occasion ─▶ heard ─▶ looked at ─▶ waiting ─▶ under way ─▶ settled, given up, or the target forgotten
 *               (a set)  (its row)    (a lane    (bounded, so
 *                                    per brand)  many a brand)
 *
 * Occasions come from the path (entries went to the queue on disk of a device, a device went away) and from a scan of
 * all targets some time after the start, which finds what a crash took the occasion from. They are only noted, each
 * device once; rows are looked at in slices. rules/push.ts decides.
 *
 * Invariants. A device has one wake-up at most, waiting or under way; none is begun for a device that is connected, and
 * what has not begun when it connects is dropped. Every set here is bounded; what finds no room is found again by a
 * scan, because what is owed can be read from the disk: something was queued after the last wake-up was settled. No brand
 * takes more than its share of what is under way, nor of the room to wait in. Retries and scans go on in `sweep`, about
 * once a second: there are no timers here but the one that ends an attempt.
 */
import type { DeviceAddress } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import {
  nextStep,
  type Occasion,
  type PushOutcome,
  type PushSender,
  type PushTarget,
  type RetryBounds,
  WAKE_URGENCY,
  type WakeHistory,
  wakeDelayMs,
} from "../rules/push.js";

/** What wake-ups need of the store. */
export interface TargetStore {
  readonly pushTargets: {
    read(device: DeviceAddress): (PushTarget & WakeHistory) | undefined;
    devicesAfter(after: DeviceAddress | undefined, max: number): DeviceAddress[];
    unregister(device: DeviceAddress, only: PushTarget): Promise<void>;
    settle(device: DeviceAddress, target: PushTarget, nowMs: number): Promise<void>;
    connected(device: DeviceAddress, nowMs: number): Promise<void>;
  };
  hasQueued(device: DeviceAddress): boolean;
  lastQueuedMs(device: DeviceAddress): number | undefined;
}

export interface WakeUpBounds extends RetryBounds {
  readonly pushIntervalMs: number;
  readonly pushTimeoutMs: number;
  readonly pushConcurrencyMax: number;
  readonly pushConcurrencyPerBrandMax: number;
  readonly pushWaitingPerBrandMax: number;
  readonly pushHeardMax: number;
  readonly pushRowsPerSlice: number;
  readonly pushRowsPerScan: number;
  readonly pushScanDelayMs: number;
}

export interface WakeUpParts {
  readonly store: TargetStore;
  readonly sender: PushSender;
  readonly clock: Clock;
  readonly limits: WakeUpBounds;
  readonly brandName: (number: number) => string | undefined;
  readonly isConnected: (device: DeviceAddress) => boolean;
  /** Wake-ups of this brand do not get through; told once a minute at most. */
  readonly onTrouble: (fields: { brand: string; kind: string; status: number | undefined }) => void;
  /** The store has failed, or a bug: nothing more is done here. */
  readonly onFailure: (error: unknown) => void;
}

export interface WakeUpStats {
  sent: number;
  /** Refused, or given up after the last attempt. */
  failed: number;
  /** Targets that turned out dead. */
  gone: number;
  /** Occasions that another wake-up covers. */
  coalesced: number;
  /** Occasions that found no room: a scan comes back to them. */
  dropped: number;
  retried: number;
  /** Waiting or under way now. */
  waiting: number;
}

interface Job {
  readonly name: string;
  readonly device: DeviceAddress;
  readonly lane: Lane;
  /** Monotonic; meaningless while it is ready or under way. */
  dueMs: number;
  state: "due" | "ready" | "underWay";
  attempts: number;
  /** The device has come since it was begun … */
  hasConnected: boolean;
  /** … and gone again, with an occasion that the attempt, which is older, does not cover. */
  next: Occasion | undefined;
}

interface Lane {
  readonly number: number;
  readonly brand: string;
  readonly ready: Job[];
  count: number;
  underWay: number;
}

const TROUBLE_EVERY_MS = 60_000;

export class WakeUps {
  readonly stats: WakeUpStats = {
    sent: 0,
    failed: 0,
    gone: 0,
    coalesced: 0,
    dropped: 0,
    retried: 0,
    waiting: 0,
  };
  readonly #parts: WakeUpParts;
  /** Devices by the bytes of their addresses, in these three. */
  readonly #heard = new Map<string, Occasion>();
  readonly #jobs = new Map<string, Job>();
  readonly #underWay = new Map<string, { readonly abort: AbortController; readonly done: Promise<void> }>();
  /** What is being written of devices' wake-ups: the rows say it only when that is on disk. */
  readonly #noted = new Map<string, WakeHistory>();
  /** By brand number; the one that was served last stands last. */
  readonly #lanes = new Map<number, Lane>();
  /** Where the scan is; undefined when none goes on. */
  #scan: { after: DeviceAddress | undefined; fromMs: number } | undefined;
  #isLooking = false;
  #isStopped = false;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(parts: WakeUpParts) {
    this.#parts = parts;
    this.#scanAgain();
  }

  /** Entries went to the device's queue on disk. */
  stored(device: DeviceAddress): void {
    this.#hear(device, "stored");
  }

  /** The device's connection is gone: what it was sent and has not acked may never have reached it. */
  left(device: DeviceAddress): void {
    this.#hear(device, "left");
  }

  /** The device is connected: it needs no waking, and the next occasion is a new one. */
  came(device: DeviceAddress): void {
    if (this.#isStopped) return;
    const { store, clock } = this.#parts;
    const name = nameOf(device);
    this.#heard.delete(name);
    const job = this.#jobs.get(name);
    if (job?.state === "underWay") job.hasConnected = true;
    else if (job !== undefined) this.#drop(job);
    if (this.#read(device)?.hasConnected !== false) return;
    const settledMs = clock.wallMs();
    this.#note(name, { settledMs, hasConnected: true }, store.pushTargets.connected(device, settledMs));
  }

  /** About once a second: what is due is begun, and the scan goes on. */
  async sweep(): Promise<void> {
    if (this.#isStopped) return;
    const nowMs = this.#parts.clock.monotonicMs();
    for (const job of this.#jobs.values()) if (job.state === "due" && job.dueMs <= nowMs) makeReady(job);
    this.#begin();
    if (this.#scan !== undefined && this.#scan.fromMs <= nowMs) await this.#scanOn(this.#scan);
  }

  /** Ends what is under way; what waits is found again by the next start. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#heard.clear();
    for (const { abort } of this.#underWay.values()) abort.abort();
    await Promise.all([...this.#underWay.values()].map(({ done }) => done));
    this.#parts.sender.close?.();
  }

  #hear(device: DeviceAddress, occasion: Occasion): void {
    if (this.#isStopped) return;
    const name = nameOf(device);
    const known = this.#heard.get(name);
    if (known !== undefined) this.stats.coalesced++;
    if (known === undefined && this.#heard.size >= this.#parts.limits.pushHeardMax) {
      this.#noRoom();
      return;
    }
    // What was stored wakes sooner than a leaving does.
    if (known !== "stored") this.#heard.set(name, occasion);
    if (this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => this.#safely(() => this.#look()));
  }

  #read(device: DeviceAddress): (PushTarget & WakeHistory) | undefined {
    const row = this.#parts.store.pushTargets.read(device);
    return row && { ...row, ...this.#noted.get(nameOf(device)) };
  }

  #note(name: string, history: WakeHistory, written: Promise<void>): void {
    this.#noted.set(name, history);
    const isWritten = (): void => {
      if (this.#noted.get(name) === history) this.#noted.delete(name);
    };
    written.then(isWritten, isWritten);
  }

  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#isStopped = true;
      this.#parts.onFailure(error);
    }
  }

  #look(): void {
    let rows = this.#parts.limits.pushRowsPerSlice;
    for (const [name, occasion] of this.#heard) {
      if (rows-- === 0) break;
      this.#heard.delete(name);
      this.#consider(Buffer.from(name, "latin1"), occasion);
    }
    this.#begin();
    this.#isLooking = this.#heard.size > 0;
    if (this.#isLooking) setImmediate(() => this.#safely(() => this.#look()));
  }

  #consider(device: DeviceAddress, occasion: Occasion): void {
    const { store, clock, limits, isConnected } = this.#parts;
    if (this.#isStopped || isConnected(device)) return;
    const target = this.#read(device);
    if (target === undefined || (occasion === "left" && !store.hasQueued(device))) return;
    const when = { occasion, nowMs: clock.wallMs(), intervalMs: limits.pushIntervalMs };
    const delayMs = wakeDelayMs(target, when);
    const job = this.#jobs.get(nameOf(device));
    if (job?.state === "underWay" && job.hasConnected) {
      // What was stored wakes sooner than a leaving does.
      if (job.next !== "stored") job.next = occasion;
      return;
    }
    if (delayMs === undefined || job !== undefined) this.stats.coalesced++;
    else this.#add(device, delayMs);
    // It waits because the device had only left; after a failed attempt it waits for the target.
    if (delayMs === 0 && job?.state === "due" && job.attempts === 0) makeReady(job);
  }

  #add(device: DeviceAddress, delayMs: number): void {
    const { clock, limits } = this.#parts;
    const lane = this.#laneOf(device);
    if (lane === undefined) return;
    if (lane.count >= limits.pushWaitingPerBrandMax) {
      this.#noRoom();
      return;
    }
    const name = nameOf(device);
    const dueMs = clock.monotonicMs() + delayMs;
    const isNew = { attempts: 0, hasConnected: false, next: undefined };
    const job: Job = { name, device, lane, dueMs, state: "due", ...isNew };
    this.#jobs.set(name, job);
    this.stats.waiting = this.#jobs.size;
    lane.count++;
    if (delayMs === 0) makeReady(job);
  }

  /** undefined for a brand that is no longer configured. */
  #laneOf(device: DeviceAddress): Lane | undefined {
    const number = ((device[0] as number) << 8) | (device[1] as number);
    const known = this.#lanes.get(number);
    if (known !== undefined) return known;
    const brand = this.#parts.brandName(number);
    if (brand === undefined) return undefined;
    const lane = { number, brand, ready: [], count: 0, underWay: 0 };
    this.#lanes.set(number, lane);
    return lane;
  }

  #drop(job: Job): void {
    this.#jobs.delete(job.name);
    this.stats.waiting = this.#jobs.size;
    job.lane.count--;
    const at = job.state === "ready" ? job.lane.ready.indexOf(job) : -1;
    if (at >= 0) job.lane.ready.splice(at, 1);
  }

  /** Lanes take turns: one that has begun something goes to the end of the map, and so is come to again. */
  #begin(): void {
    const { pushConcurrencyMax, pushConcurrencyPerBrandMax } = this.#parts.limits;
    if (this.#isStopped) return;
    for (const lane of this.#lanes.values()) {
      if (this.#underWay.size >= pushConcurrencyMax) return;
      if (lane.underWay >= pushConcurrencyPerBrandMax) continue;
      const job = lane.ready.shift();
      if (job === undefined) continue;
      this.#attempt(job);
      this.#lanes.delete(lane.number);
      this.#lanes.set(lane.number, lane);
    }
  }

  #attempt(job: Job): void {
    const { limits, clock } = this.#parts;
    const target = this.#read(job.device);
    if (target === undefined) {
      this.#drop(job);
      return;
    }
    job.state = "underWay";
    job.attempts++;
    job.lane.underWay++;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), limits.pushTimeoutMs);
    const done = this.#send(job, target, abort.signal).then((outcome) => {
      clearTimeout(timer);
      this.#underWay.delete(job.name);
      job.lane.underWay--;
      if (this.#isStopped) return;
      this.#safely(() => {
        this.#answered(job, target, outcome, clock.monotonicMs());
        this.#begin();
      });
    });
    this.#underWay.set(job.name, { abort, done });
  }

  /** Never rejects, and is over when the signal says so, whatever the sender does. */
  #send(job: Job, { kind, target }: PushTarget, signal: AbortSignal): Promise<PushOutcome> {
    const failed: PushOutcome = { result: "failed" };
    const wakeUp = { kind, target, brand: job.lane.brand, urgency: WAKE_URGENCY };
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve(failed), { once: true });
      const sent = async () => this.#parts.sender.send(wakeUp, signal);
      sent().then(resolve, () => resolve(failed));
    });
  }

  #answered(job: Job, target: PushTarget, outcome: PushOutcome, nowMs: number): void {
    const { store, clock, limits } = this.#parts;
    const next = nextStep(outcome, job.attempts, limits, Math.random());
    if (next.step === "retry" && !job.hasConnected) {
      this.stats.retried++;
      job.state = "due";
      job.dueMs = nowMs + next.delayMs;
      return;
    }
    this.#drop(job);
    if (job.next !== undefined) this.#hear(job.device, job.next);
    const settledMs = clock.wallMs();
    if (next.step === "forget") store.pushTargets.unregister(job.device, target).catch(() => {});
    // Of a device that has come meanwhile the row says so already, and should go on saying it.
    else if (!job.hasConnected) {
      const written = store.pushTargets.settle(job.device, target, settledMs);
      this.#note(job.name, { settledMs, hasConnected: false }, written);
    }
    if (next.step === "settle") this.stats.sent++;
    if (next.step === "forget") this.stats.gone++;
    if (next.step !== "giveUp") return;
    this.stats.failed++;
    if (nowMs - this.#toldMs < TROUBLE_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#parts.onTrouble({ brand: job.lane.brand, kind: target.kind, status: outcome.status });
  }

  #noRoom(): void {
    this.stats.dropped++;
    this.#scanAgain();
  }

  #scanAgain(): void {
    const { clock, limits } = this.#parts;
    this.#scan = { after: undefined, fromMs: clock.monotonicMs() + limits.pushScanDelayMs };
  }

  /** Goes on for a bounded number of targets, in slices. */
  async #scanOn(scan: { after: DeviceAddress | undefined }): Promise<void> {
    const { store, limits } = this.#parts;
    const { pushRowsPerSlice, pushRowsPerScan } = limits;
    for (let rows = 0; rows < pushRowsPerScan && !this.#isStopped; rows += pushRowsPerSlice) {
      const devices = store.pushTargets.devicesAfter(scan.after, pushRowsPerSlice);
      for (const device of devices) if (this.#isOwed(device)) this.#consider(device, "stored");
      // What found no room has begun a new scan by now.
      if (this.#scan !== scan) break;
      if (devices.length < pushRowsPerSlice) {
        this.#scan = undefined;
        break;
      }
      scan.after = devices.at(-1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#begin();
  }

  #isOwed(device: DeviceAddress): boolean {
    if (this.#jobs.has(nameOf(device))) return false;
    const { store, clock } = this.#parts;
    const settledMs = this.#read(device)?.settledMs;
    const queuedMs = store.lastQueuedMs(device);
    if (settledMs === undefined || queuedMs === undefined) return false;
    // One that lies ahead is of a clock that has been set back since.
    return queuedMs > settledMs || settledMs > clock.wallMs();
  }
}

function makeReady(job: Job): void {
  job.state = "ready";
  job.lane.ready.push(job);
}

function nameOf(device: DeviceAddress): string {
  return Buffer.from(device.buffer, device.byteOffset, device.length).toString("latin1");
}

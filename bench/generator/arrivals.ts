/**
 * Open loop: sends happen at the times that a schedule fixed, whatever has come
 * back. Each send is stamped with the time it was meant for, so a late one, for
 * whatever reason, shows its whole lateness (no coordinated omission).
 *
 * To be on time the process polls instead of sleeping (or sleeps a millisecond at
 * most, when it is told that it has company), and looks at the schedule
 * between reads too. What it spends on polling with nothing to do is not counted
 * as busy. How late it hands sends to their sockets is its *lag*, and how long a
 * socket waited to be read after the poll that found it ready is its *read lag*: latencies
 * hold both, so where they are not small beside them the generator was the limit.
 *
 * Acks wait for their device's next send, as the SDK's do, at most ACK_HOLD_MS.
 *
 * Several processes follow one schedule, from the same moment on: each makes the
 * sends of its own devices and passes over the others.
 */
import { sharedMs } from "../process/clock.js";
import type { ChurnOptions } from "./churn.js";
import { LatencyCounts } from "./latency.js";
import { type Mix, MixedSchedule } from "./mix.js";
import { Schedule } from "./schedule.js";
import { isOwn, ownDevices, type Share, wholeShare } from "./share.js";
import type { Behaviour, Traffic } from "./traffic.js";

export interface ArrivalOptions {
  /** Of all processes together. */
  readonly ratePerSec: number;
  /** Devices 0 to `devices` − 1 send to one another. */
  readonly devices: number;
  readonly seed: number;
  /** Default: every device sends to every other one. */
  readonly peers?: number;
  readonly share?: Share;
  /** When the schedule begins, on the clock that all processes share; default: now. */
  readonly startMs?: number;
  /** The round has begun before: see Generator.begin. */
  readonly continues?: boolean;
  /** Devices that come and go from now on until the round's end, and where they connect. */
  readonly churn?: ChurnOptions & { readonly port: number };
  /** Sleep up to a millisecond where nothing is due, for a generator that does not have its core to itself. */
  readonly sleeps?: boolean;
  /** End the arrivals when so many seconds' sends are overdue or under way: for rates that may be too high. */
  readonly backlogSecondsMax?: number;
}

/** What the generator says of a window of its own. */
export interface ArrivalWindow {
  readonly windowMs: number;
  /** Share of the window in which something was sent or read. */
  readonly busy: number;
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** The histogram of it, encoded. */
  readonly lag: string;
  /** From the first read after a poll to each: the sockets had been ready since. Means nothing when the generator sleeps. */
  readonly readLagP99Ms: number;
  /** Sends that were due, or on the way, or pushed back: means of both halves of the window, and at its end. */
  readonly backlogFirstHalf: number;
  readonly backlogSecondHalf: number;
  readonly backlogAtEnd: number;
  /** Due and not handed to a socket at the window's end. */
  readonly unsent: number;
  /** So much was unsent that the arrivals were stopped. */
  readonly gaveUp: boolean;
  /** Latencies in the window, encoded. */
  readonly deliveryLatency: string;
  readonly receiptLatency: string;
}

/** Sends between two looks at the sockets. */
const BURST_MAX = 64;
const ACK_HOLD_MS = 100;
const SAMPLE_MS = 5;
/** Arrivals that may give up do so with at least so many sends overdue or under way. */
const GIVE_UP_SENDS_MIN = 2_000;

export class Arrivals implements Behaviour {
  readonly #traffic: Traffic;
  readonly #options: ArrivalOptions;
  readonly #schedule: Schedule | MixedSchedule;
  readonly #share: Share;
  readonly #msPerGap: number;
  readonly #undelivered: () => number;
  readonly lag = new LatencyCounts();
  readonly #readLag = new LatencyCounts();
  /** Backlogs since the window opened, every SAMPLE_MS. */
  #samples: number[] = [];
  #sampledMs = 0;
  #dueMs = 0;
  #running = false;
  #gaveUp = false;
  #unsent = 0;
  #hasRead = false;
  #firstReadMs = 0;
  #turnMs = 0;
  #idleMs = 0;
  #openedMs = 0;
  /** Which of the own devices' held acks is looked at next, with a fraction. */
  #sweptTo = 0;

  /** `undelivered`: sends of this round that have not arrived. */
  constructor(
    traffic: Traffic,
    options: ArrivalOptions,
    undelivered: () => number,
    /** What is sent instead of messages from any device to any other. */
    mix?: Mix,
    readonly delivered: (device: number) => void = () => {},
  ) {
    this.#traffic = traffic;
    this.#options = options;
    this.#undelivered = undelivered;
    this.#share = options.share ?? wholeShare;
    this.#schedule = mix
      ? new MixedSchedule(mix)
      : new Schedule(options.seed, options.devices, options.peers);
    this.#msPerGap = 1000 / options.ratePerSec;
  }

  start(): void {
    this.#running = true;
    this.#turnMs = sharedMs();
    this.#dueMs = this.#options.startMs ?? this.#turnMs;
    this.#advance();
    setImmediate(this.#turn);
  }

  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#unsent = this.#overdue(sharedMs());
    for (const device of ownDevices(this.#share, 0, this.#options.devices)) this.#traffic.flush(device);
  }

  /** A window opens: lag, backlog and idle time count from here. */
  open(): void {
    this.lag.clear();
    this.#readLag.clear();
    this.#samples = [];
    this.#idleMs = 0;
    this.#openedMs = sharedMs();
  }

  /** What there is to say since `open`; latencies are the traffic's. */
  read(): ArrivalWindow {
    const windowMs = sharedMs() - this.#openedMs;
    const half = this.#samples.length >> 1;
    const lag = this.lag.percentiles();
    return {
      windowMs,
      busy: 1 - this.#idleMs / windowMs,
      lagP99Ms: lag?.p99Ms ?? 0,
      lagMaxMs: lag?.maxMs ?? 0,
      lag: this.lag.encode(),
      readLagP99Ms: this.#readLag.percentiles()?.p99Ms ?? 0,
      backlogFirstHalf: mean(this.#samples.slice(0, half)),
      backlogSecondHalf: mean(this.#samples.slice(half)),
      backlogAtEnd: this.#samples.at(-1) ?? 0,
      unsent: this.#running ? this.#overdue(sharedMs()) : this.#unsent,
      gaveUp: this.#gaveUp,
      deliveryLatency: this.#traffic.deliveryLatency.encode(),
      receiptLatency: this.#traffic.receiptLatency.encode(),
    };
  }

  receipted(): void {}

  /** Reads may follow one another for milliseconds: what has come due meanwhile is sent. */
  afterRead(device: number, nowMs: number): void {
    if (!this.#hasRead) this.#firstReadMs = nowMs;
    this.#hasRead = true;
    this.#readLag.record(Math.round((nowMs - this.#firstReadMs) * 1000));
    if (!this.#running) {
      this.#traffic.flush(device);
      return;
    }
    this.#traffic.holdAck(device);
    if (this.#dueMs <= nowMs) this.#sendDue(nowMs);
  }

  readonly #turn = (): void => {
    if (!this.#running) return;
    const nowMs = sharedMs();
    const sent = this.#sendDue(nowMs);
    if (sent === 0 && !this.#hasRead) this.#idleMs += nowMs - this.#turnMs;
    this.#hasRead = false;
    this.#sweepAcks(nowMs - this.#turnMs);
    this.#turnMs = nowMs;
    if (nowMs - this.#sampledMs >= SAMPLE_MS) this.#sample(nowMs);
    this.#again(nowMs);
  };

  #again(nowMs: number): void {
    if (this.#options.sleeps === true && this.#dueMs > nowMs) setTimeout(this.#turn, 1);
    else setImmediate(this.#turn);
  }

  /** Sends what is due, each in a write of its own; returns how many. */
  #sendDue(fromMs: number): number {
    let sent = 0;
    let nowMs = fromMs;
    while (this.#dueMs <= nowMs && sent < BURST_MAX) {
      this.#traffic.sendMeantFor(this.#dueMs, this.#schedule.sender, this.#schedule.target);
      this.#traffic.flush(this.#schedule.sender);
      nowMs = sharedMs();
      this.lag.record(Math.max(0, Math.round((nowMs - this.#dueMs) * 1000)));
      this.#advance();
      sent += 1;
    }
    return sent;
  }

  /** To the next send of this process. */
  #advance(): void {
    do {
      this.#schedule.next();
      this.#dueMs += this.#schedule.gap * this.#msPerGap;
    } while (!isOwn(this.#share, this.#schedule.sender));
  }

  /** Sends that are due and have not been made, by the mean rate. */
  #overdue(nowMs: number): number {
    return Math.max(0, Math.round((nowMs - this.#dueMs) / this.#msPerGap / this.#share.parts));
  }

  #sample(nowMs: number): void {
    this.#sampledMs = nowMs;
    const overdue = this.#overdue(nowMs);
    const backlog = overdue + this.#undelivered();
    this.#samples.push(backlog);
    const { backlogSecondsMax = Infinity, ratePerSec } = this.#options;
    const ownPerSec = ratePerSec / this.#share.parts;
    if (backlog < Math.max(GIVE_UP_SENDS_MIN, backlogSecondsMax * ownPerSec)) return;
    this.#gaveUp = true;
    this.stop();
  }

  /** Visits every own device once in ACK_HOLD_MS: one that has sent since has nothing left to ack. */
  #sweepAcks(passedMs: number): void {
    const { part, parts } = this.#share;
    const count = Math.ceil((this.#options.devices - part) / parts);
    const to = Math.min(this.#sweptTo + count, this.#sweptTo + (count * passedMs) / ACK_HOLD_MS);
    for (let at = Math.ceil(this.#sweptTo); at < to; at++) this.#traffic.flush(part + (at % count) * parts);
    this.#sweptTo = to >= count ? to - count : to;
  }
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

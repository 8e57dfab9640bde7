/**
 * What all devices of this process send and get, counted and timed. What a
 * device does next is the behaviour's business (circulation.ts, filling.ts).
 *
 * Hot: `delivered`, `receipted` and `send` run once per message; they make no
 * object, and take the time of the read that they belong to.
 *
 * Pushed back (a refusal that says when to try again, or too many sends without
 * an answer), a device sends nothing until then, and then first what was held
 * back. Its latency counts from the first attempt.
 */
import { assert } from "../../src/base/assert.js";
import { elapsedUs, sharedMs } from "../process/clock.js";
import type { DeviceEvents, Dialect } from "./dialect.js";
import { GroupLedger } from "./group-ledger.js";
import { LatencyCounts } from "./latency.js";
import { Ledger } from "./ledger.js";
import type { Mix } from "./mix.js";
import { COUNTER_OFFSET, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";
import { SendLog } from "./send-log.js";
import type { Share } from "./share.js";
import { Timeline } from "./timeline.js";

/** What devices do when something happens to them. */
export interface Behaviour {
  delivered(device: number): void;
  /** `count` more of the device's sends have a receipt. */
  receipted(device: number, count: number): void;
  /** After each read, in place of a flush: for behaviours that hold acks back. */
  afterRead?(device: number, nowMs: number): void;
}

export const idle: Behaviour = { delivered() {}, receipted() {} };

/** What a device that was pushed back will send. */
interface WaitingSend {
  readonly target: number;
  readonly stamp: number;
}

const RETRY_AFTER_MS_MIN = 50;

export class Traffic implements DeviceEvents {
  readonly ledger: Ledger;
  readonly sendLog: SendLog;
  readonly timeline = new Timeline();
  readonly deliveryLatency = new LatencyCounts();
  readonly receiptLatency = new LatencyCounts();
  behaviour: Behaviour = idle;
  firstDeliveryMs: number | undefined;
  /** Sends that were made again under their id. */
  repeatedCount = 0;
  /** Where devices may have queues from before this run: what comes is acked and only counted, until a round begins. */
  takesStale: boolean;
  staleCount = 0;
  readonly #view: DataView;
  readonly #onReady: (device: number) => void;
  readonly #onBroken: (device: number, reason: string) => void;
  /** What devices that were pushed back will send, in order. */
  readonly #waiting = new Map<number, WaitingSend[]>();
  #dialect: Dialect | undefined;
  #waitingCount = 0;
  #measuring = false;
  #nowMs = 0;
  #stamp = 0;

  constructor(options: {
    readonly devices: number;
    /** Devices 0 to `senders` − 1 send. */
    readonly senders: number;
    readonly peers: number;
    readonly share: Share;
    /** Groups are sent to besides devices. */
    readonly mix: Mix | undefined;
    readonly takesStale: boolean;
    readonly view: DataView;
    readonly unreceiptedPerDeviceMax: number;
    readonly onReady: (device: number) => void;
    readonly onBroken: (device: number, reason: string) => void;
  }) {
    const { devices, senders, peers, share, mix, unreceiptedPerDeviceMax } = options;
    this.ledger = mix
      ? new GroupLedger(devices, senders, mix.groups)
      : new Ledger(devices, senders, { peers, share });
    this.takesStale = options.takesStale;
    this.sendLog = new SendLog(
      { devices, senders, perDeviceMax: unreceiptedPerDeviceMax },
      this.receiptLatency,
    );
    this.#view = options.view;
    this.#onReady = options.onReady;
    this.#onBroken = options.onBroken;
  }

  /** Sends that have neither receipt nor refusal, or wait for their device's next attempt. */
  get unansweredCount(): number {
    return this.sendLog.outstanding + this.#waitingCount;
  }

  use(dialect: Dialect): void {
    this.#dialect = dialect;
  }

  /** Takes the time: once per read, and before anything is sent that no read triggers. */
  tick(): void {
    this.#nowMs = sharedMs();
    this.#stamp = (this.#nowMs * 1000) >>> 0;
  }

  readDone(device: number): void {
    if (this.behaviour.afterRead === undefined) this.#dialect!.flush(device);
    else this.behaviour.afterRead(device, this.#nowMs);
    this.timeline.note(this.#nowMs, this.ledger.receivedCount);
  }

  /** Returns the send's position on its connection, where receipts are given; 0 when it is held back. */
  send(sender: number, target: number): number {
    return this.#sendStamped(sender, target, this.#stamp);
  }

  /** Sends again, under its id, what had this position. Nothing happens while the device has too much unanswered. */
  repeat(sender: number, target: number, counter: number, position: number): void {
    if (!this.sendLog.hasRoom(sender)) return;
    this.sendLog.sent(sender, target, counter, this.#stamp);
    this.#dialect!.repeat?.(sender, target, counter, this.#stamp, position);
    this.repeatedCount += 1;
  }

  /** As `send`, but meant for a moment that is past: its latency counts from then. */
  sendMeantFor(intendedMs: number, sender: number, target: number): void {
    this.#sendStamped(sender, target, (intendedMs * 1000) >>> 0);
  }

  flush(device: number): void {
    this.#dialect!.flush(device);
  }

  /** Where there are acks: what was delivered is acked by the device's next flush. */
  holdAck(device: number): void {
    const dialect = this.#dialect!;
    if (dialect.holdAck === undefined) dialect.flush(device);
    else dialect.holdAck(device);
  }

  get isMeasuring(): boolean {
    return this.#measuring;
  }

  /** Opens the window in which latencies count: deliveries' at devices that send. */
  measure(): void {
    assert(!this.#measuring, "one window at a time");
    this.tick();
    this.deliveryLatency.clear();
    this.receiptLatency.clear();
    this.sendLog.begin(this.#stamp);
    this.#measuring = true;
  }

  closeWindow(): void {
    this.tick();
    if (this.#dialect!.givesReceipts) this.sendLog.noteGap(this.#stamp);
    this.#measuring = false;
  }

  ready(device: number): void {
    this.sendLog.reset(device);
    this.#onReady(device);
  }

  delivered(device: number, at: number): void {
    if (this.takesStale) {
      this.staleCount += 1;
      return;
    }
    const view = this.#view;
    const target = view.getUint32(at + TARGET_OFFSET, true);
    const sender = view.getUint32(at + SENDER_OFFSET, true);
    this.ledger.receive(device, sender, target, view.getUint32(at + COUNTER_OFFSET, true));
    if (this.#measuring && device < this.ledger.senders) {
      this.deliveryLatency.record(elapsedUs(view.getUint32(at + STAMP_OFFSET, true), this.#stamp));
    }
    this.firstDeliveryMs ??= this.#nowMs;
    this.behaviour.delivered(device);
  }

  receipted(device: number, position: number, durability: number): void {
    const count = this.sendLog.receipted(device, position, durability, this.#stamp, this.#measuring);
    if (count > 0) this.behaviour.receipted(device, count);
  }

  refused(device: number, position: number, retryAfterMs: number): void {
    const { target, counter, stamp } = this.sendLog.refused(device, position);
    this.ledger.withdraw(device, target, counter);
    this.#park(device, target, stamp, retryAfterMs);
  }

  broken(device: number, reason: string): void {
    this.#onBroken(device, reason);
  }

  /** The first one parked sets the time of the next attempt. */
  #park(device: number, target: number, stamp: number, retryAfterMs: number): void {
    this.#waitingCount += 1;
    const waiting = this.#waiting.get(device);
    waiting?.push({ target, stamp });
    if (waiting !== undefined) return;
    this.#waiting.set(device, [{ target, stamp }]);
    setTimeout(() => this.#sendWaiting(device), Math.max(retryAfterMs, RETRY_AFTER_MS_MIN));
  }

  #sendWaiting(device: number): void {
    const waiting = this.#waiting.get(device) ?? [];
    this.#waiting.delete(device);
    this.#waitingCount -= waiting.length;
    for (const { target, stamp } of waiting) {
      if (this.sendLog.hasRoom(device)) this.#write(device, target, stamp);
      else this.#park(device, target, stamp, 0);
    }
    this.flush(device);
  }

  #sendStamped(sender: number, target: number, stamp: number): number {
    const mustWait = this.#waiting.size > 0 && this.#waiting.has(sender);
    if (!mustWait && this.sendLog.hasRoom(sender)) return this.#write(sender, target, stamp);
    this.#park(sender, target, stamp, 0);
    return 0;
  }

  #write(sender: number, target: number, stamp: number): number {
    const dialect = this.#dialect!;
    const counter = this.ledger.send(sender, target);
    const position = dialect.givesReceipts ? this.sendLog.sent(sender, target, counter, stamp) : 0;
    dialect.send(sender, target, counter, stamp);
    return position;
  }
}

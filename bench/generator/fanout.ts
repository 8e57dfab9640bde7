/**
 * One sender and many members: a message of device 0 goes to all the others at once. Closed loop: so many messages are
 * under way, and when one has reached every member the next is sent. One that has not after a second without any delivery is
 * given up, so that a lost delivery is counted instead of ending the round.
 *
 * Judged at every member (ledger.ts): each message once, in order, with its number in the payload (payload.ts). Members
 * of a system with acks hold them back for some time, as the SDK does, and ack all they have taken at once.
 *
 *   publish     path of a member: the topic (TOPIC), whose number the payload names; no receipt; on request members
 *               say as much as acks would, so that the server has as much to listen to
 *   interline   one group send (frame 9); members get group delivers (45), the sender receipts
 */
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "../../src/base/assert.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { durabilities, kinds, SUBPROTOCOL } from "../../src/wire/protocol.js";
import type { ServerFrame } from "../../src/wire/server-frames.js";
import { elapsedUs, sharedMs } from "../process/clock.js";
import { Connections } from "./connections.js";
import type { SignIn, Windows } from "./interline-dialect.js";
import { LatencyCounts } from "./latency.js";
import { Ledger } from "./ledger.js";
import { maskedMessage } from "./masked.js";
import type { RoundResult } from "./orders.js";
import { COUNTER_OFFSET, fillPayload, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";
import { readRareFrame } from "./rare-frames.js";
import { ReadMemory } from "./reads.js";
import { FrameScanner, type MessageReader, opcodes } from "./scanner.js";
import { SendLog } from "./send-log.js";
import { Timeline } from "./timeline.js";

export interface FanoutOptions {
  readonly host: string;
  readonly port: number;
  readonly members: number;
  readonly payloadBytes: number;
  readonly ackHoldMs: number;
  readonly speech:
    | { readonly name: "publish"; readonly acks: boolean }
    | {
        readonly name: "interline";
        readonly signIns: readonly SignIn[];
        readonly windows: Windows;
        /** In hex. */
        readonly group: string;
        readonly version: number;
      };
}

/** The topic all members subscribe to; no member's own. */
const TOPIC = 1_000_000_000;
/** What members of a topic say in place of an ack, of its length: to a topic that nobody has subscribed to. */
const TO_NOBODY = maskedMessage(new Uint8Array(11).fill(0xff));
const GROUP_DELIVER_HEAD = 0x992d;
/** Of a group deliver without a block, up to its shared part. */
const GROUP_DELIVER_BYTES = 93;
const OPENING_MAX = 200;
const OPEN_TIMEOUT_MS = 110_000;
const POLL_MS = 5;
const STALLED_MS = 1_000;
/** After everything has arrived: time for what should not arrive. */
const SETTLE_MS = 50;
const RUN_ID_BYTES = 12;
/** Messages without a receipt, at most: what is under way is bounded by deliveries, which do not wait for the disk. */
const UNRECEIPTED_MAX = 4_096;

export class Fanout implements MessageReader {
  readonly #options: FanoutOptions;
  readonly #connections: Connections;
  readonly #view: DataView;
  readonly #payload: Uint8Array;
  readonly #id = crypto.getRandomValues(new Uint8Array(16));
  readonly #timeline = new Timeline();
  readonly #deliveryLatency = new LatencyCounts();
  readonly #receiptLatency = new LatencyCounts();
  readonly #ledger: Ledger;
  readonly #sendLog: SendLog;
  /** Per device: what it has taken, what of that it has acked, and since when it holds an ack back. */
  readonly #taken: Float64Array;
  readonly #acked: Float64Array;
  readonly #heldSinceMs: Float64Array;
  #readyCount = 0;
  #opened = 0;
  #sent = 0;
  #inFlight = 0;
  /** Deliveries that nobody waits for any more. */
  #givenUp = 0;
  #stalled: NodeJS.Timeout | undefined;
  #acking: NodeJS.Timeout | undefined;
  /** Entries that a member takes before it acks them at once: a quarter of its window, as the SDK. */
  readonly #heldMax: number;
  #isMeasuring = false;
  #nowMs = 0;
  #failure: string | undefined;
  #cpuAtMeasure = process.cpuUsage();
  #measuredAtMs = 0;

  constructor(options: FanoutOptions) {
    const devices = options.members + 1;
    this.#options = options;
    this.#heldMax = options.speech.name === "interline" ? options.speech.windows.entries / 4 : Infinity;
    const memory = new ReadMemory();
    this.#view = memory.view;
    this.#payload = new Uint8Array(options.payloadBytes);
    fillPayload(this.#payload);
    this.#ledger = new Ledger(devices, 1);
    this.#sendLog = new SendLog(
      { devices: 1, senders: 1, perDeviceMax: UNRECEIPTED_MAX },
      this.#receiptLatency,
    );
    this.#taken = new Float64Array(devices);
    this.#acked = new Float64Array(devices);
    this.#heldSinceMs = new Float64Array(devices);
    this.#connections = new Connections(devices, new FrameScanner(devices, memory, this), {
      opened: (device) => this.#signIn(device),
      readBegun: () => {
        this.#nowMs = sharedMs();
      },
      readDone: (device) => this.#readDone(device),
      lost: (device, reason) => {
        this.#failure ??= `device ${device}: ${reason}`;
      },
    });
  }

  async open(): Promise<void> {
    for (let i = 0; i < OPENING_MAX; i++) this.#openNext();
    await this.#until(OPEN_TIMEOUT_MS, () => this.#readyCount === this.#options.members + 1);
  }

  #openNext(): void {
    const { host, port, members, speech } = this.#options;
    if (this.#opened > members) return;
    const device = this.#opened++;
    const path = speech.name === "publish" ? () => `/${device === 0 ? 0 : TOPIC}` : () => "/";
    const subprotocol = speech.name === "publish" ? undefined : SUBPROTOCOL;
    this.#connections.open(device, { host, port, upgrade: { path, subprotocol } });
  }

  #signIn(device: number): void {
    const { speech } = this.#options;
    if (speech.name === "publish") {
      this.#ready();
      return;
    }
    const { token } = speech.signIns[device] as SignIn;
    const { entries, bytes } = speech.windows;
    const hello = { kind: "hello", token, resume: 0, windowEntries: entries, windowBytes: bytes } as const;
    this.#connections.write(device, maskedMessage(encodeClientFrame(hello)));
  }

  #ready(): void {
    this.#readyCount++;
    this.#openNext();
  }

  /** Messages go round until `finish`. */
  start(inFlight: number): void {
    this.#inFlight = inFlight;
    this.#timeline.clear();
    this.#nowMs = sharedMs();
    this.#sendDue();
    this.#acking = setInterval(() => this.#ackAllHeld(), this.#options.ackHoldMs);
    let before = this.#ledger.receivedCount;
    this.#stalled = setInterval(() => {
      const { receivedCount, outstanding } = this.#ledger;
      if (receivedCount === before) this.#giveUp(outstanding);
      before = receivedCount;
    }, STALLED_MS);
  }

  #giveUp(outstanding: number): void {
    this.#givenUp = outstanding;
    this.#nowMs = sharedMs();
    this.#sendDue();
  }

  /** Until so much has been delivered that both processes run as they will in the window, or the time is up. */
  async warmUp({ deliveries, msMax }: { deliveries: number; msMax: number }): Promise<void> {
    const deadlineMs = sharedMs() + msMax;
    while (this.#ledger.receivedCount < deliveries && sharedMs() < deadlineMs) {
      this.#throwFailure();
      await sleep(POLL_MS);
    }
  }

  measure(): void {
    this.#deliveryLatency.clear();
    this.#receiptLatency.clear();
    this.#sendLog.begin(this.#stamp());
    this.#isMeasuring = true;
    this.#cpuAtMeasure = process.cpuUsage();
    this.#measuredAtMs = sharedMs();
  }

  /** Stops, waits for what is under way, and judges; `fromMs` and `toMs` say when the server's CPU time was read. */
  async finish(window: { fromMs: number; toMs: number; drainMs: number }): Promise<RoundResult> {
    const { user, system } = process.cpuUsage(this.#cpuAtMeasure);
    const windowMs = sharedMs() - this.#measuredAtMs;
    if (this.#hasReceipts) this.#sendLog.noteGap(this.#stamp());
    this.#isMeasuring = false;
    this.#inFlight = 0;
    clearInterval(this.#stalled);
    const ledger = this.#ledger;
    const log = this.#sendLog;
    await this.#drain(window.drainMs);
    clearInterval(this.#acking);
    for (let device = 1; device <= this.#options.members; device++) this.#ack(device);
    this.#throwFailure();
    return {
      delivered: this.#timeline.countAt(window.toMs) - this.#timeline.countAt(window.fromMs),
      cpuUs: user + system,
      windowMs,
      sent: this.#sent,
      lost: ledger.outstanding,
      duplicated: ledger.duplicated,
      reordered: ledger.reordered,
      misdelivered: ledger.misdelivered,
      refused: 0,
      repeated: 0,
      unreceipted: log.outstanding,
      deliveryLatency: this.#deliveryLatency.encode(),
      receiptLatency: this.#receiptLatency.encode(),
      longestReceiptGapMs: log.longestGapUs / 1000,
      durabilities: [...log.byDurability.keys()],
    };
  }

  /** Until everything has arrived and has its receipt, or nothing has moved for `patienceMs`. */
  async #drain(patienceMs: number): Promise<void> {
    const left = () => this.#ledger.outstanding + this.#sendLog.outstanding;
    let before = left();
    for (let movedMs = sharedMs(); before > 0 && sharedMs() - movedMs < patienceMs; ) {
      await sleep(POLL_MS);
      if (left() !== before) movedMs = sharedMs();
      before = left();
    }
    await sleep(SETTLE_MS);
  }

  get #hasReceipts(): boolean {
    return this.#options.speech.name === "interline";
  }

  #stamp(): number {
    return (sharedMs() * 1000) >>> 0;
  }

  #sendDue(): void {
    const { members } = this.#options;
    const ledger = this.#ledger;
    const outstandingMax = this.#givenUp + (this.#inFlight - 1) * members;
    while (ledger.outstanding <= outstandingMax && this.#sendLog.hasRoom(0)) this.#send();
  }

  #send(): void {
    const { speech } = this.#options;
    const view = new DataView(this.#payload.buffer);
    const stamp = (this.#nowMs * 1000) >>> 0;
    this.#sent++;
    for (let member = 1; member <= this.#options.members; member++) this.#ledger.send(0, member);
    view.setUint32(TARGET_OFFSET, TOPIC, true);
    view.setUint32(COUNTER_OFFSET, this.#sent, true);
    view.setUint32(STAMP_OFFSET, stamp, true);
    if (speech.name === "publish") {
      this.#connections.write(0, maskedMessage(this.#payload));
      return;
    }
    this.#sendLog.sent(0, 0, this.#sent, stamp);
    new DataView(this.#id.buffer).setUint32(RUN_ID_BYTES, this.#sent);
    const group = Buffer.from(speech.group, "hex");
    const { version } = speech;
    const id = this.#id;
    const frame = { kind: "groupSend", id, group, version, shared: this.#payload, blocks: [] } as const;
    this.#connections.write(0, maskedMessage(encodeClientFrame(frame)));
  }

  payload(device: number, bytes: Uint8Array, from: number, end: number, last: boolean): number {
    const { speech } = this.#options;
    if (speech.name === "publish") {
      if (!last) return from;
      this.#take(device, from);
      if (speech.acks) this.#holdAck(device, (this.#taken[device] as number) + 1);
      return end;
    }
    const view = this.#view;
    let at = from;
    while (end - at >= 2) {
      if (view.getUint16(at) !== GROUP_DELIVER_HEAD) {
        const next = this.#readRare(device, bytes, at, end, last);
        if (next === at) return at;
        at = next;
        continue;
      }
      const next = at + GROUP_DELIVER_BYTES + this.#options.payloadBytes;
      if (next > end) return at;
      this.#take(device, next - this.#options.payloadBytes);
      this.#holdAck(device, view.getUint32(at + 3) * 0x1_0000_0000 + view.getUint32(at + 7));
      at = next;
    }
    return at;
  }

  /** What everybody is sent has one number, which is that of the pair at every member. */
  #take(device: number, at: number): void {
    this.#ledger.receive(device, 0, device, this.#view.getUint32(at + COUNTER_OFFSET, true));
    if (!this.#isMeasuring) return;
    const stamp = this.#view.getUint32(at + STAMP_OFFSET, true);
    this.#deliveryLatency.record(elapsedUs(stamp, (this.#nowMs * 1000) >>> 0));
  }

  #readDone(device: number): void {
    this.#timeline.note(this.#nowMs, this.#ledger.receivedCount);
    this.#ackHeld(device);
    if (this.#inFlight > 0) this.#sendDue();
  }

  #holdAck(device: number, taken: number): void {
    this.#taken[device] = taken;
    if (this.#heldSinceMs[device] === 0) this.#heldSinceMs[device] = this.#nowMs;
  }

  #ackHeld(device: number): void {
    const since = this.#heldSinceMs[device] as number;
    if (since === 0) return;
    const entries = (this.#taken[device] as number) - (this.#acked[device] as number);
    if (this.#nowMs - since >= this.#options.ackHoldMs || entries >= this.#heldMax) this.#ack(device);
  }

  /** To a member whose window is full nothing comes before it has acked. */
  #ackAllHeld(): void {
    this.#nowMs = sharedMs();
    for (let device = 1; device <= this.#options.members; device++) this.#ackHeld(device);
  }

  #ack(device: number): void {
    const sequence = this.#taken[device] as number;
    if (sequence === this.#acked[device]) return;
    this.#acked[device] = sequence;
    this.#heldSinceMs[device] = 0;
    const isAck = this.#options.speech.name === "interline";
    this.#connections.write(
      device,
      isAck ? maskedMessage(encodeClientFrame({ kind: "ack", sequence })) : TO_NOBODY,
    );
  }

  control(device: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    if (opcode === opcodes.ping)
      this.#connections.write(device, maskedMessage(bytes.slice(at, end), opcodes.pong));
    if (opcode === opcodes.close) this.#failure ??= `device ${device}: the server closed the connection`;
  }

  /** Any other frame; `at` when it is not all there. */
  #readRare(device: number, bytes: Uint8Array, at: number, end: number, last: boolean): number {
    const found = readRareFrame(bytes, { at, end, isLast: last });
    if (found === undefined) return at;
    this.#takeRare(device, found.frame);
    return found.next;
  }

  #takeRare(device: number, frame: ServerFrame): void {
    if (frame.kind === "live") this.#ready();
    else if (frame.kind === "receipt") {
      const stamp = (this.#nowMs * 1000) >>> 0;
      this.#sendLog.receipted(device, frame.position, frame.durability, stamp, this.#isMeasuring);
    } else if (frame.kind !== "welcome" && frame.kind !== "pong") {
      this.#failure ??= `device ${device}: an unexpected frame: ${JSON.stringify(frame)}`;
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw new Error(this.#failure);
  }

  async #until(timeoutMs: number, isSo: () => boolean): Promise<void> {
    const deadlineMs = sharedMs() + timeoutMs;
    while (!isSo()) {
      this.#throwFailure();
      if (sharedMs() > deadlineMs) throw new Error("could not open all connections in time");
      await sleep(POLL_MS);
    }
  }
}

assert(kinds.groupDeliver === 0x2d && durabilities.disk === 2, "the frames that are read here");

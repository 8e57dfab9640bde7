/**
 * One sender and many members: a message of device 0 goes to all the others at once. Closed loop: so many messages are
 * under way, and when one has reached every member the next is sent.
 *
 * Judged at every member: each message once, in order, with its number in the payload (payload.ts). Members of a system
 * with acks hold them back for some time, as the SDK does, and ack all they have taken at once.
 *
 *   publish     path of a member: the topic (TOPIC), whose number the payload names; no receipt, no ack
 *   interline   one group send (frame 9); members get group delivers (45), the sender receipts
 */
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "../../src/base/assert.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { MsgpackReader } from "../../src/wire/msgpack.js";
import { durabilities, kinds, SUBPROTOCOL } from "../../src/wire/protocol.js";
import { readServerFrame, type ServerFrame } from "../../src/wire/server-frames.js";
import { sharedMs } from "../process/clock.js";
import { Connections } from "./connections.js";
import type { SignIn, Windows } from "./interline-dialect.js";
import { LatencyCounts } from "./latency.js";
import { maskedMessage } from "./masked.js";
import { COUNTER_OFFSET, fillPayload, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";
import { ReadMemory } from "./reads.js";
import { FrameScanner, type MessageReader, opcodes } from "./scanner.js";
import { Timeline } from "./timeline.js";

export interface FanoutOptions {
  readonly host: string;
  readonly port: number;
  readonly members: number;
  readonly payloadBytes: number;
  readonly ackHoldMs: number;
  readonly speech:
    | { readonly name: "publish" }
    | {
        readonly name: "interline";
        readonly signIns: readonly SignIn[];
        readonly windows: Windows;
        /** In hex. */
        readonly group: string;
        readonly version: number;
      };
}

export interface FanoutResult {
  readonly delivered: number;
  readonly sent: number;
  readonly lost: number;
  /** Deliveries that were not the one after the last. */
  readonly wrong: number;
  readonly unreceipted: number;
  readonly durabilities: readonly number[];
  readonly deliveryLatency: string;
  readonly cpuUs: number;
}

/** The topic all members subscribe to; no member's own. */
const TOPIC = 1_000_000_000;
const GROUP_DELIVER_HEAD = 0x992d;
/** Of a group deliver without a block, up to its shared part. */
const GROUP_DELIVER_BYTES = 93;
const OPENING_MAX = 200;
const OPEN_TIMEOUT_MS = 110_000;
const POLL_MS = 5;
const RUN_ID_BYTES = 12;

export class Fanout implements MessageReader {
  readonly #options: FanoutOptions;
  readonly #connections: Connections;
  readonly #view: DataView;
  readonly #payload: Uint8Array;
  readonly #id = crypto.getRandomValues(new Uint8Array(16));
  readonly #timeline = new Timeline();
  readonly #latency = new LatencyCounts();
  /** Per device: the number of the message that came last; what it has taken and not acked, and since when. */
  readonly #received: Uint32Array;
  readonly #taken: Float64Array;
  readonly #acked: Float64Array;
  readonly #heldSinceMs: Float64Array;
  #readyCount = 0;
  #opened = 0;
  #sent = 0;
  #receipted = 0;
  #delivered = 0;
  #wrong = 0;
  #inFlight = 0;
  #isMeasuring = false;
  #nowMs = 0;
  #failure: string | undefined;
  readonly #durabilities = new Set<number>();
  #cpuAtMeasure = process.cpuUsage();

  constructor(options: FanoutOptions) {
    const devices = options.members + 1;
    this.#options = options;
    const memory = new ReadMemory();
    this.#view = memory.view;
    this.#payload = new Uint8Array(options.payloadBytes);
    fillPayload(this.#payload);
    this.#received = new Uint32Array(devices);
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
  }

  measure(): void {
    this.#latency.clear();
    this.#durabilities.clear();
    this.#isMeasuring = true;
    this.#cpuAtMeasure = process.cpuUsage();
  }

  /** Stops, waits for what is under way, and judges; `fromMs` and `toMs` say when the server's CPU time was read. */
  async finish(window: { fromMs: number; toMs: number; drainMs: number }): Promise<FanoutResult> {
    const { user, system } = process.cpuUsage(this.#cpuAtMeasure);
    this.#isMeasuring = false;
    this.#inFlight = 0;
    const { speech, members } = this.#options;
    const hasReceipts = speech.name === "interline";
    const left = () =>
      members * this.#sent - this.#delivered + (hasReceipts ? this.#sent - this.#receipted : 0);
    let before = left();
    for (let movedMs = sharedMs(); before > 0 && sharedMs() - movedMs < window.drainMs; ) {
      await sleep(POLL_MS);
      if (left() !== before) movedMs = sharedMs();
      before = left();
    }
    for (let device = 1; device <= members; device++) this.#ack(device);
    this.#throwFailure();
    return {
      delivered: this.#timeline.countAt(window.toMs) - this.#timeline.countAt(window.fromMs),
      sent: this.#sent,
      lost: members * this.#sent - this.#delivered,
      wrong: this.#wrong,
      unreceipted: hasReceipts ? this.#sent - this.#receipted : 0,
      durabilities: [...this.#durabilities],
      deliveryLatency: this.#latency.encode(),
      cpuUs: user + system,
    };
  }

  #sendDue(): void {
    const { members } = this.#options;
    while (this.#sent - Math.floor(this.#delivered / members) < this.#inFlight) this.#send();
  }

  #send(): void {
    const { speech } = this.#options;
    const view = new DataView(this.#payload.buffer);
    this.#sent++;
    view.setUint32(TARGET_OFFSET, TOPIC, true);
    view.setUint32(COUNTER_OFFSET, this.#sent, true);
    view.setUint32(STAMP_OFFSET, (this.#nowMs * 1000) >>> 0, true);
    if (speech.name === "publish") {
      this.#connections.write(0, maskedMessage(this.#payload));
      return;
    }
    new DataView(this.#id.buffer).setUint32(RUN_ID_BYTES, this.#sent);
    const group = Buffer.from(speech.group, "hex");
    const { version } = speech;
    const id = this.#id;
    const frame = { kind: "groupSend", id, group, version, shared: this.#payload, blocks: [] } as const;
    this.#connections.write(0, maskedMessage(encodeClientFrame(frame)));
  }

  payload(device: number, bytes: Uint8Array, from: number, end: number, last: boolean): number {
    if (this.#options.speech.name === "publish") {
      if (!last) return from;
      this.#take(device, from);
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
      this.#taken[device] = view.getUint32(at + 3) * 0x1_0000_0000 + view.getUint32(at + 7);
      if (this.#heldSinceMs[device] === 0) this.#heldSinceMs[device] = this.#nowMs;
      at = next;
    }
    return at;
  }

  #take(device: number, at: number): void {
    const counter = this.#view.getUint32(at + COUNTER_OFFSET, true);
    if (counter !== (this.#received[device] as number) + 1) this.#wrong++;
    this.#received[device] = counter;
    this.#delivered++;
    if (!this.#isMeasuring) return;
    const stamp = this.#view.getUint32(at + STAMP_OFFSET, true);
    this.#latency.record((((this.#nowMs * 1000) >>> 0) - stamp) >>> 0);
  }

  #readDone(device: number): void {
    this.#timeline.note(this.#nowMs, this.#delivered);
    const since = this.#heldSinceMs[device] as number;
    if (since > 0 && this.#nowMs - since >= this.#options.ackHoldMs) this.#ack(device);
    if (this.#inFlight > 0) this.#sendDue();
  }

  #ack(device: number): void {
    const sequence = this.#taken[device] as number;
    if (sequence === this.#acked[device]) return;
    this.#acked[device] = sequence;
    this.#heldSinceMs[device] = 0;
    this.#connections.write(device, maskedMessage(encodeClientFrame({ kind: "ack", sequence })));
  }

  control(device: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    if (opcode === opcodes.ping)
      this.#connections.write(device, maskedMessage(bytes.slice(at, end), opcodes.pong));
    if (opcode === opcodes.close) this.#failure ??= `device ${device}: the server closed the connection`;
  }

  /** Any other frame; `at` when it is not all there. */
  #readRare(device: number, bytes: Uint8Array, at: number, end: number, last: boolean): number {
    const reader = new MsgpackReader(bytes.subarray(0, end), at);
    try {
      reader.skip();
    } catch (error) {
      if (last) throw error;
      return at;
    }
    this.#takeRare(device, readServerFrame(new MsgpackReader(bytes.subarray(0, reader.offset), at)));
    return reader.offset;
  }

  #takeRare(device: number, frame: ServerFrame): void {
    if (frame.kind === "live") this.#ready();
    else if (frame.kind === "receipt") {
      this.#receipted = frame.position;
      this.#durabilities.add(frame.durability);
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

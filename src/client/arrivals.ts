/**
 * What comes in, on its way to the application: in order, without repeats, and
 * acked only when it was taken.
 *
 *   accept ─▶ queued ─▶ handed over ─▶ taken ─▶ position (what an ack names)
 *
 * A repeat is recognised twice. By sequence: after a reconnect the server sends
 * again what we have but did not ack. By sending device and envelope id: an
 * envelope that we saw just before the node crashed may come again, sent again
 * by its sender, under a new sequence; it counts as taken when its first
 * appearance is.
 *
 * Invariants. `position` never passes an entry that was not taken. What is held
 * is bounded by the window that the server granted, the ids by `recentIdsMax`.
 */
import {
  DEVICE_ADDRESS_BYTES,
  type DeviceAddress,
  ENVELOPE_ID_BYTES,
  type EnvelopeId,
} from "../base/address.js";
import { fromHex, toHex } from "../base/bytes.js";
import { GROUP_NOTICE, type GroupEvent, readGroupEvent } from "../wire/groups.js";
import { decodeNotice, isNode, type NoticeBody } from "../wire/notices.js";
import { isSealed } from "../wire/sealed.js";
import type {
  DeliverFrame,
  GapFrame,
  GroupDeliverFrame,
  LiveFrame,
  OwnDeliverFrame,
  SharedDeliverFrame,
} from "../wire/server-frames.js";
import { gapReasonName } from "../wire/server-frames.js";
import { type Emitter, throwOutside } from "./emitter.js";
import type { ClientEvents, Envelope } from "./types.js";

const KEY_BYTES = DEVICE_ADDRESS_BYTES + ENVELOPE_ID_BYTES;

type AnyDeliverFrame = DeliverFrame | OwnDeliverFrame | SharedDeliverFrame | GroupDeliverFrame;

function isDelivery(frame: AnyDeliverFrame | GapFrame | LiveFrame): frame is AnyDeliverFrame {
  return frame.kind !== "gap" && frame.kind !== "live";
}

/** Bytes of ciphertext. */
function bytesOf(frame: AnyDeliverFrame): number {
  return "payload" in frame ? frame.payload.length : frame.block.length + frame.shared.length;
}

/** Whether an entry is taken. */
interface Taking {
  readonly sequence: number;
  readonly bytes: number;
  taken: boolean;
}

class ArrivedEnvelope implements Envelope {
  readonly sequence: number;
  readonly sender: DeviceAddress;
  readonly id: EnvelopeId;
  readonly timeMs: number;
  readonly payload: Uint8Array;
  readonly block: Uint8Array | undefined;
  readonly group: Envelope["group"];
  readonly ack: () => void;

  constructor(frame: AnyDeliverFrame, ack: () => void) {
    this.sequence = frame.sequence;
    this.sender = frame.sender;
    this.id = frame.id;
    this.timeMs = frame.timeMs;
    this.payload = "payload" in frame ? frame.payload : frame.shared;
    this.block = "payload" in frame ? undefined : frame.block;
    this.group = frame.kind === "groupDeliver" ? { address: frame.group, version: frame.version } : undefined;
    this.ack = ack;
  }
}

interface Arrival {
  readonly frame: AnyDeliverFrame | GapFrame | LiveFrame;
  readonly taking: Taking;
}

export interface ArrivalsOptions {
  readonly emitter: Emitter<ClientEvents>;
  readonly manualAcks: boolean;
  readonly recentIdsMax: number;
  readonly position: number;
  readonly recentIds: readonly string[];
  /** `sequence` may be acked now: `entries` entries more than before, of together `bytes` payload bytes. */
  readonly onAckable: (sequence: number, entries: number, bytes: number) => void;
}

export class Arrivals {
  readonly #options: ArrivalsOptions;
  #position: number;
  /** The highest sequence seen. */
  #received: number;
  /**
   * The highest sequence that the connection that is up has brought. Nothing
   * above it may be acked: right after a reconnect the position can be ahead of
   * what the server has sent again.
   */
  #offered = 0;
  /** What onAckable was told last. */
  #ackable = 0;
  #queued: Arrival[] = [];
  /** Entries above the position, in order of sequence. */
  #open: Taking[] = [];
  /** (sending device, envelope id) → its first appearance; oldest first. */
  readonly #recent = new Map<string, Taking>();
  /** A listener's promise is not settled yet. */
  #awaiting = false;
  /** handOver is running: a listener may call what calls it. */
  #handing = false;
  #stopped = false;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#position = options.position;
    this.#received = options.position;
    for (const hex of options.recentIds) {
      const bytes = fromHex(hex);
      if (bytes?.length !== KEY_BYTES) continue;
      this.#remember(String.fromCharCode(...bytes), { sequence: 0, bytes: 0, taken: true });
    }
  }

  /** Everything up to this sequence is taken. */
  get position(): number {
    return this.#position;
  }

  get recentIds(): string[] {
    const taken = [...this.#recent].filter(([, taking]) => taking.taken);
    return taken.map(([key]) => toHex(Uint8Array.from(key, (char) => char.charCodeAt(0))));
  }

  /** A new connection. The server counts everything up to `sequence` as acked, by us or by an earlier run. */
  connected(sequence: number): void {
    this.#offered = sequence;
    this.#ackable = sequence;
    if (sequence > this.#received) this.#received = sequence;
    if (this.#open.length === 0 && sequence > this.#position) this.#position = sequence;
  }

  /** Takes in one frame; call handOver() after the last of a message. */
  accept(frame: AnyDeliverFrame | GapFrame | LiveFrame): void {
    const bytes = isDelivery(frame) ? bytesOf(frame) : 0;
    const taking: Taking = { sequence: frame.sequence, bytes, taken: false };
    if (frame.kind !== "live") {
      this.#offered = Math.max(this.#offered, frame.sequence);
      if (frame.sequence <= this.#received) return;
      this.#received = frame.sequence;
      this.#open.push(taking);
    }
    this.#queued.push({ frame, taking });
  }

  /** Hands over what is queued, as far as the application takes it now. */
  handOver(): void {
    if (this.#handing) return;
    this.#handing = true;
    let count = 0;
    while (!this.#awaiting && !this.#stopped && count < this.#queued.length) {
      const { frame, taking } = this.#queued[count] as Arrival;
      const event = isDelivery(frame) ? eventOf(frame) : undefined;
      if ((event === "envelope" || event === "sealed") && !this.#options.emitter.has(event)) break;
      count += 1;
      if (isDelivery(frame)) this.#deliver(frame, taking);
      else if (frame.kind === "live") this.#options.emitter.emit("live", { sequence: frame.sequence });
      else this.#tellGap(frame, taking);
    }
    this.#queued.splice(0, count);
    this.#handing = false;
    this.#advance();
  }

  /** Nothing is handed over any more. */
  stop(): void {
    this.#stopped = true;
    this.#queued = [];
  }

  #deliver(frame: AnyDeliverFrame, taking: Taking): void {
    const key = String.fromCharCode(...frame.sender, ...frame.id);
    if (this.#recent.has(key)) {
      // If its first appearance is not taken yet, that one still holds the position back.
      taking.taken = true;
      return;
    }
    this.#remember(key, taking);
    const event = eventOf(frame);
    if (event === undefined) {
      this.#tellNotice(frame, taking);
      return;
    }
    if (!this.#options.emitter.has(event)) {
      taking.taken = true;
      return;
    }
    const take = (): void => {
      if (taking.taken) return;
      taking.taken = true;
      this.#advance();
    };
    const isManual = this.#options.manualAcks && event !== "ownEnvelope";
    const envelope = new ArrivedEnvelope(frame, take);
    let promises: unknown[];
    try {
      promises = this.#options.emitter.call(event as "envelope", envelope).filter(isPromise);
    } catch (error) {
      this.#failed(envelope, error);
      return;
    }
    if (promises.length === 0) {
      if (!isManual) taking.taken = true;
      return;
    }
    const settled = Promise.all(promises).then(
      () => {
        if (!isManual) taking.taken = true;
      },
      (error: unknown) => this.#failed(envelope, error),
    );
    if (isManual) return;
    this.#awaiting = true;
    void settled.then(() => {
      this.#awaiting = false;
      this.handOver();
    });
  }

  #tellNotice(frame: AnyDeliverFrame, taking: Taking): void {
    taking.taken = true;
    const { sequence, timeMs } = frame;
    let body: NoticeBody;
    let change: GroupEvent | undefined;
    try {
      body = decodeNotice("shared" in frame ? frame.shared : frame.payload);
      if (body.notice === GROUP_NOTICE) change = readGroupEvent(body);
    } catch (error) {
      throwOutside(error);
      return;
    }
    this.#options.emitter.emit("notice", { sequence, timeMs, body });
    if (change !== undefined) this.#options.emitter.emit("group", { sequence, timeMs, ...change });
  }

  #tellGap(frame: GapFrame, taking: Taking): void {
    const { sequence, count } = frame;
    this.#options.emitter.emit("gap", { sequence, count, reason: gapReasonName(frame.reason) ?? "unknown" });
    taking.taken = true;
  }

  #failed(envelope: Envelope, error: unknown): void {
    if (this.#options.emitter.has("handlerFailed")) {
      this.#options.emitter.emit("handlerFailed", { envelope, error });
    } else throwOutside(error);
  }

  #remember(key: string, taking: Taking): void {
    this.#recent.set(key, taking);
    if (this.#recent.size <= this.#options.recentIdsMax) return;
    for (const oldest of this.#recent.keys()) {
      this.#recent.delete(oldest);
      return;
    }
  }

  #advance(): void {
    let count = 0;
    let bytes = 0;
    for (const taking of this.#open) {
      if (!taking.taken) break;
      this.#position = taking.sequence;
      count += 1;
      bytes += taking.bytes;
    }
    this.#open.splice(0, count);
    const ackable = Math.min(this.#position, this.#offered);
    if (ackable <= this.#ackable) return;
    this.#ackable = ackable;
    this.#options.onAckable(ackable, count, bytes);
  }
}

/** What an entry of this sender is to the application; undefined for a notice. */
function eventOf({ kind, sender }: AnyDeliverFrame): "envelope" | "ownEnvelope" | "sealed" | undefined {
  if (kind === "ownDeliver") return "ownEnvelope";
  if (isSealed(sender)) return "sealed";
  return isNode(sender) ? undefined : "envelope";
}

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

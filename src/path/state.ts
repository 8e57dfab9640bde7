/** What the stages of the path share. Fields are changed only by the stage that is named beside them. */
import type { AccountAddress } from "../base/address.js";
import type { Kernel, ResidentGroup, SealedBatch } from "../kernel/kernel.js";
import type { RequestMeter } from "../rules/requests.js";
import { noSignals } from "../rules/signals.js";
import type { AccountRecord, Commit, Store } from "../store/store.js";
import { Flight } from "./flight.js";
import { isHeld, Notices } from "./notices.js";
import { Parcel } from "./parcel.js";
import { SealedSends } from "./sealed.js";
import type {
  Connection,
  Moment,
  PathEvents,
  PathLimits,
  PathOptions,
  ServeRequest,
  ServeUnidentified,
} from "./shapes.js";
import { UnidentifiedTable } from "./unidentified.js";

/** A connection and how far the host has brought it; the kernel's slot record holds the rest. */
export interface Attachment {
  readonly slot: number;
  /** Names this connection to the kernel; never reused. */
  readonly number: number;
  readonly connection: Connection;
  /** A device of the node's own (own-device.ts). */
  readonly isOwn: boolean;
  readonly windowEntries: number;
  readonly windowBytes: number;
  /** The socket holds bytes back: nothing more is sent until it is writable. */
  isBlocked: boolean;
  /** The live marker has gone out. */
  isAnnounced: boolean;
  /** What it was sent before it went live last; the kernel counts what it sends since. */
  readonly flight: Flight;
  /** What it cost in the turn of this number. */
  costTurn: number;
  readonly costs: { answers: number; loads: number; memberLoads: number };
  /** requests.ts */
  readonly requests: RequestMeter;
  /** signals.ts: what it may send, and what the turn of this number has brought it. */
  readonly signals: { fullAtMs: number; turn: number; bytes: number };
}

/** A connection of which nothing is known yet but what it is. */
export function newAttachment(
  is: Pick<Attachment, "slot" | "number" | "connection" | "isOwn" | "windowEntries" | "windowBytes">,
): Attachment {
  return {
    ...is,
    isBlocked: false,
    // A device of the node's own waits for no live marker.
    isAnnounced: is.isOwn,
    flight: new Flight(),
    costTurn: 0,
    costs: { answers: 0, loads: 0, memberLoads: 0 },
    requests: { underWay: 0, fullAtMs: 0 },
    signals: { fullAtMs: 0, turn: 0, bytes: 0 },
  };
}

/**
 * Counts what a connection makes the host do in this turn, each of which costs a thousand times what asking for it does:
 * false when it has had as much of it as one connection gets.
 */
export function mayCost(
  state: PathState,
  attachment: Attachment,
  what: "answers" | "loads" | "memberLoads",
  max: number,
): boolean {
  const { costs } = attachment;
  if (attachment.costTurn !== state.turnCount) {
    attachment.costTurn = state.turnCount;
    costs.answers = 0;
    costs.loads = 0;
    costs.memberLoads = 0;
  }
  return ++costs[what] <= max;
}

/** A roster of so many members takes as long to read as one account. */
const MEMBERS_PER_LOAD = 64;

/** For a connection that names a group; false when it has had as many loads as one gets in a turn. */
export function makeGroupResident(
  state: PathState,
  attachment: Attachment,
  address: AccountAddress,
): boolean {
  if (!mayCost(state, attachment, "loads", state.limits.accountLoadsPerTurnMax)) return false;
  const group = state.group(address);
  attachment.costs.loads += Math.floor(group.members.length / MEMBERS_PER_LOAD);
  state.kernel.loadGroup(group);
  return true;
}

export class PathState {
  readonly kernel: Kernel;
  readonly store: Store;
  readonly limits: PathLimits;
  readonly events: PathEvents;
  readonly serveRequest: ServeRequest;
  readonly serveUnidentified: ServeUnidentified;
  readonly maySignal: PathOptions["maySignal"];
  /** signals.ts: what became of them since the start. */
  readonly signals = noSignals();
  /** signals.ts: writes that those to groups have caused in the turn of this number. */
  readonly groupSignals = { turn: 0, writes: 0 };
  readonly notices = new Notices();
  readonly unidentified = new UnidentifiedTable();
  readonly sealed: SealedSends;
  readonly wake: () => void;
  readonly turnNow: () => void;
  /** By slot. Changed in connections.ts only. */
  readonly connections: (Attachment | undefined)[] = [];
  connectionCount = 0;
  lastConnectionNumber = 0;
  /** Closed since the last turn: detached from the kernel after it has read what they sent. */
  readonly closed: Attachment[] = [];
  /** Slots to catch up in the next turn, besides those the kernel names. */
  readonly lagging = new Set<number>();
  /** catch-up.ts: what one connection is sent next; empty in between. */
  readonly parcel = new Parcel();
  /** Turns since start. */
  turnCount = 0;
  moment: Moment = { wallMs: 0, monotonicMs: 0, patience: 0 };
  /** answers.ts: the connection that is being answered, and what it will be sent. */
  answering: Attachment | undefined;
  readonly answers: Uint8Array[] = [];
  /** commit.ts: what is being flushed. */
  underWay: { readonly batch: SealedBatch; readonly commit: Commit; readonly bytes: number } | undefined;
  lastCommitMs = 0;
  /** spill.ts */
  isSpilling = false;
  /** A write failed: the node is on its way out and nothing is committed, receipted or spilled any more. */
  hasFailed = false;
  private readonly settling: (() => void)[] = [];

  constructor(options: PathOptions) {
    this.kernel = options.kernel;
    this.store = options.store;
    this.limits = options.limits;
    this.sealed = new SealedSends(options.limits);
    this.events = options.events ?? {};
    this.serveRequest = options.serveRequest;
    this.serveUnidentified = options.serveUnidentified;
    this.maySignal = options.maySignal;
    this.wake = options.wake;
    this.turnNow = options.turnNow;
  }

  /** The account's roster as stored; one that nobody signed into has version 0 and no devices. */
  account(address: AccountAddress): AccountRecord {
    return this.store.readAccount(address) ?? { address, version: 0, devices: [] };
  }

  /** The group's roster as stored, whatever roles its members have; one that does not exist has version 0 and no members. */
  group(address: AccountAddress): ResidentGroup {
    const { version, members } = this.store.readGroup(address) ?? { version: 0, members: [] };
    return {
      address,
      version,
      members: members.map(({ account }) => account),
      isHeld: version > 0 && isHeld(this, address),
    };
  }

  get hasUncommitted(): boolean {
    const { kernel } = this;
    return kernel.uncommittedBytes > 0 || kernel.hasUnsealedReceipts || kernel.dirtyAcks > 0;
  }

  get isWaiting(): boolean {
    if (this.hasFailed) return false;
    return (
      this.hasUncommitted ||
      this.kernel.dueReceipts > 0 ||
      this.kernel.tailUsed > 0 ||
      this.notices.isWaiting ||
      this.unidentified.isWaiting
    );
  }

  whenSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.settling.push(resolve);
      this.wake();
    });
  }

  /** Called at a turn's end: releases those who wait for everything to be committed. */
  settle(): void {
    if (this.settling.length === 0) return;
    const isSettled =
      this.underWay === undefined &&
      this.kernel.uncommittedBytes === 0 &&
      this.kernel.dueReceipts === 0 &&
      !this.kernel.hasUnsealedReceipts;
    if (!isSettled && !this.hasFailed) return;
    for (const resolve of this.settling.splice(0)) resolve();
  }
}

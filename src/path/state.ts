/** What the stages of the path share. Fields are changed only by the stage that is named beside them. */
import type { AccountAddress } from "../base/address.js";
import type { Kernel, ResidentGroup, SealedBatch } from "../kernel/kernel.js";
import { noSignals } from "../rules/signals.js";
import type { AccountRecord, Commit, Store } from "../store/store.js";
import type { Attachment } from "./attachment.js";
import { Notices } from "./notice-lanes.js";
import { Parcel } from "./parcel.js";
import { SealedSends } from "./sealed-sends.js";
import type {
  Moment,
  PathEvents,
  PathLimits,
  PathOptions,
  ServeRequest,
  ServeUnidentified,
} from "./shapes.js";
import { UnidentifiedTable } from "./unidentified-table.js";

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
  /** By slot. Changed in arrival.ts, own-device.ts and connections.ts only. */
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
  /** commit.ts: how many were begun. */
  commitCount = 0;
  /** spill.ts */
  isSpilling = false;
  /** A write failed: the node is on its way out and nothing is committed, receipted or spilled any more. */
  hasFailed = false;
  /** `commitsNeeded`: how many are to be done; known at the end of the turn in which the inbox was read. */
  private readonly settling: { readonly resolve: () => void; commitsNeeded: number | undefined }[] = [];

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
      isHeld: version > 0 && this.isHeld(address),
    };
  }

  /** Whether the event of the group's last change has yet to be taken (notices.ts). */
  isHeld(group: AccountAddress): boolean {
    const event = this.store.owedEvent(group);
    return event !== undefined && !this.notices.takenEvents.has(event);
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

  /** Resolves when all that is accepted in the next turn, or was before, is committed and receipted, or never will be. */
  whenSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.settling.push({ resolve, commitsNeeded: undefined });
      this.wake();
    });
  }

  /** Somebody waits for what is accepted: no receipt waits for company meanwhile. */
  get isSettling(): boolean {
    return this.settling.length > 0;
  }

  /**
   * Called at a turn's end, when no receipt that is due was held back, and when the storage has failed. Devices may go on
   * sending: whoever waits for what was accepted waits for the commit that takes it, and not for a moment without any.
   */
  settle(): void {
    if (this.settling.length === 0) return;
    const { kernel, underWay } = this;
    const isAllSealed = kernel.uncommittedBytes === 0 && !kernel.hasUnsealedReceipts;
    const isSettled = underWay === undefined && isAllSealed && kernel.dueReceipts === 0;
    const commitsDone = this.commitCount - (underWay === undefined ? 0 : 1);
    for (const waiting of this.settling.splice(0)) {
      waiting.commitsNeeded ??= this.commitCount + 1;
      if (isSettled || this.hasFailed || commitsDone >= waiting.commitsNeeded) waiting.resolve();
      else this.settling.push(waiting);
    }
  }
}

/** Notices that were read from the store and are not done, by brand (notices.ts says what becomes of them, and changes this). */
import type { AccountAddress } from "../base/address.js";
import type { StoredNotice } from "../store/store.js";
import type { Attachment } from "./attachment.js";

/** Whom one envelope of a notice is for. */
export type Audience = "members" | StoredNotice["recipients"];

/** A notice that was read and is not done. */
export interface Delivery {
  readonly notice: StoredNotice;
  /** One for each of its envelopes; empty until the first is about to go out. */
  audiences: readonly Audience[];
  /** Envelopes that are not on their way, by their index, in order. */
  readonly waiting: number[];
  /** Envelopes that the kernel has yet to take, and that have yet to be receipted. */
  untaken: number;
  unreceipted: number;
}

/** What one brand's accounts have to be told. */
export interface Lane {
  readThrough: number;
  /** In order. */
  readonly deliveries: Delivery[];
  inFlightCount: number;
}

export interface Sent {
  readonly lane: Lane;
  readonly delivery: Delivery;
  readonly index: number;
}

export class Notices {
  /** The node's own device in the kernel; undefined until it first had something to say. */
  device: Attachment | undefined;
  /** Sends of the device so far. */
  position = 0;
  /** The store may hold notices that no lane has read. */
  isUnread = true;
  /** By brand; who had a turn stands last. */
  readonly lanes = new Map<number, Lane>();
  readonly inFlight = new Map<number, Sent>();
  /** Positions of what went into the inbox in this turn. */
  readonly injected: number[] = [];
  /** Numbers of group events that the kernel has taken and the store still holds. */
  readonly takenEvents = new Set<number>();
  /** Groups whose event is taken, or never will be, and that are still held. */
  readonly opening: AccountAddress[] = [];
  retryAtMs = 0;

  stored(): void {
    this.isUnread = true;
  }

  get isWaiting(): boolean {
    if (this.isUnread) return true;
    for (const { deliveries } of this.lanes.values())
      if (deliveries.some(({ waiting }) => waiting.length > 0)) return true;
    return false;
  }
}

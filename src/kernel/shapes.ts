/** What goes into the kernel's host and what comes out of it. */

/** Sizes of the regions; bytes for inbox and tail, records for the rest. */
export interface KernelSizes {
  readonly inboxBytes: number;
  readonly tailBytes: number;
  readonly accounts: number;
  readonly devices: number;
  /** Keys that one of the two dedup generations holds. */
  readonly dedupKeys: number;
  readonly dedupMs: number;
  readonly uncommittedBytes: number;
  /** Groups whose rosters are resident, and members of all of them. */
  readonly groups: number;
  readonly groupMembers: number;
  readonly brands: readonly number[];
}

/** An account as the store knows it. */
export interface ResidentAccount {
  readonly address: Uint8Array;
  readonly version: number;
  readonly devices: readonly { readonly number: number; readonly ordinal: number }[];
}

/** A group and its members' accounts, each once. One that does not exist has version 0 and no members. */
export interface ResidentGroup {
  /** 18 bytes, like an account's. */
  readonly address: Uint8Array;
  readonly version: number;
  readonly members: readonly Uint8Array[];
  /** Nobody but the node itself sends to it, until it is opened. */
  readonly isHeld?: boolean;
}

/** Whom a signal to a group is for, or why there is nobody to look for. */
export type Audience =
  | "unknown"
  | "tooLarge"
  | "stranger"
  | {
      /** Of the group, whoever is there. */
      readonly members: number;
      /** A copy. */
      readonly slots: Uint32Array;
    };

/** What the last seal closed: records to commit, and what becomes true once they are flushed. */
export interface SealedBatch {
  readonly records: readonly { readonly number: number; readonly bytes: Uint8Array }[];
  /** A copy, 20 bytes a key. */
  readonly dedupKeys: Uint8Array;
  readonly receiptLogEnd: number;
}

/**
 * A run, or its unacked rest, that moves to its device's queue. `frames` is a view on the tail; with `hasReferences` some
 * of them are references to shared parts (assembly/shared.ts draws both).
 */
export interface SpillRow {
  readonly device: Uint8Array;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly entryCount: number;
  readonly frames: Uint8Array;
  readonly hasReferences: boolean;
}

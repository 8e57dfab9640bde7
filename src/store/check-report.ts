/** What a check of a data directory says. */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import type { DirectoryState } from "./read-only.js";
import type { StorePart } from "./schema.js";

export interface CheckFinding {
  readonly table: StorePart;
  readonly kind: "damaged" | "order" | "totals" | "reference" | "unreadable";
  readonly detail: string;
  readonly address?: DeviceAddress | AccountAddress;
  /** Of the journal's block, the dedup row, the shared part, or the queue row's first entry. */
  readonly number?: number;
}

export interface CheckReport extends DirectoryState {
  /** True when nothing was found. */
  readonly ok: boolean;
  readonly journal: { readonly blocks: number; readonly entries: number; readonly acks: number };
  readonly queues: {
    readonly devices: number;
    readonly rows: number;
    readonly entries: number;
    readonly gapEntries: number;
    readonly bytes: number;
  };
  readonly dedup: { readonly rows: number; readonly keys: number };
  /** Parts, entries of queues that refer to them, and their bytes on disk. */
  readonly shared: { readonly parts: number; readonly references: number; readonly bytes: number };
  readonly accounts: { readonly accounts: number; readonly devices: number };
  /** Devices and accounts whose older tokens are refused, and what of them the next open erases. */
  readonly removals: { readonly tombstones: number; readonly erasures: number };
  readonly names: { readonly names: number };
  readonly groups: {
    readonly groups: number;
    readonly members: number;
    /** Members that were removed and have yet to leave. */
    readonly leaving: number;
  };
  readonly contacts: {
    readonly agreements: number;
    /** Accounts that were removed, with which what was agreed is over. */
    readonly ends: number;
  };
  /** Notices that the node still owes. */
  readonly outbox: { readonly notices: number };
  /** Accounts that take sealed sends. */
  readonly deliveryTokens: { readonly accounts: number };
  /** Devices with key rows, those rows, and the keys among them. */
  readonly keys: { readonly devices: number; readonly rows: number; readonly keys: number };
  /** Devices that want to be woken. */
  readonly push: { readonly targets: number };
  /** The first `findingsMax` of them. */
  readonly findings: readonly CheckFinding[];
  readonly findingCount: number;
}

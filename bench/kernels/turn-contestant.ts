/**
 * One way to do what the kernel does in a turn with sends: read them, drop repeats, find the recipients' accounts and
 * devices, give sequences, and lay each device's frames out contiguously. The semantics are the kernel's
 * (assembly/tick.ts, gather.ts; frames: src/wire/protocol.ts): the outcomes, their order and every byte that is sent
 * must be the same.
 *
 * JavaScript contestants leave out what these sends never meet, which is in their favour: acks and other frames,
 * windows and full tables, receipts, the journal's records, accounts that must be loaded first.
 */
import type { ResidentAccount } from "../../src/kernel/kernel.js";
import type { MemoryKind } from "./memory.js";
import type { Contestant } from "./result.js";

/** A WebSocket message of one send. Devices are numbered in the order in which their accounts were loaded. */
export interface Message {
  readonly sender: number;
  readonly bytes: Uint8Array;
}

export interface TurnContestant extends Contestant {
  readonly memory: MemoryKind;
  /** Makes an account resident, all its devices connected and with room for everything. */
  load(account: ResidentAccount): void;
  /** Takes messages in, in place of those taken in before, and gives up what earlier turns laid out; not timed. */
  take(messages: readonly Message[]): void;
  /** One turn over the messages taken in: what is timed. A second turn finds nothing but repeats. */
  turn(nowMs: number): void;
  /** What the turns since `take` did; not timed. */
  result(): TurnResult;
}

export interface TurnResult {
  /** Frames for one device, contiguous, in the order of the devices' first frames. */
  readonly sends: readonly { readonly device: number; readonly bytes: Uint8Array }[];
  /** Codes of src/wire/codes.ts, in the order of the sends. */
  readonly refusals: readonly { readonly device: number; readonly code: number }[];
  readonly accepted: number;
  readonly repeats: number;
}

/** The numbers of src/wire/codes.ts that a send of these batches can meet. */
export const refusalCodes = {
  badFrame: 101,
  payloadTooLarge: 103,
  tooManyRecipients: 104,
  rosterStale: 301,
  repeatedRecipient: 303,
} as const;

/** Sequences begin behind this: the kernel's first epoch. */
export const FIRST_SEQUENCE = 2 ** 32;
export const DELIVER_HEADER_BYTES = 65;

/** Sizes that all contestants are made with. */
export interface TurnSizes {
  readonly accounts: number;
  readonly devices: number;
  readonly inboxBytes: number;
  /** What turns between two calls of `take` may lay out. */
  readonly layoutBytes: number;
  /** Ids that one of two generations holds. */
  readonly dedupKeys: number;
}

/** What the path is given and what it is asked with: connections, bounds, the moment of a turn. */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import type { Kernel } from "../kernel/kernel.js";
import type { RequestBounds, RequestOutcome } from "../rules/requests.js";
import type { SealedBounds } from "../rules/sealed.js";
import type { Store } from "../store/store.js";
import type { CodeName } from "../wire/codes.js";

/** One device's way out: a socket, or a device in this process. */
export interface Connection {
  /**
   * Takes one or more whole frames, copied before it returns. 1: gone; 0: waiting in this connection (say so with
   * `writable` when it has drained); 2: nothing was taken. Must not call back into the path meanwhile.
   */
  send(bytes: Uint8Array): 0 | 1 | 2;
  /** Says why with an error frame as far as possible, then closes. Must not call back into the path meanwhile. */
  end(code: CodeName, retryAfterMs: number): void;
}

/** What happens on the path that others may want to know; called between batches, never per envelope. */
export interface PathEvents {
  readonly connected?: (device: DeviceAddress) => void;
  readonly disconnected?: (device: DeviceAddress) => void;
  /**
   * Entries that their device has not acked for spillAgeMs moved to its queue on disk; whether it is connected or not, and once for
   * each commit that they were in.
   */
  readonly queued?: (device: DeviceAddress, entries: number) => void;
  readonly refused?: (code: CodeName) => void;
}

/** Serves one request of a device; requests.ts has admitted it. Rejects only for a bug. */
export type ServeRequest = (
  device: DeviceAddress,
  method: string,
  body: Uint8Array,
) => Promise<RequestOutcome>;

/** The same for a connection that speaks for nobody but this brand. */
export type ServeUnidentified = (brand: number, method: string, body: Uint8Array) => Promise<RequestOutcome>;

export interface PathOptions {
  readonly kernel: Kernel;
  readonly store: Store;
  /** Asks the loop for a turn soon. */
  readonly wake: () => void;
  /** Asks the loop for a turn right now, because the inbox is full. */
  readonly turnNow: () => void;
  readonly limits: PathLimits;
  readonly serveRequest: ServeRequest;
  readonly serveUnidentified: ServeUnidentified;
  /** Whether both accounts have agreed to signals. Not asked about an account's own devices. */
  readonly maySignal: (from: AccountAddress, to: AccountAddress) => boolean;
  readonly events?: PathEvents;
}

/** Bounds from rules/limits.ts, as configured. */
export interface PathLimits extends RequestBounds, SealedBounds {
  readonly windowEntriesDefault: number;
  readonly windowEntriesMax: number;
  readonly windowBytesDefault: number;
  readonly windowBytesMax: number;
  readonly payloadBytesMax: number;
  readonly messageBytesMax: number;
  readonly accountsPerSendMax: number;
  readonly devicesPerAccountMax: number;
  readonly answersPerTurnMax: number;
  readonly signalsBurst: number;
  readonly signalsPerSecond: number;
  readonly signalBytesPerTurnMax: number;
  readonly signalUncommittedBytesMax: number;
  readonly groupSignalMembersMax: number;
  readonly groupSignalWritesPerTurnMax: number;
  readonly accountLoadsPerTurnMax: number;
  readonly unidentifiedConnectionsMax: number;
  readonly sealedRecipientsMax: number;
  readonly sealedPairsMax: number;
  readonly sealedInFlightMax: number;
  readonly sealedUnreadBytesMax: number;
  readonly sealedUnreadBytesTotal: number;
  readonly sealedSendsPerTurn: number;
  readonly sealedSendsInRow: number;
  readonly sealedRefusalMs: number;
  readonly sealedClaimTokens: number;
  readonly sealedClaimRefillMs: number;
  readonly noticesInFlightMax: number;
  readonly noticesPerBrandMax: number;
  readonly noticeAccountsPerTurnMax: number;
  readonly groupEventMembersMax: number;
  readonly noticeRetryMs: number;
  readonly memberLoadsPerTurnMax: number;
  readonly accountsPerSharedSendMax: number;
  readonly blockBytesMax: number;
  readonly dedupWindowMs: number;
  readonly dedupWindowCount: number;
  readonly silenceMs: number;
  readonly largeCommitBytes: number;
  readonly flushWaitMs: number;
  readonly receiptHoldMs: number;
  readonly commitSpacingMs: number;
  readonly spillAgeMs: number;
  readonly journalTailBytes: number;
}

/** The moment of a turn. */
export interface Moment {
  /** For dates: it may jump. */
  readonly wallMs: number;
  /** For everything that lasts: whole milliseconds that never jump nor go back. */
  readonly monotonicMs: number;
  /** From 0 to 1: how busy the loop is, and so how much waiting for company pays. */
  readonly patience: number;
}

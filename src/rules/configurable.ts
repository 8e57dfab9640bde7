/**
 * Which limits a configuration may set, and within what: chosen so that the relations below, which hold between the numbers
 * of limits.ts, hold for every choice.
 */
import { assert } from "../base/assert.js";
import { limits } from "./limits.js";

const KiB = 1024;
const MiB = 1024 * KiB;

export const configurable = {
  connectionsMax: { min: 1, max: 1_000_000 },
  headConnectionsMax: { min: 1, max: 1_000_000 },
  unauthenticatedConnectionsMax: { min: 1, max: 1_000_000 },
  newcomersPerAddressMax: { min: 1, max: 1_000_000 },
  helloTimeoutMs: { min: 500, max: 8_000 },
  silenceMs: { min: 5_000, max: 3_600_000 },
  stallMs: { min: 1_000, max: 600_000 },
  drainMs: { min: 0, max: 600_000 },
  drainRetryMinMs: { min: 0, max: 10_000 },
  drainRetryMaxMs: { min: 10_000, max: 600_000 },
  windowEntriesDefault: { min: 1, max: 4_096 },
  windowBytesDefault: { min: 128 * KiB, max: 1 * MiB },
  receiptHoldMs: { min: 0, max: 1_000 },
  commitSpacingMs: { min: 0, max: 1_000 },
  commitTimeoutMs: { min: 1_000, max: 600_000 },
  spillAgeMs: { min: 100, max: 60_000 },
  queueEntriesMax: { min: 1, max: 1_000_000_000 },
  queueBytesMax: { min: 1 * MiB, max: 1024 * 1024 * MiB },
  brandQueueBytesMax: { min: 1 * MiB, max: 1024 * 1024 * 1024 * MiB },
  retentionMs: { min: 1_000, max: 3650 * 24 * 3600_000 },
  claimPairTokens: { min: 1, max: 1_000_000 },
  claimPairRefillMs: { min: 1, max: 24 * 3600_000 },
  claimTargetTokens: { min: 1, max: 1_000_000 },
  claimTargetRefillMs: { min: 1, max: 24 * 3600_000 },
  unidentifiedConnectionsMax: { min: 0, max: 1_000_000 },
  sealedRecipientMessages: { min: 2, max: 1_000_000 },
  sealedRecipientMessageRefillMs: { min: 1, max: 3_000 },
  sealedRecipientKiB: { min: 4 * KiB, max: 1024 * KiB },
  sealedRecipientKiBRefillMs: { min: 1, max: 3600_000 },
  diskFreeBytesMin: { min: 0, max: 1024 * 1024 * MiB },
  pushIntervalMs: { min: 1_000, max: 24 * 3600_000 },
} as const satisfies {
  readonly [Name in keyof typeof limits]?: { readonly min: number; readonly max: number };
};

for (const [name, { min, max }] of Object.entries(configurable)) {
  const value = limits[name as keyof typeof configurable];
  assert(min <= value && value <= max, "a default lies within what may be configured");
}
assert(limits.payloadBytesMax + 4 * KiB < limits.messageBytesMax, "a full payload fits one message");
assert(limits.requestBytesMax < limits.messageBytesMax, "a request fits one message");
assert(limits.nameBytesMax * 2 <= limits.adminParameterCharsMax, "a name in base64url fits a path");
assert(limits.resolvesPerSecond * 60 < limits.resolvesBurst, "names are looked up, not enumerated");
assert(limits.requestsUnderWayMax <= limits.requestsBurst, "a full connection was not too fast");
assert(limits.groupMembersMax <= limits.groupAccountsBurst, "a full group is made at once");
assert(
  2 * limits.devicesPerAccountMax <= limits.rosterChangesBurst,
  "all devices of an account are changed at once",
);
assert(limits.noticesInFlightMax <= limits.answersPerTurnMax, "refused notices are no flood");
assert(18 * limits.groupChangeAccountsMax + 512 <= limits.noticePayloadBytesMax, "an event is a notice");
assert(18 * limits.groupMembersMax + KiB <= limits.requestBytesMax, "a full group is made by one request");
assert(18 * limits.groupsPerAccountMax + KiB <= limits.requestBytesMax, "an account's groups are one answer");
assert(limits.noticePayloadBytesMax <= limits.payloadBytesMax, "a notice is an envelope");
assert(limits.pushTargetBytesMax < limits.requestBytesMax, "a target fits a request");
assert(limits.pushConcurrencyPerBrandMax * 2 <= limits.pushConcurrencyMax, "one brand leaves others room");
assert(limits.pushConcurrencyPerBrandMax <= limits.pushWaitingPerBrandMax, "what is under way has waited");
assert(limits.pushRetryBaseMs < limits.pushRetryCapMs, "pauses grow");
assert(limits.drainRetryMaxMs < limits.pushScanDelayMs, "devices of a drained node are back before the scan");
assert(limits.pushSignatureReuseMs < limits.pushSignatureMs, "a signature is renewed before it ends");
assert(18 * limits.contactsMax + KiB <= limits.signalBytesPerTurnMax, "all of one's presence is one frame");
assert(limits.contactsMax <= limits.presenceRowsPerTick, "one account's agreements are one tick's work");
assert(
  limits.accountsPerSendMax * limits.devicesPerAccountMax <= limits.signalsBurst,
  "one ephemeral is no flood",
);
assert(limits.groupSignalMembersMax <= limits.signalsBurst, "a signal to a full group is no flood");
assert(
  limits.groupSignalMembersMax * 2 <= limits.groupSignalWritesPerTurnMax,
  "a signal to a full group reaches everybody with two devices each in one turn",
);
assert(limits.groupSignalBytesMax <= limits.payloadBytesMax, "a signal to a group is a signal");
assert(limits.payloadBytesMax < limits.signalBytesPerTurnMax, "a full signal fits one turn");
assert(limits.signalUncommittedBytesMax < limits.uncommittedBytesMax, "signals go before envelopes do");
assert(limits.messageBytesMax * 2 <= limits.inboxBytes, "the inbox takes at least two full messages");
assert(limits.windowBytesDefault > limits.payloadBytesMax, "a window admits at least one full payload");
assert(limits.groupMembersMax <= limits.residentMembersMax, "a full group fits the kernel's memory");
assert(limits.groupMembersMax <= limits.residentAccountsMax, "a full group's accounts fit it too");
assert(limits.windowBytesMax <= limits.backpressureBytesMax, "a full window is no eviction");
assert(limits.helloTimeoutMs < limits.welcomeTimeoutMs, "hello comes before welcome");
assert(
  limits.newcomersPerAddressMax * 4 < limits.unauthenticatedConnectionsMax,
  "no few addresses take the places of all newcomers",
);
assert(limits.keyFetchTimeoutMs < limits.welcomeTimeoutMs, "a sign-in may wait for keys");
assert(
  limits.keyRefetchMs < limits.keysFreshMs && limits.keysFreshMs < limits.keysStaleMs,
  "keys age in order",
);
assert(limits.stallBytesMin < limits.windowBytesDefault, "one window taken in time is progress");
assert(limits.edgeSweepMs * 4 <= limits.endingMs, "deadlines are long against their resolution");
assert(limits.inboxBytes * 2 < limits.uncommittedBytesMax, "a tick's worth of work is no overload");
assert(limits.uncommittedBytesMax <= limits.journalTailBytes / 2, "what is uncommitted fits the tail");
assert(limits.uncommittedBytesMax + 4 * MiB < limits.journalBlockBytesMax, "a block holds a commit");
assert(limits.chunkMergeBytesMax < limits.chunkBytesMax, "a merged chunk is a chunk");
assert(limits.chunkBytesMax < limits.queueBytesMax, "a queue holds at least one chunk");
assert(limits.keyBytesMax * 8 < limits.requestBytesMax, "an upload holds several keys, whatever their size");
assert(limits.keysLow < limits.keysPerKindMax, "a full stock is not low");
assert(limits.requestsUnderWayMax <= limits.sealedClaimTokens, "claims without a name may come at once too");
assert(
  limits.claimTargetTokens + limits.keysLow <= limits.keysPerKindMax,
  "a burst of claims does not empty a full stock before its device was told",
);
assert(
  limits.unidentifiedConnectionsMax < limits.connectionsMax / 2,
  "who names nobody does not take the places of devices",
);
assert(
  limits.sealedConnectionMessageRefillMs * limits.sealedPairsMax >
    configurable.sealedRecipientMessageRefillMs.max,
  "a connection that makes its share of an account forgotten takes longer than the account's budget to fill",
);
assert(
  limits.messageBytesMax <=
    KiB * Math.min(limits.sealedConnectionKiB, configurable.sealedRecipientKiB.min / 2),
  "a full message fits every budget",
);
assert(
  limits.sealedUnreadBytesMax >= 4 * limits.messageBytesMax &&
    limits.sealedUnreadBytesTotal > limits.sealedUnreadBytesMax,
  "a client's pipeline fits while it waits",
);
assert(
  limits.devicesPerAccountMax * (limits.payloadBytesMax + limits.blockBytesMax) <=
    (KiB * configurable.sealedRecipientKiB.min) / 2,
  "a full shared part for all devices of an account fits its budget",
);
assert(
  limits.accountsPerSharedSendMax <= limits.sealedConnectionMessages,
  "a send to as many accounts as may be fits a connection's budget",
);
assert(
  limits.sealedSendsPerTurn + limits.accountsPerSharedSendMax <= limits.answersPerTurnMax,
  "a turn's refused sealed sends, the last one with all its accounts, are no flood",
);
assert(
  (limits.sealedSendsPerTurn + limits.accountsPerSharedSendMax) * (limits.devicesPerAccountMax + 1) <= 65_536,
  "a turn's sealed sends fit one batch of the kernel",
);
assert(limits.deliveryTokenOverlapMs <= limits.deliveryTokenOverlapMaxMs, "the overlap is within its bound");

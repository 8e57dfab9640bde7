/**
 * Every bound of the engine, with the relations between them asserted below.
 * A configuration may lower or raise those in configurable.ts; the rest are part
 * of protocol v1 or of the memory layout.
 */
import { assert } from "../base/assert.js";
import * as protocol from "../wire/protocol.js";

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  /** Ciphertext for one device. */
  payloadBytesMax: 96 * KiB,
  /** One WebSocket message; uWebSockets.js may reserve this much per connection. */
  messageBytesMax: 1 * MiB,
  accountsPerSendMax: 16,
  /** Of a send with one shared part; the message's size bounds it too. */
  accountsPerSharedSendMax: 256,
  /** What one device gets of its own beside a shared part. */
  blockBytesMax: 4 * KiB,
  /** Accounts in a group. */
  groupMembersMax: 10_000,
  /** Groups that an account is in. */
  groupsPerAccountMax: 1_000,
  devicesPerAccountMax: 16,
  deviceNumberMax: 0xffff,
  /** Refusals, pongs, rosters and signals that one connection causes in one turn; beyond it, it is ended. A list of devices counts for each account in it. */
  answersPerTurnMax: 512,
  /** Accounts that are not in the kernel's tables which one connection's sends may name in one turn; beyond it, they are refused. */
  accountLoadsPerTurnMax: 512,
  /** The same for a group's members, who are loaded together or not at all. */
  memberLoadsPerTurnMax: 10_000,
  /** The kernel's table of crossings has 64 rows: one is for brands it does not know, one for the node itself. */
  brandsMax: 62,

  /** Requests to the cold services: one frame, and what one connection may have under way and ask for in a second. */
  requestBytesMax: protocol.REQUEST_BYTES_MAX,
  requestMethodBytesMax: protocol.METHOD_BYTES_MAX,
  requestsUnderWayMax: protocol.REQUESTS_UNDER_WAY_MAX,
  requestsPerSecond: 50,
  /** How many requests may come at once after a time without any. */
  requestsBurst: 200,
  /** Names that a brand gives to its accounts. */
  nameBytesMax: 128,
  namesPerAccountMax: 16,
  /** Names that one device may ask for: so many at once, then so many a second. */
  resolvesBurst: 20,
  resolvesPerSecond: 0.2,
  /** Every answer to one comes this long after the question, whatever it took to find. */
  resolveAnswerMs: 10,
  /** Devices whose questions are counted; one that is forgotten early begins anew. */
  resolversCountedMax: 100_000,
  /** The admin API: connections at a time, one request's body and time, one parameter in its path (Node.js bounds the head). */
  adminConnectionsMax: 64,
  adminBodyBytesMax: 4 * KiB,
  adminRequestMs: 10_000,
  adminParameterCharsMax: 16 * KiB,
  /** Envelopes of notices on their way through the path at a time; the rest wait in the outbox. */
  noticesInFlightMax: 64,
  /** Of these, and of what was read from the outbox, because of one brand … */
  noticesPerBrandMax: 32,
  /** … and what may be owed because of it: beyond it, changes that would be told are refused, and may be tried again after … */
  noticesOwedPerBrandMax: 4_096,
  noticesOwedRetryMs: 1_000,
  /** Accounts whose rosters one turn reads so that they can be told something (4 µs each, measured). */
  noticeAccountsPerTurnMax: 1_024,
  /** Members to which a group's event goes as one envelope; beyond it, as one for each accountsPerSharedSendMax. */
  groupEventMembersMax: 1_024,
  /** Devices to which one group send goes, the sending one not counted; of a group with more, sends are refused. */
  groupSendDevicesMax: 65_536,
  /** After a notice was refused for want of room. */
  noticeRetryMs: 250,
  noticePayloadBytesMax: 16 * KiB,
  /** Accounts that one change of a group names, once the group is there. */
  groupChangeAccountsMax: 512,
  /** How long a change of a group waits until what tells of the one before it is on disk. */
  groupEventWaitMs: 5_000,
  /** Changes that devices make to their account's roster, of one account: so many at once, then so many a second. */
  rosterChangesBurst: 64,
  rosterChangesPerSecond: 0.2,
  /** Accounts that one account names in changes of groups, itself included: each is a row to write, and somebody who is told. */
  groupAccountsBurst: 40_000,
  groupAccountsPerSecond: 50,
  /** Accounts whose changes are counted; one that is forgotten early begins anew. */
  changersCountedMax: 100_000,
  tokenBytesMax: 4 * KiB,
  /** Tokens whose signature need not be verified again when they come back, at 93 bytes of heap each (measured). */
  verifiedTokensMax: 1 << 17,

  /** Wake-ups of devices that are away. One wake-up covers what is stored within this time, unless the device has come meanwhile. */
  pushIntervalMs: 60_000,
  /** For how long a push service keeps a wake-up for a device that it cannot reach. */
  pushTtlMs: 24 * 3600_000,
  pushKindCharsMax: 32,
  pushTargetBytesMax: 2 * KiB,
  /** One attempt, and how many there are: pauses double from the base up to the cap, half of each at random. */
  pushTimeoutMs: 10_000,
  pushAttemptsMax: 6,
  pushRetryBaseMs: 2_000,
  pushRetryCapMs: 5 * 60_000,
  pushAnswerBytesMax: 16 * KiB,
  /** Attempts under way, in all and of one brand; and wake-ups of one brand that wait. */
  pushConcurrencyMax: 64,
  pushConcurrencyPerBrandMax: 16,
  pushWaitingPerBrandMax: 4_096,
  /** Devices that something was stored for and whose targets have not been looked up yet. */
  pushHeardMax: 1 << 16,
  /** Targets that are looked up without a pause, and in one round of the scan for what is owed. */
  pushRowsPerSlice: 128,
  pushRowsPerScan: 1_024,
  /** The scan begins so long after the start: devices that were connected come back by themselves. */
  pushScanDelayMs: 15_000,
  /** A signature for a push service is made anew after half of its life; so many services are remembered. */
  pushSignatureMs: 12 * 3600_000,
  pushSignatureReuseMs: 6 * 3600_000,
  pushSignaturesMax: 256,

  /** Accounts that one account may have agreed with about signals and presence, and how often it may change that. */
  contactsMax: 1_000,
  contactChangesBurst: 200,
  contactChangesPerSecond: 2,
  /** Accounts whose changes are counted; one that is forgotten early begins anew. */
  contactChangersCountedMax: 100_000,
  /** What may be kept in memory of such agreements; beyond it they are read anew. */
  contactRowsKeptBytes: 16 * MiB,
  /** Signals of one connection, counted for each device that they name; more are dropped. */
  signalsBurst: 512,
  signalsPerSecond: 50,
  /**
   * Members of a group to which signals may go, each of whom counts for one signal of the sender's: who is typing says
   * little in a crowd, and would cost a write for everybody in it.
   */
  groupSignalMembersMax: 256,
  /** One signal to a group, which is short and is copied to everybody. */
  groupSignalBytesMax: protocol.GROUP_SIGNAL_BYTES_MAX,
  /**
   * Writes that signals to groups may cause in one turn of the node, whoever sends them; more are dropped. Each takes about
   * 12 µs of it (256 connected members, 64 B and 4 KiB alike, measured), so that what is delivered beside waits 6 ms for these.
   */
  groupSignalWritesPerTurnMax: 512,
  /** Bytes of signals to one connection in one turn; more are dropped. */
  signalBytesPerTurnMax: 256 * KiB,
  /** While more than this is uncommitted, signals are dropped: long before anything is refused. */
  signalUncommittedBytesMax: 24 * MiB,
  /** Others are told that an account is here, or gone, after it was so for this long. */
  presenceOnlineMs: 500,
  presenceOfflineMs: 5_000,
  /** Presence is worked on this often while there is something to tell, each time about this many agreements. */
  presenceTickMs: 100,
  presenceRowsPerTick: 1_000,
  /** A device that could not be told is told all of it after this long. */
  presenceRetryMs: 1_000,

  /** Sign-in. Clocks of a brand's issuer and of the node may differ by this much. */
  clockToleranceMs: 5_000,
  keyIdCharsMax: 256,
  keysPerBrandMax: 64,
  keySetBytesMax: 256 * KiB,
  keyFetchTimeoutMs: 5_000,
  /** A brand's key file or URL is read at most this often, whatever happens. */
  keyRefetchMs: 30_000,
  /** Keys older than this are read again before they are used … */
  keysFreshMs: 5 * 60_000,
  /** … and, while that fails, used on for no longer than this. */
  keysStaleMs: 60 * 60_000,

  /** Unacked entries and bytes on the way to one device: what welcome grants by default, and at most. */
  windowEntriesDefault: 256,
  windowEntriesMax: 4096,
  windowBytesDefault: 256 * KiB,
  windowBytesMax: 1 * MiB,

  /** Bytes waiting in user space for a socket; beyond it the connection is evicted. */
  backpressureBytesMax: 4 * MiB,

  helloTimeoutMs: 5_000,
  silenceMs: 60_000,
  /** A connection with bytes waiting must take some of them within this time. */
  stallMs: 10_000,
  /** Upgraded and not signed in: all devices of a node may come back at once. */
  unauthenticatedConnectionsMax: 16_000,
  /** Sockets of one source address that have not signed in, those still in HTTP included. */
  newcomersPerAddressMax: 2_048,
  /**
   * Sign-ins begun in one turn of the loop: a token's signature takes 0.17 ms of it (Ed25519, measured), the whole
   * sign-in about 0.3 ms, and what is delivered to others waits for this many. More of them begin no more in a second.
   */
  signInsPerTurn: 3,
  /**
   * From open to welcome, whatever sign-in waits for. All newcomers that a node may have at once are through in this time
   * at 800 a second: to refuse the last of them would bring them back to the end of the queue.
   */
  welcomeTimeoutMs: 20_000,
  /** A connection with bytes waiting must take at least this many (or all of them) within stallMs. */
  stallBytesMin: 16 * KiB,
  /** A connection that is being ended may take what waits for it within this time, then it is cut. */
  endingMs: 2_000,
  /** WebSocket connections. Sized for 20,000 file descriptors, like the two that follow. */
  connectionsMax: 18_000,
  /** Sockets still in HTTP … */
  headConnectionsMax: 16_000,
  /** … of which this many find room beside connectionsMax: all sockets together are bounded by the sum. */
  headReserveMax: 1_000,
  /** The edge looks at its deadlines this often: each may be late by this much. */
  edgeSweepMs: 250,
  /** On a stop, devices are told to come back after a delay drawn evenly from this range. */
  drainRetryMinMs: 500,
  drainRetryMaxMs: 10_000,
  /** On a stop, connections have this long to take what waits for them. */
  drainMs: 5_000,

  /** Dedup: what each of two generations holds, so that a key is remembered for at least this. */
  dedupWindowMs: 10 * 60_000,
  dedupWindowCount: 1 << 20,

  /** Messages taken in between two ticks. */
  inboxBytes: 8 * MiB,
  /** Accepted and not yet spilled, in the kernel's memory. */
  journalTailBytes: 96 * MiB,
  /** Accepted and not yet flushed: reaching it pushes back on senders. */
  uncommittedBytesMax: 48 * MiB,
  /** One block of the journal: what is uncommitted, and its dedup keys. */
  journalBlockBytesMax: 56 * MiB,
  /** The tail is spilled when its oldest record is this old, or when it is half full. */
  spillAgeMs: 2_000,

  /** Devices and accounts resident in the kernel's tables: connected, or recently addressed. */
  residentDevicesMax: 1 << 17,
  residentAccountsMax: 1 << 17,

  /** Groups whose rosters are in the kernel's memory, and their members in all. */
  residentGroupsMax: 1 << 14,
  residentMembersMax: 1 << 19,

  /** A receipt waits up to this long for a ride while turns are long (patience.ts), and not at all while they are short. */
  receiptHoldMs: 40,
  /** The shortest time between two commits while turns are long, unless the next is large; a tenth of it while they are short. */
  commitSpacingMs: 20,
  largeCommitBytes: 512 * KiB,
  /** While turns are long and a commit is large, what is to be sent waits up to this long for its flush. */
  flushWaitMs: 3,
  /** A commit not flushed after this long counts as failed. */
  commitTimeoutMs: 30_000,

  /** Per device queue: beyond it the oldest entries are replaced by a gap. */
  queueEntriesMax: 100_000,
  queueBytesMax: 64 * MiB,
  /** Per brand, queued on disk: beyond it sends to that brand are refused. */
  brandQueueBytesMax: 64 * 1024 * MiB,
  /** Undelivered entries are replaced by a gap after this long. */
  retentionMs: 30 * 24 * 3600_000,
  /** A wall clock that is this much further ahead than the time that has passed is not believed for so long (expiry.ts). */
  clockStepMs: 3600_000,
  clockDoubtMs: 24 * 3600_000,
  /** Rows that one sweep of the store looks at. */
  sweepRows: 5_000,
  /** No queue is looked at more often than this for entries past their retention. */
  sweepRoundMs: 60_000,
  /** Below this much free space sends are refused. */
  diskFreeBytesMin: 256 * MiB,
  /** One chunk of a device's queue, as stored: frames of one device, in order. */
  chunkBytesMax: 64 * KiB,
  /** A spill adds to a queue's last chunk, instead of starting a new one, while that stays this small. */
  chunkMergeBytesMax: 8_000,

  /** The key directory. Keys of one kind that a device may have stored, and the bytes of one key. */
  keysPerKindMax: 100,
  keyBytesMax: 8 * KiB,
  /** A device is told when fewer one-time keys of a kind are left. */
  keysLow: 20,
  /** Claims of one device's keys by one other device: this many at once, then one per … */
  claimPairTokens: 6,
  claimPairRefillMs: 10 * 60_000,
  /** Devices whose keys one device may have claimed and whose pair has not refilled yet. */
  claimPairsMax: 10_000,
  /** One-time keys of one device that claims may take, whoever asks; beyond it, they are given the last resort. */
  claimTargetTokens: 60,
  claimTargetRefillMs: 60_000,
  /** What a device may ask about its own keys at a cost (uploads and digests), and how often its identity may change. */
  keyUploadTokens: 20,
  keyUploadRefillMs: 30_000,
  identityChangeTokens: 4,
  identityChangeRefillMs: 15 * 60_000,
  /** Accounts that are told when a device's identity changes, of those that have claimed its keys. */
  keyHoldersMax: 1_024,
  /** Connections that speak for nobody, of connectionsMax. */
  unidentifiedConnectionsMax: 4_000,
  /** Sealed sends of one such connection: messages at once, then one per …, to several accounts one for each; KiB of ciphertext the same way. */
  sealedConnectionMessages: 256,
  sealedConnectionMessageRefillMs: 50,
  sealedConnectionKiB: 8 * KiB,
  sealedConnectionKiBRefillMs: 4,
  /** Sealed sends to one account, whoever sends; one connection has half of it at a time. In memory: a restart begins anew. */
  sealedRecipientMessages: 300,
  sealedRecipientMessageRefillMs: 1_000,
  sealedRecipientKiB: 16 * KiB,
  sealedRecipientKiBRefillMs: 60,
  /** Accounts whose budget is counted; the one that was sent to longest ago is forgotten, and begins anew. */
  sealedRecipientsMax: 100_000,
  /** Of one connection: accounts to which its share is counted, in the same way. */
  sealedPairsMax: 64,
  /** Of one connection: sends without an answer. What it sends beyond waits unread, up to so many bytes, of it and of all. */
  sealedInFlightMax: 256,
  sealedUnreadBytesMax: 6 * MiB,
  sealedUnreadBytesTotal: 64 * MiB,
  /** Sends (accounts of sends to several) that are looked at in one turn, of all such connections, and of one before the next has its turn. */
  sealedSendsPerTurn: 256,
  sealedSendsInRow: 32,
  /** Claims of keys over one such connection: so many at once, then one per … */
  sealedClaimTokens: 64,
  sealedClaimRefillMs: 1_000,
  /** A token that opens nothing is answered this long after the question, whatever it took to find. */
  sealedRefusalMs: 10,
  /** After a rotation the token before is good for this long, unless the device says otherwise, and never longer than … */
  deliveryTokenOverlapMs: 24 * 3600_000,
  deliveryTokenOverlapMaxMs: 7 * 24 * 3600_000,
  /** Changes of one account's delivery token: so many at once, then so many a second. */
  deliveryTokenChangesBurst: 20,
  deliveryTokenChangesPerSecond: 0.05,
  /** Operations on keys that one transaction takes along, and that may wait for one. */
  keyJobsPerTransaction: 256,
  keyJobsWaitingMax: 10_000,

  /** A chunk that refers to shared parts is grown for this long at most: they outlive every reference by less than twice this. */
  sharedGrowMs: 24 * 3600_000,

  /** Address space for the data file; it grows only as far as it is filled. */
  storeMapBytes: 1024 * 1024 * MiB,
  /** By how much a sound data file may be shorter than its page count: pages at its end that were never written. */
  storeUnwrittenBytesMax: 128 * KiB,
  /** Readers of one data directory at a time, over all processes: the node and its inspectors. */
  storeReadersMax: 126,
  /** The store holds the event loop this long at most for one slice of background work. */
  storeSliceMs: 4,
  /** Rows that one slice of background work removes at most. */
  storeSliceRows: 2_048,
  /** What of dedup keys goes into one row, and how many rows outside the window one spill takes along. */
  dedupRowBytesMax: 256 * KiB,
  dedupRowsPerSpill: 64,
  /** The owner of a data directory touches its lock file this often … */
  lockHeartbeatMs: 2_000,
  /** … and is taken for dead, where its process cannot be seen, after missing this many beats. */
  lockBeatsWatched: 4,
  /** Nodes that start at the same moment step back and try again this often at most. */
  lockAttemptsMax: 40,
  /** Journal bytes that recovery holds in memory at a time. */
  recoveryBytesMax: 64 * MiB,
} as const;

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
assert(limits.noticesPerBrandMax * 2 <= limits.noticesInFlightMax, "no brand takes the places of all");
assert(
  limits.groupEventMembersMax * limits.devicesPerAccountMax <= limits.groupSendDevicesMax,
  "an event that is one envelope reaches everybody, whatever devices they have",
);
assert(
  limits.groupEventMembersMax <= limits.noticeAccountsPerTurnMax,
  "an event that is one envelope fits a turn",
);
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
  limits.unauthenticatedConnectionsMax <= (limits.welcomeTimeoutMs / 1_000) * 800,
  "who comes with all others is welcomed before its time is over",
);
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
  limits.sealedUnreadBytesMax >= 4 * limits.messageBytesMax &&
    limits.sealedUnreadBytesTotal > limits.sealedUnreadBytesMax,
  "a client's pipeline fits while it waits",
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
  (limits.sealedSendsPerTurn + limits.accountsPerSharedSendMax) * (limits.devicesPerAccountMax + 1) <=
    limits.groupSendDevicesMax,
  "a turn's sealed sends fit one batch of the kernel",
);
assert(limits.deliveryTokenOverlapMs <= limits.deliveryTokenOverlapMaxMs, "the overlap is within its bound");

/**
 * What each verb's workload consists of, and within what: the one definition of
 * a workload's fields. Built-in workloads are read through it too (workloads.ts).
 */
import { z } from "zod";

/** The ledger keeps a counter per pair of devices, which bounds how many may send. */
const SENDERS_MAX = 4_096;
/** A process has file descriptors for so many connections and something besides. */
export const CONNECTIONS_MAX = 18_000;

/** A Set takes 2^24 entries; the memory of the kernel ends at 2^26 ids, or at 30 M accounts. */
const KERNEL_KEYS_MAX = 1 << 24;

const count = z.int().min(1).max(1_000_000_000);
const duration = z.int().min(1).max(3_600_000);
const senders = z.int().min(2).max(SENDERS_MAX);
const connections = z.int().min(1).max(CONNECTIONS_MAX);
/** From the bytes that the generator writes itself (generator/payload.ts) to the engine's own limit. */
const payloadBytes = z.int().min(16).max(98_304);
const seed = z.int().min(1).max(0xffff_ffff);
const share = z.number().gt(0).max(1);
const inFlight = z.array(z.int().min(1).max(1_000)).min(1).readonly();

/** How long a round warms up, is measured, and may stand still before what is missing counts as lost. */
const window = { warmUpMs: duration, windowMs: duration, drainMs: duration };

/** Messages circulate: each delivery makes its receiver send one to a random other device. */
const pairs = z.strictObject({
  devices: senders,
  payloadBytes,
  /** Messages under way per device, on average; one set of rounds for each. */
  inFlight,
  /** Rounds of each system, alternating. */
  rounds: count,
  ...window,
  seed,
});

export const schemas = {
  pairs,
  /** The canonical workload again, with rounds short enough for a dozen systems. */
  compare: pairs,
  /** Deep pipelining: do receipts keep flowing? */
  receipts: pairs,
  /** Under strace everything is several times slower: short windows. */
  syscalls: pairs,
  /** Connections that do nothing. */
  idle: z.strictObject({ connections, settleMs: duration }),
  /** Entries queued for devices that are away, a crash, a restart. */
  restart: z.strictObject({ entries: count, senders: connections, receivers: connections, payloadBytes }),
  /** The kernels against JavaScript: dedup at every window, route at every number of accounts. */
  kernels: z.strictObject({
    /** What one of dedup's two generations holds. */
    windowKeys: z.array(z.int().min(64).max(KERNEL_KEYS_MAX)).readonly(),
    accounts: z.array(z.int().min(64).max(KERNEL_KEYS_MAX)).readonly(),
    /** Contestants that keep an object per key are left out beyond this: filling them takes a minute at 16 M. */
    objectsMax: count,
    crcBytes: z
      .array(
        z
          .int()
          .min(1_024)
          .max(64 * 1024 * 1024),
      )
      .readonly(),
    payloadBytes,
    /** Ids in one call of dedup. */
    batchKeys: z.int().min(1).max(1_024),
    rounds: count,
    measureMs: duration,
  }),
  /** Sends at times fixed beforehand, whatever the system does; first the highest rate it sustains, then parts of that. */
  "open-loop": z.strictObject({
    devices: senders,
    payloadBytes,
    seed,
    /** The search doubles from here until a rate is not sustained, at most to `searchToPerSec`, then bisects. */
    searchFromPerSec: count,
    searchToPerSec: count,
    bisections: z.int().min(0).max(20),
    searchWindowMs: duration,
    /** What was found is tried in so many windows of `windowMs`, and less until most of them hold. */
    confirmations: z.int().min(1).max(9),
    /** Deliveries later than this are no longer "sustained". */
    deliveryP99MsMax: z.number().gt(0),
    shares: z.array(share).min(1).readonly(),
    rounds: count,
    ...window,
  }),
  /** Entries for devices that are away, then everybody comes back. */
  "offline-drain": z.strictObject({
    senders,
    receivers: connections,
    entriesPerReceiver: count,
    payloadBytes,
    unreceiptedPerSender: z.int().min(1).max(1_000),
    /** What the server does after the last receipt (moving entries to queues on disk) counts for this long. */
    settleMs: duration,
    drainMs: duration,
  }),
  /** Many sign-ins at once, while a paced load goes on. */
  "connect-storm": z.strictObject({
    /** The established devices, and their sends per second in all. */
    devices: senders,
    ratePerSec: count,
    payloadBytes,
    seed,
    signIns: connections,
    /** Connections that are being opened at one time. */
    signInsAtOnce: connections,
    /** Connections come from this many loopback addresses in turn (generator/source-addresses.ts). */
    sourceAddresses: z.int().min(1).max(200),
    ...window,
  }),
  /** Pairs in which a share of the sends is repeated under the same id. */
  duplicates: z.strictObject({
    ...pairs.shape,
    repeatedShare: share,
    /** A repeat follows after this many further sends of its device. */
    repeatedAfterSends: z.int().min(1).max(64),
  }),
  /** One message to a whole group, beside `publish` to a topic. */
  "group-fanout": z.strictObject({
    /** Beside the sender; a set of rounds for each. */
    members: z.array(z.int().min(1).max(10_000)).min(1).readonly(),
    payloadBytes,
    inFlight,
    /** Members ack what they have taken after this long. */
    ackHoldMs: duration,
    /** Whether members of the topic say as much as acks would. */
    topicAcks: z.boolean(),
    rounds: count,
    /** A round's processes are young: it warms up until so much was delivered, whatever the members, but no longer than this. */
    warmUpDeliveries: count,
    warmUpMsMax: duration,
    windowMs: duration,
    drainMs: duration,
  }),
  /** Sends to devices and groups at fixed times, of all lengths, while some devices come and go. */
  mixed: z.strictObject({
    /** The last `churningDevices` of them come and go, and only receive; how long they are there and away are means. */
    devices: senders,
    churningDevices: z.int().min(0).max(SENDERS_MAX),
    thereMs: duration,
    awayMs: duration,
    ratePerSec: count,
    /** Kinds of groups with their share of the sends; what is left goes to any other device. */
    groups: z
      .array(
        z.strictObject({
          share,
          groups: z.int().min(1).max(10_000),
          membersMin: z.int().min(2).max(SENDERS_MAX),
          membersMax: z.int().min(2).max(SENDERS_MAX),
        }),
      )
      .readonly(),
    /** Log-normal; sigma is the standard deviation of the logarithm. */
    sizes: z.strictObject({
      medianBytes: payloadBytes,
      sigma: z.number().min(0).max(4),
      bytesMax: payloadBytes,
    }),
    rounds: count,
    ...window,
    seed,
  }),
  /** Pairs, while other devices read nothing or little of what they are sent. */
  "slow-readers": z.strictObject({
    ...pairs.shape,
    inFlight: z.int().min(1).max(1_000),
    slowDevices: senders,
    /** So many of the slow devices read once every `trickleMs`; the others read nothing. */
    tricklingDevices: z.int().min(0).max(SENDERS_MAX),
    trickleMs: duration,
    /** Sent to slow devices before the window, all in all, and per second from then on. */
    aheadEntries: count,
    feedPerSec: count,
  }),
  /** A load on a node that runs already, from several processes. */
  load: z.strictObject({
    devices: z.int().min(2).max(1_000_000),
    /** Each device writes to so many devices after it, round the end, or to all where there are fewer. */
    peers: z.int().min(1).max(SENDERS_MAX),
    /** Every generator process has its part of the devices. */
    processes: z.int().min(1).max(256),
    payloadBytes,
    /** An open loop: sends per second in all, at times fixed beforehand; or a closed one: messages under way per device. */
    pace: z.union([
      z.strictObject({ ratePerSec: count }),
      z.strictObject({ inFlight: z.int().min(1).max(1_000) }),
    ]),
    /** As in a connect storm, for a node on this machine; 0: the system's choice. */
    sourceAddresses: z.int().min(0).max(200),
    ...window,
    seed,
  }),
} as const;

export type Verb = keyof typeof schemas;

interface Named {
  readonly name: string;
}

/** The parameters of a verb's workload, at one size. */
export type Workload<V extends Verb> = Named & Readonly<z.infer<(typeof schemas)[V]>>;

export type PairsWorkload = Workload<"pairs">;
export type IdleWorkload = Workload<"idle">;
export type RestartWorkload = Workload<"restart">;
export type KernelsWorkload = Workload<"kernels">;
export type OpenLoopWorkload = Workload<"open-loop">;
export type OfflineDrainWorkload = Workload<"offline-drain">;
export type ConnectStormWorkload = Workload<"connect-storm">;
export type DuplicatesWorkload = Workload<"duplicates">;
export type GroupFanoutWorkload = Workload<"group-fanout">;
export type MixedWorkload = Workload<"mixed">;
export type SlowReadersWorkload = Workload<"slow-readers">;
export type LoadWorkload = Workload<"load">;

/** What the harness asks of a generator process, and what that answers. */
import type { ChurnWindow } from "./churn.js";
import type { DialectChoice } from "./dialects.js";
import type { FeedOptions } from "./feed.js";
import type { MixOptions } from "./mix.js";
import type { RepeatOptions } from "./repeats.js";
import type { Share } from "./share.js";

export interface GeneratorOptions {
  readonly host: string;
  readonly devices: number;
  readonly payloadBytes: number;
  readonly seed: number;
  /** Devices 0 to `senders` − 1 send: each pair of a sender and a device has a counter. */
  readonly senders: number;
  readonly unreceiptedPerDeviceMax: number;
  /** Each device writes to so many devices after it, round the end; default: to all. */
  readonly peers?: number;
  /** Default: all devices are this process's. */
  readonly share?: Share;
  /** Devices may have queues from before this run: what comes before the first round is acked and only counted. */
  readonly takesStale?: boolean;
  readonly isTls?: boolean;
  /** Arrivals are of this mix, in which sends have lengths of their own; `payloadBytes` then says nothing. */
  readonly mix?: MixOptions;
  readonly dialect: DialectChoice;
}

/** Which devices to open, and how. */
export interface OpenRange {
  readonly port: number;
  readonly from: number;
  readonly to: number;
  /** Connections that are being opened at one time; by default below the listen backlog of 512. */
  readonly atOnce?: number;
  /** Connections come from so many loopback addresses in turn (source-addresses.ts), so that ports do not run out. */
  readonly sourceAddresses?: number;
  /** Count connections that are refused, and try them again, where otherwise the run fails. */
  readonly repeatsRefused?: boolean;
}

export interface Circulate {
  readonly inFlight: number;
  readonly repeats?: RepeatOptions;
  /** The round has begun before; what was sent then is judged with the rest. */
  readonly continues?: boolean;
  /** Sends to other devices, which do not circulate. */
  readonly feed?: FeedOptions;
}

export interface Opened {
  readonly refused: number;
  /** Why, and how often. */
  readonly reasons: Readonly<Record<string, number>>;
  /** From the first attempt until the last device was ready. */
  readonly tookMs: number;
}

export interface RoundResult {
  /** Delivered between the two moments given to `finish`. */
  readonly delivered: number;
  /** The generator's own CPU time between measure and closeWindow, and the time that passed. */
  readonly cpuUs: number;
  readonly windowMs: number;
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
  /** Refusals that asked to try again later, which was done. */
  readonly refused: number;
  /** Sends made again under the same id. */
  readonly repeated: number;
  /** Sends without a receipt at the end; 0 where no receipts are given. */
  readonly unreceipted: number;
  /** Histograms, encoded. */
  readonly deliveryLatency: string;
  readonly receiptLatency: string;
  readonly longestReceiptGapMs: number;
  /** Durability numbers of the receipts in the window. */
  readonly durabilities: readonly number[];
  /** Where devices came and went. */
  readonly churn?: ChurnWindow;
}

/** What a process tells of a run that goes on; counts are since its start, latencies since the window opened. */
export interface GeneratorProgress {
  readonly sent: number;
  readonly delivered: number;
  readonly receipted: number;
  readonly refused: number;
  /** Sends with neither receipt nor refusal, or that wait for their device's next attempt. */
  readonly unanswered: number;
  /** Delivered before the first round began. */
  readonly stale: number;
  /** As LatencyCounts lists them; lag is empty in a closed loop. */
  readonly delivery: readonly number[];
  readonly receipt: readonly number[];
  readonly lag: readonly number[];
}

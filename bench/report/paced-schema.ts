/** The part of the result file's schema (schema.ts) that is about arrivals at fixed times, and queues. */
import { z } from "zod";
import type { ConnectStormResult, StormWindow } from "../measure/connect-storm.js";
import type { LoadMoment } from "../measure/load-monitor.js";
import type { LoadResult } from "../measure/load-result.js";
import type { OfflineDrainResult } from "../measure/offline-drain.js";
import type { Latency, OpenLoopRate, OpenLoopResult, OpenLoopTrial } from "../measure/open-loop.js";

const text = z.string();
const figure = z.number();
const figureOrNull = z.number().nullable();
const count = z.number().int().nonnegative();

const latency = z.object({
  p50Ms: figure,
  p99Ms: figure,
  p999Ms: figure,
  maxMs: figure,
} satisfies Record<keyof Latency, z.ZodType>);

const delivery = latency.describe("from the moment a send was meant for to the payload's arrival");
const receipt = latency.nullable().describe("from the same moment to the receipt; null without receipts");

const othersBusy = figureOrNull.describe("cores' worth of other work on the machine; null off Linux");

const rate = z.object({
  share: figure.describe("of the sustainable rate"),
  ratePerSec: figure.describe("messages offered per second, whatever the system does"),
  rounds: count.describe("that have figures, which are their medians; counts are sums of all"),
  achievedPerSec: figure,
  delivery,
  deliveryP99MsMin: figure.describe("of the rounds"),
  deliveryP99MsMax: figure,
  receipt,
  lost: count,
  duplicated: count,
  reordered: count,
  misdelivered: count,
  unreceipted: count,
  refused: count,
  serverBusy: figure.describe("1 is a whole core"),
  generatorBusy: figure.describe("without its polling"),
  othersBusy,
  generatorLagP99Ms: figure.describe("from the moment a send was meant for until a socket had it"),
  generatorLagMaxMs: figure,
  generatorReadLagP99Ms: figure.describe("from the poll that found a socket ready to its read"),
  generatorWasLimit: z.boolean().describe("in half of the rounds at least"),
  serverLoopDelayP99Ms: figure,
  serverLoopDelayMaxMs: figure,
  serverGcShare: figure,
  serverGcPauseMaxMs: figure,
  diskBytesPerMsg: figureOrNull,
  flushesPerSec: figureOrNull,
  unsent: count.describe("due at the window's end and not sent"),
  gaveUp: z.boolean().describe("in a round half a second's sends were overdue and the arrivals ended"),
} satisfies Record<keyof OpenLoopRate, z.ZodType>);

const trial = z.object({
  ratePerSec: figure,
  windowMs: figure,
  isSustained: z.boolean(),
  deliveryP99Ms: figureOrNull,
  backlogFirstHalf: figure.describe("mean of the window's first half"),
  backlogSecondHalf: figure,
  othersBusy,
  generatorWasLimit: z.boolean(),
} satisfies Record<keyof OpenLoopTrial, z.ZodType>);

export const openLoop = z.object({
  system: text,
  devices: count,
  payloadBytes: count,
  seed: count,
  scheduleHash: text,
  sustainablePerSec: figure.describe("highest rate that most windows as long as a round's sustained"),
  generatorWasLimit: z.boolean().describe("the generator ended the search: the system may sustain more"),
  search: z.array(trial).readonly(),
  rates: z.array(rate).readonly(),
} satisfies Record<keyof OpenLoopResult, z.ZodType>);

export const offlineDrain = z.object({
  system: text,
  receivers: count,
  entries: count,
  payloadBytes: count,
  signInCpuUs: figure.describe("CPU per sign-in with an empty queue"),
  signInsPerSec: figure,
  onlineCpuUsPerMsg: figure,
  onlinePerSec: figure,
  enqueueCpuUsPerEntry: figure,
  enqueuedPerSec: figure.describe("until the last receipt"),
  enqueueToOnline: figure.describe("CPU per entry queued, to CPU per message delivered"),
  connectMs: figure.describe("from the first device's return until the last was signed in"),
  drainMs: figure.describe("from the first device's return until the last entry"),
  drainedPerSec: figure,
  drainCpuUsPerEntry: figure,
  lost: count,
  duplicated: count,
  reordered: count,
  misdelivered: count,
  refused: count,
} satisfies Record<keyof OfflineDrainResult, z.ZodType>);

const stormWindow = z.object({
  delivery,
  receipt,
  generatorLagP99Ms: figure,
  serverBusy: figure,
} satisfies Record<keyof StormWindow, z.ZodType>);

export const connectStorm = z.object({
  system: text,
  signIns: count,
  signInsAtOnce: count,
  sourceAddresses: count,
  allWelcomedMs: figure.describe(
    "from the first attempt until the last device was welcomed; by a relay, upgraded",
  ),
  refused: count.describe("connections refused or ended before welcome, and tried again"),
  refusalReasons: z.record(text, count).describe("what they were told, and how often"),
  establishedDevices: count,
  ratePerSec: figure,
  seed: count,
  scheduleHash: text,
  before: stormWindow.describe("the established devices' traffic"),
  during: stormWindow,
  vanishing: stormWindow.optional().describe("while all newcomers' connections vanish at once"),
  deliveryP99Ratio: figure.describe("delivery p99, during to before"),
  lost: count,
  duplicated: count,
  reordered: count,
  misdelivered: count,
} satisfies Record<keyof ConnectStormResult, z.ZodType>);

const moment = z.object({
  atMs: figure.describe("since the window opened"),
  sentPerSec: figure.describe("since the moment before, as is everything here"),
  deliveredPerSec: figure,
  deliveryP99Ms: figureOrNull.describe("within one per cent"),
  receiptP99Ms: figureOrNull,
  lagP99Ms: figureOrNull,
} satisfies Record<keyof LoadMoment, z.ZodType>);

export const load = z.object({
  workload: text,
  system: text,
  url: text,
  processes: count.describe("generator processes; what follows is of all of them together"),
  devices: count,
  peers: count.describe("devices that each device writes to"),
  payloadBytes: count,
  seed: count,
  ratePerSec: figureOrNull.describe(
    "sends offered per second, whatever the node does; null in a closed loop",
  ),
  scheduleHash: text.nullable().describe("null in a closed loop"),
  inFlight: figure.describe("messages under way per device; 0 in an open loop"),
  durability: text.nullable().describe("as the receipts said"),
  windowMs: figure,
  deliveredPerSec: figure,
  deliveryP50Ms: figure.describe("from the moment a send was meant for to the payload's arrival"),
  deliveryP99Ms: figure,
  deliveryP999Ms: figure,
  deliveryMaxMs: figure,
  receiptP50Ms: figureOrNull.describe("from the same moment to the receipt"),
  receiptP99Ms: figureOrNull,
  receiptP999Ms: figureOrNull,
  receiptMaxMs: figureOrNull,
  longestReceiptGapMs: figureOrNull.describe("longest time that any process was without a receipt"),
  sent: count.describe("over the whole run, as are the counts below"),
  lost: count,
  duplicated: count,
  reordered: count,
  misdelivered: count,
  unreceipted: count,
  refused: count.describe("sends refused for overload and repeated"),
  stale: count.describe("from before this run, delivered at sign-in and not judged"),
  unsent: count.describe("due at the window's end and not sent"),
  gaveUp: z.boolean().describe("so much was overdue that sends ended before the window did"),
  generatorCpuUsPerMsg: figure.describe("of all processes"),
  generatorBusy: figure.describe("of the busiest process; 1 is a whole core"),
  generatorLagP99Ms: figureOrNull.describe("from the moment a send was meant for until a socket had it"),
  generatorLagMaxMs: figureOrNull,
  generatorSleeps: z.boolean().describe("up to a millisecond where nothing is due, because cores are shared"),
  generatorWasLimit: z.boolean(),
  serverCpuUsPerMsg: figureOrNull.describe("null where the node's process was not named, as is what follows"),
  serverBusy: figureOrNull,
  serverRssBytes: figureOrNull,
  diskBytesPerMsg: figureOrNull,
  deliveryLatency: text.describe("HdrHistogram of microseconds, compressed, in base64"),
  receiptLatency: text,
  timeline: z.array(moment).readonly(),
} satisfies Record<keyof LoadResult, z.ZodType>);

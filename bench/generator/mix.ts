/**
 * What the `mixed` workload sends: whom each send is for, how long it is, and who is in which group; all of it fixed by
 * the seed before anything is sent (as in schedule.ts), and named by a hash.
 *
 *   devices 0 to senders − 1            connected throughout; they send
 *   devices senders to devices − 1      come and go (churn.ts), and receive
 *   target devices + g                  group g
 *
 * Sizes are log-normal, as lengths of chat messages are known to be: most are short texts, which encryption and padding
 * bring to a few hundred bytes, and pictures in small, long texts and the offers of calls make a tail of three orders of magnitude. They
 * come from a table of quantiles, by a hash of the send's counter, so that a message's size depends on nothing else.
 */
import { createHash } from "node:crypto";
import { PAYLOAD_BYTES_MIN } from "./payload.js";
import { Random } from "./random.js";
import { exponentialGap } from "./schedule.js";

export interface MixOptions {
  readonly devices: number;
  readonly senders: number;
  readonly seed: number;
  /** What is left goes to single devices. */
  readonly kinds: readonly GroupKind[];
  readonly sizes: SizeOptions;
}

/** Groups that are alike. */
export interface GroupKind {
  /** Of all sends. */
  readonly share: number;
  readonly groups: number;
  readonly membersMin: number;
  readonly membersMax: number;
}

export interface SizeOptions {
  readonly medianBytes: number;
  /** Standard deviation of the logarithm. */
  readonly sigma: number;
  readonly bytesMax: number;
}

const HASHED_ARRIVALS = 65_536;
const SIZES = 4_096;
const GROUP_SEED = 0x67726f75;

export class Mix {
  readonly options: MixOptions;
  /** The members of each, in the order of their numbers. */
  readonly groups: readonly (readonly number[])[];
  readonly sizes: Uint32Array;

  constructor(options: MixOptions) {
    check(options);
    this.options = options;
    this.groups = groupsOf(options);
    this.sizes = sizesOf(options.sizes);
  }

  sizeOf(sender: number, counter: number): number {
    let hash = Math.imul(sender ^ this.options.seed, 0x9e3779b1) ^ Math.imul(counter, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
    return this.sizes[(hash ^ (hash >>> 15)) & (SIZES - 1)]!;
  }

  /** Of all sizes, as they are drawn. */
  get meanBytes(): number {
    return this.sizes.reduce((sum, size) => sum + size, 0) / SIZES;
  }

  /** Members besides the sender, or one device, on average. */
  get deliveriesPerSend(): number {
    const { kinds } = this.options;
    const direct = 1 - kinds.reduce((sum, { share }) => sum + share, 0);
    let first = 0;
    return kinds.reduce((sum, { share, groups }) => {
      const members = this.groups.slice(first, first + groups).reduce((all, { length }) => all + length, 0);
      first += groups;
      return sum + share * (members / groups - 1);
    }, direct);
  }

  /** Names what is sent: two runs with the same hash send the same, at the same times for the same rate. */
  hash(): string {
    const schedule = new MixedSchedule(this);
    const arrivals = new Float64Array(3 * HASHED_ARRIVALS);
    for (let at = 0; at < arrivals.length; at += 3) {
      schedule.next();
      arrivals.set([schedule.gap, schedule.sender, schedule.target], at);
    }
    const groups = JSON.stringify(this.groups);
    return createHash("sha256").update(groups).update(this.sizes).update(arrivals).digest("hex").slice(0, 16);
  }
}

/** Throws what is wrong with a workload's numbers beside one another, for people. */
function check({ devices, senders, kinds, sizes }: MixOptions): void {
  const shares = kinds.reduce((sum, { share }) => sum + share, 0);
  if (shares > 1) throw new Error(`the groups' shares come to ${shares}: more than all sends`);
  if (senders < 2) throw new Error("at least two devices must not come and go");
  if (sizes.bytesMax < sizes.medianBytes) throw new Error("the greatest size is below the median");
  for (const { membersMin, membersMax } of kinds) {
    if (membersMin <= membersMax && membersMax <= devices) continue;
    throw new Error(`groups cannot have ${membersMin} to ${membersMax} of ${devices} devices`);
  }
}

/** The arrivals of a mix, one after the other. */
export class MixedSchedule {
  /** The arrival that `next` has moved to; the gap is that of a rate of one. */
  gap = 0;
  sender = 0;
  target = 0;
  readonly #mix: Mix;
  readonly #random: Random;
  /** Per kind: how many groups come before its own; the members of each group who send. */
  readonly #firsts: readonly number[];
  readonly #sendersOf: readonly (readonly number[])[];

  constructor(mix: Mix) {
    this.#mix = mix;
    this.#random = new Random(mix.options.seed);
    let first = 0;
    this.#firsts = mix.options.kinds.map(({ groups }) => {
      first += groups;
      return first - groups;
    });
    this.#sendersOf = mix.groups.map((members) => members.filter((member) => member < mix.options.senders));
  }

  next(): void {
    const random = this.#random;
    const { devices, senders, kinds } = this.#mix.options;
    this.gap = exponentialGap(random);
    let draw = random.uint32() / 0x1_0000_0000;
    const kind = kinds.findIndex(({ share }) => {
      draw -= share;
      return draw < 0;
    });
    if (kind >= 0) {
      const group = this.#firsts[kind]! + random.below(kinds[kind]!.groups);
      const those = this.#sendersOf[group]!;
      this.sender = those[random.below(those.length)]!;
      this.target = devices + group;
      return;
    }
    this.sender = random.below(senders);
    const target = this.sender + 1 + random.below(devices - 1);
    this.target = target < devices ? target : target - devices;
  }
}

/** Each has members anywhere among the devices, and somebody who sends. */
function groupsOf({ devices, senders, seed, kinds }: MixOptions): number[][] {
  const random = new Random(seed ^ GROUP_SEED);
  const groups: number[][] = [];
  for (const { groups: wanted, membersMin, membersMax } of kinds) {
    for (const end = groups.length + wanted; groups.length < end; ) {
      const count = membersMin + random.below(membersMax - membersMin + 1);
      const members = new Set<number>();
      while (members.size < count) members.add(random.below(devices));
      const sorted = [...members].sort((a, b) => a - b);
      if (sorted[0]! < senders) groups.push(sorted);
    }
  }
  return groups;
}

function sizesOf({ medianBytes, sigma, bytesMax }: SizeOptions): Uint32Array {
  return Uint32Array.from({ length: SIZES }, (_, at) => {
    const bytes = Math.round(medianBytes * Math.exp(sigma * normalQuantile((at + 0.5) / SIZES)));
    return Math.min(bytesMax, Math.max(PAYLOAD_BYTES_MIN, bytes));
  });
}

/** Of the standard normal distribution, within 4.5e-4 (Abramowitz and Stegun 26.2.23). */
function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  const t = Math.sqrt(-2 * Math.log(p));
  return (
    (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3) -
    t
  );
}

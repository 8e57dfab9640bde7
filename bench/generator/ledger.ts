/**
 * Who sent how much to whom, and what of it arrived: the judge of every round.
 * It shares no code with the engine and knows only what the payloads say.
 *
 *   sent[pair]      counter of the last send of the pair
 *   received[pair]  highest counter that arrived
 *   missing         counters below `received` that have not arrived (yet)
 *   withdrawn       counters above `received` whose send was refused: they never come
 *
 * A counter one above the highest is as it should be. One further ahead leaves
 * those between as missing. One at or below the highest is *reordered* when it
 * was missing, and *duplicated* otherwise. What is missing, or was sent and lies
 * above the highest, is *lost* once nothing more can come. A refused send is
 * withdrawn and, when it is repeated, counts as a new one.
 *
 * Everything counts from the ledger's making; a round takes differences.
 *
 * A device writes to the devices after it, round the end, at most to so many
 * (`peers`), which bounds the pairs:
 *
 *   pair = sender × peers + place,   place = (target − sender − 1) mod devices
 *
 * Where a run has several processes, each has a ledger with the counters of its
 * own devices, and none can judge alone: what was sent is with the sender's
 * process, what arrived with the receiver's. `part` is what each knows, and
 * merged-ledger.ts judges all parts together.
 */
import { deflateSync } from "node:zlib";
import { assert } from "../../src/base/assert.js";
import { isOwn, type Share, wholeShare } from "./share.js";

const PAIRS_MAX = 1 << 26;

/** Some counters of a pair. */
export type PairCounters = readonly [pair: number, counters: readonly number[]];

/** What one process knows of a run, for merged-ledger.ts. */
export interface LedgerPart {
  readonly pairs: number;
  /** Counters of all pairs, deflated, in base64: 0 where the sender (`sent`) or receiver (`received`) is not here. */
  readonly sent: string;
  readonly received: string;
  readonly missing: readonly PairCounters[];
  readonly withdrawn: readonly PairCounters[];
  readonly sentCount: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
}

export class Ledger {
  readonly devices: number;
  readonly senders: number;
  /** Sends that were not withdrawn. */
  sentCount = 0;
  /** Arrivals of every kind. */
  receivedCount = 0;
  duplicated = 0;
  reordered = 0;
  /** Arrivals that no send explains: at another device than addressed, never sent, or refused. */
  misdelivered = 0;
  readonly #peers: number;
  readonly #share: Share;
  readonly #sent: Uint32Array;
  readonly #received: Uint32Array;
  readonly #missing = new Map<number, Set<number>>();
  readonly #withdrawn = new Map<number, Set<number>>();

  /**
   * Devices 0 to `senders` − 1 send; by default all of them, to everybody. Pages that no pair touches take no
   * memory. Throws when there are too many pairs.
   */
  constructor(
    devices: number,
    senders: number = devices,
    { peers = devices, share = wholeShare }: { readonly peers?: number; readonly share?: Share } = {},
  ) {
    const pairs = senders * peers;
    assert(pairs <= PAIRS_MAX, `at most ${PAIRS_MAX} pairs of devices have counters, and these are ${pairs}`);
    this.devices = devices;
    this.senders = senders;
    this.#peers = peers;
    this.#share = share;
    this.#sent = new Uint32Array(pairs);
    this.#received = new Uint32Array(pairs);
  }

  /** The counter of the next send of the pair. */
  send(sender: number, target: number): number {
    const pair = this.#pair(sender, target);
    const counter = this.#sent[pair]! + 1;
    this.#sent[pair] = counter;
    this.sentCount += 1;
    return counter;
  }

  /** The counter of the pair's last send. */
  lastCounter(sender: number, target: number): number {
    return this.#sent[this.#pair(sender, target)]!;
  }

  /** The send was refused: it must not arrive any more. */
  withdraw(sender: number, target: number, counter: number): void {
    const pair = this.#pair(sender, target);
    this.sentCount -= 1;
    if (counter > this.#received[pair]!) setOf(this.#withdrawn, pair).add(counter);
    else if (!this.#missing.get(pair)?.delete(counter)) this.misdelivered += 1;
  }

  /** `receiver` got what claims to be send number `counter` from `sender` to `target`. */
  receive(receiver: number, sender: number, target: number, counter: number): void {
    this.receivedCount += 1;
    if (target !== receiver || sender >= this.senders || counter === 0 || !this.#isPeer(sender, target)) {
      this.misdelivered += 1;
      return;
    }
    const pair = this.#pair(sender, target);
    if (counter > this.#sent[pair]! && isOwn(this.#share, sender)) {
      this.misdelivered += 1;
      return;
    }
    const highest = this.#received[pair]!;
    if (counter === highest + 1 && this.#withdrawn.size === 0) this.#received[pair] = counter;
    else if (counter > highest) this.#skipTo(pair, highest, counter);
    else this.#judgeLate(pair, counter);
  }

  /** Sends that have not arrived: in flight while the round goes on, lost when it is over. */
  get outstanding(): number {
    return this.sentCount - (this.receivedCount - this.duplicated - this.misdelivered);
  }

  /** What this process knows; once nothing more can come. */
  part(): LedgerPart {
    const { sentCount, duplicated, reordered, misdelivered } = this;
    return {
      pairs: this.#sent.length,
      sent: packed(this.#sent),
      received: packed(this.#received),
      missing: listed(this.#missing),
      withdrawn: listed(this.#withdrawn),
      sentCount,
      duplicated,
      reordered,
      misdelivered,
    };
  }

  #pair(sender: number, target: number): number {
    return sender * this.#peers + this.#place(sender, target);
  }

  #place(sender: number, target: number): number {
    const place = target - sender - 1;
    return place < 0 ? place + this.devices : place;
  }

  #isPeer(sender: number, target: number): boolean {
    return this.#place(sender, target) < this.#peers;
  }

  #skipTo(pair: number, highest: number, counter: number): void {
    const withdrawn = this.#withdrawn.get(pair);
    if (withdrawn?.has(counter)) {
      this.misdelivered += 1;
      return;
    }
    for (let skipped = highest + 1; skipped < counter; skipped++) {
      if (!withdrawn?.delete(skipped)) setOf(this.#missing, pair).add(skipped);
    }
    if (withdrawn?.size === 0) this.#withdrawn.delete(pair);
    this.#received[pair] = counter;
  }

  #judgeLate(pair: number, counter: number): void {
    if (this.#missing.get(pair)?.delete(counter)) this.reordered += 1;
    else this.duplicated += 1;
  }
}

function setOf(sets: Map<number, Set<number>>, pair: number): Set<number> {
  const set = sets.get(pair) ?? new Set();
  sets.set(pair, set);
  return set;
}

function packed(counters: Uint32Array): string {
  return deflateSync(new Uint8Array(counters.buffer), { level: 1 }).toString("base64");
}

function listed(sets: ReadonlyMap<number, ReadonlySet<number>>): PairCounters[] {
  return [...sets].map(([pair, counters]) => [pair, [...counters]]);
}

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
 */
import { assert } from "../../src/base/assert.js";

const PAIRS_MAX = 1 << 26;

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
  readonly #sent: Uint32Array;
  readonly #received: Uint32Array;
  readonly #missing = new Map<number, Set<number>>();
  readonly #withdrawn = new Map<number, Set<number>>();

  /** Devices 0 to `senders` − 1 send; by default all of them. Pages that no pair touches take no memory. */
  constructor(devices: number, senders: number = devices) {
    const pairs = senders * devices;
    assert(pairs <= PAIRS_MAX, `at most ${PAIRS_MAX} pairs of devices have counters, and these are ${pairs}`);
    this.devices = devices;
    this.senders = senders;
    this.#sent = new Uint32Array(pairs);
    this.#received = new Uint32Array(pairs);
  }

  /** The counter of the next send of the pair. */
  send(sender: number, target: number): number {
    const pair = sender * this.devices + target;
    const counter = this.#sent[pair]! + 1;
    this.#sent[pair] = counter;
    this.sentCount += 1;
    return counter;
  }

  /** The counter of the pair's last send. */
  lastCounter(sender: number, target: number): number {
    return this.#sent[sender * this.devices + target]!;
  }

  /** The send was refused: it must not arrive any more. */
  withdraw(sender: number, target: number, counter: number): void {
    const pair = sender * this.devices + target;
    this.sentCount -= 1;
    if (counter > this.#received[pair]!) setOf(this.#withdrawn, pair).add(counter);
    else if (!this.#missing.get(pair)?.delete(counter)) this.misdelivered += 1;
  }

  /** `receiver` got what claims to be send number `counter` from `sender` to `target`. */
  receive(receiver: number, sender: number, target: number, counter: number): void {
    this.receivedCount += 1;
    const pair = sender * this.devices + target;
    if (target !== receiver || sender >= this.senders || counter > this.#sent[pair]! || counter === 0) {
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

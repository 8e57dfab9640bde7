/**
 * Judges a history (history.ts) by what the node promises, and by nothing else:
 * it shares no code with the engine and knows no state of it.
 *
 *   lost        an envelope has a receipt, and a device it names never got it (or a gap in its place)
 *   misled      a device got what nobody sent to it, or other bytes than were sent
 *   reordered   what one device sent to another did not come in its order, or with a hole in it
 *   reused      one sequence of one device stood for two things
 *   fallen      sequences did not rise on one connection
 *   duplicated  an envelope came under a second sequence, and no crash can have made it forgotten
 *   reapplied   the SDK handed one envelope to its application twice, or out of order
 *   gapped      entries were removed where nothing may be removed, or the gap says too few or too many
 *   unsettled   a send was refused, or never answered
 *
 * A crash explains a second sequence only if the envelope had no receipt before
 * it: its acceptance was forgotten, its sender repeated it. An envelope that was
 * delivered under one sequence before and after a crash was not forgotten.
 */
import type { Addressee, HistoryEvent, TimedEvent } from "./history.js";

export interface Fault {
  readonly rule:
    | "lost"
    | "misled"
    | "reordered"
    | "reused"
    | "fallen"
    | "duplicated"
    | "reapplied"
    | "gapped"
    | "unsettled";
  readonly text: string;
}

export interface Expectation {
  /** Whether entries may be removed; if so every one of them must be counted by a gap. */
  readonly gaps: "none" | "accounted";
  /** Devices whose applications the SDK serves: everything must have been applied there. */
  readonly applies?: ReadonlySet<string>;
  /** Sends that have no receipt at the end count as faults unless told otherwise. */
  readonly mayBeUnanswered?: boolean;
}

export interface Verdict {
  readonly faults: readonly Fault[];
  readonly sent: number;
  readonly receipted: number;
  readonly delivered: number;
  readonly applied: number;
  readonly pairs: number;
  readonly kills: number;
  /** Entries that gaps account for. */
  readonly removed: number;
  /** How many faults there are of each rule. */
  count(rule: Fault["rule"]): number;
}

interface Sent {
  readonly device: string;
  readonly id: string;
  readonly to: ReadonlyMap<string, Addressee>;
  /** How many kills had happened when the receipt came; undefined without one. */
  receiptedAfterKills: number | undefined;
}

/** How an envelope showed up at one device under one sequence. */
interface Appearance {
  readonly sequence: number;
  /** Kills before its first and before its latest delivery. */
  readonly firstKills: number;
  lastKills: number;
}

interface Heard {
  /** What each sequence stood for. */
  readonly bySequence: Map<number, string>;
  readonly appearances: Map<string, Appearance[]>;
  /** The highest number heard, by sender. */
  readonly numbers: Map<string, number>;
  readonly applied: Set<string>;
  readonly appliedNumbers: Map<string, number>;
  /** Entries counted by gaps, by the gap's sequence. */
  readonly gaps: Map<number, number>;
  /** Removed since the last delivery. */
  removedSince: number;
  /**
   * What the last gap counted, and first deliveries since: whatever of that is removed while it is on its way, or before its
   * ack came, is counted by the next gap.
   */
  unackedMax: number;
  /** How far the gaps since the last delivery may exceed what is missing. */
  excessMax: number;
  /** How far gaps before that did. */
  excess: number;
  readonly lastSequences: Map<number, number>;
}

export function judge(events: readonly TimedEvent[], expectation: Expectation): Verdict {
  return new Judge(expectation).judge(events);
}

const FAULTS_KEPT = 10_000;

class Judge {
  readonly #expectation: Expectation;
  readonly #faults: Fault[] = [];
  readonly #counts = new Map<Fault["rule"], number>();
  readonly #sent = new Map<string, Sent>();
  readonly #heard = new Map<string, Heard>();
  /** Devices that send to each device. */
  readonly #senders = new Map<string, Set<string>>();
  #kills = 0;
  #delivered = 0;
  #applied = 0;

  constructor(expectation: Expectation) {
    this.#expectation = expectation;
  }

  judge(events: readonly TimedEvent[]): Verdict {
    for (const event of events) if (event.op === "sent") this.#send(event);
    for (const event of events) this.#event(event);
    for (const sent of this.#sent.values()) this.#settle(sent);
    let removed = 0;
    for (const [device, heard] of this.#heard) {
      const counted = [...heard.gaps.values()].reduce((sum, count) => sum + count, 0);
      removed += counted;
      this.#account(device, heard, counted);
    }
    let pairs = 0;
    for (const senders of this.#senders.values()) pairs += senders.size;
    return {
      faults: this.#faults,
      sent: this.#sent.size,
      receipted: [...this.#sent.values()].filter((sent) => sent.receiptedAfterKills !== undefined).length,
      delivered: this.#delivered,
      applied: this.#applied,
      pairs,
      kills: this.#kills,
      removed,
      count: (rule) => this.#counts.get(rule) ?? 0,
    };
  }

  #fault(rule: Fault["rule"], text: string): void {
    this.#counts.set(rule, (this.#counts.get(rule) ?? 0) + 1);
    if (this.#faults.length < FAULTS_KEPT) this.#faults.push({ rule, text });
  }

  #send({ device, id, to }: HistoryEvent & { op: "sent" }): void {
    const name = `${device}:${id}`;
    if (this.#sent.has(name)) throw new Error(`the test sent ${name} twice under "sent"`);
    this.#sent.set(name, {
      device,
      id,
      to: new Map(to.map((addressee) => [addressee.device, addressee])),
      receiptedAfterKills: undefined,
    });
    for (const addressee of to) {
      const senders = this.#senders.get(addressee.device) ?? new Set();
      this.#senders.set(addressee.device, senders.add(device));
    }
  }

  #event(event: TimedEvent): void {
    if (event.op === "killed") this.#kills++;
    else if (event.op === "receipted") this.#receipt(event);
    else if (event.op === "refused") {
      this.#fault("unsettled", `${event.device} was refused ${event.id} with ${event.code}`);
    } else if (event.op === "delivered") this.#delivery(event);
    else if (event.op === "gap") this.#gap(event);
    else if (event.op === "unreadable") this.#fault("misled", `${event.device} got bytes that are no frames`);
    else if (event.op === "applied") this.#apply(event);
  }

  #receipt({ device, id }: HistoryEvent & { op: "receipted" }): void {
    const sent = this.#sent.get(`${device}:${id}`);
    if (sent === undefined) this.#fault("misled", `a receipt for ${device}:${id}, which nobody sent`);
    else sent.receiptedAfterKills ??= this.#kills;
  }

  #at(device: string): Heard {
    let heard = this.#heard.get(device);
    if (heard === undefined) {
      heard = {
        bySequence: new Map(),
        appearances: new Map(),
        numbers: new Map(),
        applied: new Set(),
        appliedNumbers: new Map(),
        gaps: new Map(),
        removedSince: 0,
        unackedMax: 0,
        excessMax: 0,
        excess: 0,
        lastSequences: new Map(),
      };
      this.#heard.set(device, heard);
    }
    return heard;
  }

  /** The addressee's part of an envelope, if the device may have it and the bytes are those that were sent. */
  #addressee(
    device: string,
    { sender, id, digest }: { sender: string; id: string; digest: string },
  ): Addressee | undefined {
    const addressee = this.#sent.get(`${sender}:${id}`)?.to.get(device);
    if (addressee === undefined) {
      this.#fault("misled", `${device} got ${sender}:${id}, which nobody sent to it`);
      return undefined;
    }
    if (addressee.digest === digest) return addressee;
    this.#fault("misled", `${device} got ${sender}:${id} with other bytes`);
    return undefined;
  }

  #rises(heard: Heard, device: string, connection: number, sequence: number): void {
    if (sequence <= (heard.lastSequences.get(connection) ?? 0)) {
      this.#fault("fallen", `${device} got sequence ${sequence} after a higher one`);
    }
    heard.lastSequences.set(connection, sequence);
  }

  #stands(heard: Heard, device: string, sequence: number, what: string): void {
    const before = heard.bySequence.get(sequence);
    if (before === undefined) heard.bySequence.set(sequence, what);
    else if (before !== what) {
      this.#fault("reused", `${device}: sequence ${sequence} stood for ${before}, then for ${what}`);
    }
  }

  #delivery(event: HistoryEvent & { op: "delivered" }): void {
    const { device, connection, sequence, sender, id, digest } = event;
    this.#delivered++;
    const heard = this.#at(device);
    const name = `${sender}:${id}`;
    this.#rises(heard, device, connection, sequence);
    this.#stands(heard, device, sequence, `${name} ${digest}`);
    const addressee = this.#addressee(device, event);
    const appearances = heard.appearances.get(name) ?? [];
    heard.appearances.set(name, appearances);
    const known = appearances.find((appearance) => appearance.sequence === sequence);
    if (known !== undefined) {
      known.lastKills = this.#kills;
      return;
    }
    if (appearances.length === 0) {
      if (addressee !== undefined) this.#firstTime(heard, device, sender, addressee);
    } else this.#again(device, name, appearances);
    appearances.push({ sequence, firstKills: this.#kills, lastKills: this.#kills });
  }

  /**
   * The first delivery of an envelope: the next number of its sender, or as many later as a gap in between says. A gap
   * never says too few; it may count what was taken and not acked by then (docs/protocol.md).
   */
  #firstTime(heard: Heard, device: string, sender: string, { number }: Addressee): void {
    const expected = (heard.numbers.get(sender) ?? 0) + 1;
    heard.numbers.set(sender, Math.max(number, expected - 1));
    const isOnlySender = this.#senders.get(device)?.size === 1;
    const skipped = number - expected;
    const { removedSince, excessMax } = heard;
    const excess = removedSince - skipped;
    heard.removedSince = 0;
    heard.excessMax = 0;
    heard.excess += Math.min(Math.max(0, excess), excessMax);
    heard.unackedMax++;
    if (skipped < 0) this.#fault("reordered", `${sender} to ${device}: ${number} came after ${expected - 1}`);
    else if (this.#expectation.gaps === "none" && skipped > 0) {
      this.#fault("reordered", `${sender} to ${device}: ${number} came where ${expected} should`);
    } else if (isOnlySender && (excess < 0 || excess > excessMax)) {
      this.#fault("gapped", `${sender} to ${device}: ${skipped} missing where gaps say ${removedSince}`);
    }
  }

  #again(device: string, name: string, appearances: readonly Appearance[]): void {
    const receipted = this.#sent.get(name)?.receiptedAfterKills;
    for (const { sequence, firstKills, lastKills } of appearances) {
      const isExplained =
        this.#kills > lastKills &&
        lastKills === firstKills &&
        (receipted === undefined || receipted > lastKills);
      if (!isExplained) {
        this.#fault("duplicated", `${device} got ${name} again after sequence ${sequence}`);
        return;
      }
    }
  }

  #gap({ device, connection, sequence, count, reason }: HistoryEvent & { op: "gap" }): void {
    const heard = this.#at(device);
    this.#rises(heard, device, connection, sequence);
    if (this.#expectation.gaps === "none") {
      this.#fault("gapped", `${device} lost ${count} entries for reason ${reason}`);
    }
    const before = heard.gaps.get(sequence) ?? 0;
    heard.gaps.set(sequence, Math.max(before, count));
    heard.removedSince += Math.max(0, count - before);
    heard.excessMax += heard.unackedMax;
    heard.unackedMax = count;
  }

  #apply(event: HistoryEvent & { op: "applied" }): void {
    const { device, sender, id } = event;
    this.#applied++;
    const heard = this.#at(device);
    const name = `${sender}:${id}`;
    if (heard.applied.has(name)) {
      this.#fault("reapplied", `${device} applied ${name} twice`);
      return;
    }
    heard.applied.add(name);
    const addressee = this.#addressee(device, event);
    if (addressee === undefined) return;
    const last = heard.appliedNumbers.get(sender) ?? 0;
    if (addressee.number !== last + 1 && this.#expectation.gaps === "none") {
      this.#fault("reapplied", `${device} applied number ${addressee.number} of ${sender} after ${last}`);
    }
    heard.appliedNumbers.set(sender, Math.max(last, addressee.number));
  }

  #settle({ device, id, to, receiptedAfterKills }: Sent): void {
    if (receiptedAfterKills === undefined) {
      if (!this.#expectation.mayBeUnanswered) this.#fault("unsettled", `${device}:${id} was never answered`);
      return;
    }
    if (this.#expectation.gaps === "accounted") return;
    for (const addressee of to.keys()) {
      if (!this.#has(addressee, `${device}:${id}`)) {
        this.#fault("lost", `${device}:${id} has a receipt and never came to ${addressee}`);
      }
    }
  }

  #has(device: string, name: string): boolean {
    const heard = this.#heard.get(device);
    if (this.#expectation.applies?.has(device)) return heard?.applied.has(name) === true;
    return heard?.appearances.has(name) === true;
  }

  /** Where entries may be removed: as many are missing as gaps say, or fewer by what gaps may exceed that. */
  #account(device: string, { excess, excessMax }: Heard, counted: number): void {
    if (this.#expectation.gaps === "none") return;
    let missing = 0;
    for (const sent of this.#sent.values()) {
      if (sent.receiptedAfterKills === undefined || !sent.to.has(device)) continue;
      if (!this.#has(device, `${sent.device}:${sent.id}`)) missing++;
    }
    if (missing > counted) {
      this.#fault("lost", `${device} misses ${missing} entries, and gaps account for ${counted}`);
    } else if (missing < counted - excess - excessMax) {
      this.#fault("gapped", `${device} misses ${missing} entries, and gaps say ${counted}`);
    }
  }
}

/** A verdict in a few lines, for a failing test. */
export function describeFaults(verdict: Verdict): string {
  const rules = [...new Set(verdict.faults.map(({ rule }) => rule))];
  return rules
    .map((rule) => {
      const examples = verdict.faults.filter((fault) => fault.rule === rule).slice(0, 3);
      return `${rule} ×${verdict.count(rule)}: ${examples.map(({ text }) => text).join("; ")}`;
    })
    .join("\n");
}

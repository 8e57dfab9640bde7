/**
 * The path's part in recovery-child.ts: sequences, commits with runs, shared parts and acks, spills, sweeps, and what the
 * path does when a device is removed. One at a time, but for a commit beside a spill, as store.ts wants it.
 */
import { accountOf, type DeviceAddress, deviceNumber } from "../../src/base/address.js";
import { concatBytes } from "../../src/base/bytes.js";
import type { Ack, SpillRun } from "../../src/store/journal-record.js";
import type { Store } from "../../src/store/store.js";
import type { SeededRandom } from "../demo/seeded-random.js";
import { journalRecord, numberedRun, referenceRun, testPart, testPayload } from "./journal-record.js";
import { type AskedAck, bytesOf, type Operation, type Outcome, type Run } from "./recovery-operations.js";
import { sendId } from "./recovery-repeats.js";

interface Present {
  readonly ordinal: number;
  /** The newest entry that is durably accepted, and up to where it is acked. */
  newest: number;
  floor: number;
}

/** As the kernel makes it: the sending device's ordinal, and the id. */
function dedupKey(send: string): Uint8Array {
  const [, ordinal, number] = send.split(" ");
  const key = new Uint8Array(20);
  new DataView(key.buffer).setUint32(0, Number(ordinal), true);
  key.set(sendId(Number(number)), 4);
  return key;
}

interface Unspilled {
  readonly record: number;
  readonly device: string;
  readonly ordinal: number;
  readonly run: SpillRun;
}

/** Says that it is asked, runs it, and says what came of it. */
export type Ask = (operation: Operation, run: () => Promise<Outcome>) => Promise<void>;

export class RecoveryWriter {
  readonly #store: Store;
  readonly #random: SeededRandom;
  readonly #ask: Ask;
  readonly #present = new Map<string, Present>();
  readonly #parts = new Map<number, Uint8Array>();
  #next: number;
  #nextPart: number;
  #record = 0;
  #unspilled: Unspilled[] = [];

  constructor(store: Store, random: SeededRandom, ask: Ask) {
    this.#store = store;
    this.#random = random;
    this.#ask = ask;
    this.#next = store.epoch * 2 ** 32;
    this.#nextPart = store.firstPart;
  }

  /** The highest sequence that was given to anything. */
  get ceiling(): number {
    return this.#next;
  }

  /** A device may be sent to; `newest`: what it has in its queue. */
  came(device: string, ordinal: number, newest = 0): void {
    if (this.#present.get(device)?.ordinal !== ordinal)
      this.#present.set(device, { ordinal, newest, floor: 0 });
  }

  #isThere(device: string, ordinal: number): boolean {
    const address: DeviceAddress = bytesOf(device);
    const devices = this.#store.readAccount(accountOf(address))?.devices ?? [];
    return devices.some((one) => one.number === deviceNumber(address) && one.ordinal === ordinal);
  }

  async step(drained: (parts: number, bytes: number) => void): Promise<void> {
    const chance = this.#random.fraction();
    if (chance < 0.15) await this.#spill();
    else if (chance < 0.22) await this.#store.sweep(1, 1_000);
    else if (chance < 0.24) await this.#drain(drained);
    else await this.#commit();
  }

  async #commit(isDraining = false): Promise<void> {
    const random = this.#random;
    const there = [...this.#present].filter(([device, { ordinal }]) => this.#isThere(device, ordinal));
    const sent: { device: string; ordinal: number; run: SpillRun; entries: string[] }[] = [];
    const parts: Uint8Array[] = [];
    if (there.length > 0 && !isDraining) {
      for (let i = random.between(0, 5); i > 0; i--) {
        const [device, { ordinal }] = random.pick(there);
        const count = random.between(1, 3);
        const run = numberedRun(bytesOf(device), this.#next + 1, count, random.between(0, 200));
        const entries = Array.from({ length: count }, (_, k) => `${this.#next + 1 + k}`);
        this.#next += count;
        sent.push({ device, ordinal, run, entries });
      }
      if (random.between(0, 2) === 0) parts.push(this.#share(there, sent));
    }
    const acks = this.#acks(there, isDraining);
    const number = ++this.#record;
    const runs = sent.map(({ run }) => run);
    const asked: Run[] = sent.map(({ device, ordinal, entries }) => ({ device, ordinal, entries }));
    for (const { device, ordinal, run } of sent)
      this.#unspilled.push({ record: number, device, ordinal, run });
    const told = acks.map(({ device, floor }): Ack => ({ device: bytesOf(device), floor }));
    const isEarly = random.between(0, 1) === 0;
    const sends = there.length > 0 && !isDraining ? this.#sends(there) : [];
    await this.#ask({ op: "commit", runs: asked, acks, sends }, async () => {
      if (isEarly) this.#trim(acks);
      const bytes = journalRecord(number, runs, told, undefined, parts);
      const dedupKeys = concatBytes(sends.map(dedupKey));
      await this.#store.commit({ records: [{ number, bytes }], dedupKeys, timeMs: 1 }).durable;
      return {};
    });
    if (!isEarly) this.#trim(acks);
    for (const { device, ordinal, run } of sent) {
      const present = this.#present.get(device);
      if (present?.ordinal === ordinal) present.newest = run.lastSequence;
    }
  }

  /** What was sent, whoever got it: a number that nothing else has, of somebody who is there. */
  #sends(there: readonly (readonly [string, Present])[]): string[] {
    return Array.from({ length: this.#random.between(0, 3) }, () => {
      const [device, { ordinal }] = this.#random.pick(there);
      return `${device} ${ordinal} ${++this.#next}`;
    });
  }

  /** One part for several devices: each gets an entry that refers to it. */
  #share(
    there: readonly (readonly [string, Present])[],
    sent: { device: string; ordinal: number; run: SpillRun; entries: string[] }[],
  ): Uint8Array {
    const number = this.#nextPart++;
    const payloadBytes = 8 + this.#random.between(0, 200);
    const payload = new Uint8Array(payloadBytes);
    new DataView(payload.buffer).setBigUint64(0, BigInt(number));
    payload.set(testPayload(number, payloadBytes - 8), 8);
    for (const [device, { ordinal }] of there) {
      const sequence = ++this.#next;
      const block = testPayload(sequence, this.#random.between(0, 30));
      const run = referenceRun(bytesOf(device), sequence, { number, payloadBytes, block });
      sent.push({ device, ordinal, run, entries: [`${sequence}/${number}`] });
    }
    const part = testPart(number, payload);
    this.#parts.set(number, part);
    return part;
  }

  #acks(there: readonly (readonly [string, Present])[], isDraining: boolean): AskedAck[] {
    const acks: AskedAck[] = [];
    for (const [device, present] of there) {
      if (!isDraining && this.#random.between(0, 3) > 0) continue;
      const floor = present.newest - (isDraining ? 0 : this.#random.between(0, 4));
      if (floor <= present.floor) continue;
      present.floor = floor;
      acks.push({ device, ordinal: present.ordinal, floor });
    }
    return acks;
  }

  #trim(acks: readonly AskedAck[]): void {
    for (const { device, ordinal, floor } of acks)
      if (this.#isThere(device, ordinal)) this.#store.trim(bytesOf(device), floor);
  }

  /** What a device had that is no more goes nowhere, like what is acked. */
  async #spill(keep = this.#random.between(0, 3)): Promise<void> {
    const through = this.#record - keep;
    const due = this.#unspilled.filter(({ record }) => record <= through);
    this.#unspilled = this.#unspilled.filter(({ record }) => record > through);
    const runs = due
      .filter(({ device, ordinal }) => this.#isThere(device, ordinal))
      .map(({ device, run }) => ({ ...run, ackedThrough: this.#present.get(device)?.floor ?? 0 }));
    const spilled = this.#store.spill(runs, through, (number) => this.#parts.get(number));
    if (keep > 0) await this.#commit();
    await spilled;
  }

  /** Everything is spilled, acked and swept: nothing may be left, unless a device went or came meanwhile. */
  async #drain(drained: (parts: number, bytes: number) => void): Promise<void> {
    await this.#commit(true);
    await this.#spill(0);
    for (let i = 0; i < 3; i++) await this.#store.sweep(1, 1_000);
    if (this.#store.stats().pendingTrims > 0) return;
    drained(this.#store.stats().sharedParts, this.#store.stats().queuedBytes);
  }
}

/**
 * The turn in JavaScript as most people would write it: msgpackr reads the frames, a Set of strings knows the ids, a
 * Map of strings the accounts, and frames are written with Buffer. It is also the naive model that the other
 * contestants are held against.
 */
import { Unpackr } from "msgpackr";
import { assert } from "../../src/base/assert.js";
import type { ResidentAccount } from "../../src/kernel/kernel.js";
import { limits } from "../../src/rules/limits.js";
import {
  DELIVER_HEADER_BYTES,
  FIRST_SEQUENCE,
  type Message,
  refusalCodes,
  type TurnContestant,
  type TurnResult,
  type TurnSizes,
} from "./turn-contestant.js";

interface Account {
  readonly version: number;
  /** Device by number. */
  readonly devices: ReadonlyMap<number, Device>;
}

interface Device {
  readonly device: number;
  readonly account: string;
  readonly address: Uint8Array;
  readonly ordinal: number;
  last: number;
}

interface Entry {
  readonly sender: Device;
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
  readonly sequence: number;
}

type SendFrame = [2, Uint8Array, [Uint8Array, number, [number, Uint8Array][]][]];

/** What a roster without devices is: one for all, or a million of them would be measured. */
const NO_DEVICES: ReadonlyMap<number, Device> = new Map();

const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });

export class PlainTurn implements TurnContestant {
  readonly system = "js-plain";
  readonly name = "JavaScript, msgpackr and Map";
  readonly memory = "heap";
  readonly #accounts = new Map<string, Account>();
  readonly #devices: Device[] = [];
  readonly #generationKeys: number;
  #newestIds = new Set<string>();
  #olderIds = new Set<string>();
  #messages: Message[] = [];
  #sends: { device: number; bytes: Uint8Array }[] = [];
  #refusals: { device: number; code: number }[] = [];
  #accepted = 0;
  #repeats = 0;

  constructor({ dedupKeys }: TurnSizes) {
    this.#generationKeys = dedupKeys;
  }

  load({ address, version, devices }: ResidentAccount): void {
    const account = textOf(address);
    const roster = devices.map(({ number, ordinal }): [number, Device] => {
      const device = this.#devices.length;
      const ofDevice = Uint8Array.of(...address, number >> 8, number & 0xff);
      this.#devices.push({ device, account, address: ofDevice, ordinal, last: FIRST_SEQUENCE });
      return [number, this.#devices[device]!];
    });
    this.#accounts.set(account, { version, devices: roster.length === 0 ? NO_DEVICES : new Map(roster) });
  }

  take(messages: readonly Message[]): void {
    this.#messages = messages.map(({ sender, bytes }) => ({ sender, bytes: Buffer.from(bytes) }));
    this.#sends = [];
    this.#refusals = [];
    this.#accepted = 0;
    this.#repeats = 0;
  }

  turn(nowMs: number): void {
    const batch = new Map<Device, Entry[]>();
    this.#rotateIfDue();
    for (const { sender, bytes } of this.#messages) {
      const from = this.#devices[sender]!;
      unpackr.unpackMultiple(bytes, (frame: unknown) => {
        this.#send(from, frame, batch);
      });
    }
    for (const [{ device }, entries] of batch) this.#sends.push({ device, bytes: framesOf(entries, nowMs) });
  }

  result(): TurnResult {
    return {
      sends: this.#sends,
      refusals: this.#refusals,
      accepted: this.#accepted,
      repeats: this.#repeats,
    };
  }

  #send(sender: Device, frame: unknown, batch: Map<Device, Entry[]>): void {
    assert(isSend(frame), "well-formed sends only");
    const [, id, parties] = frame;
    const key = `${sender.ordinal} ${textOf(id)}`;
    const routed: [Device, Uint8Array][] = [];
    let code = boundsOf(parties);
    if (code === 0 && (this.#newestIds.has(key) || this.#olderIds.has(key))) {
      this.#repeats++;
      return;
    }
    if (code === 0) code = this.#route(sender, parties, routed);
    if (code !== 0) {
      this.#refusals.push({ device: sender.device, code });
      return;
    }
    this.#rotateIfDue();
    this.#newestIds.add(key);
    this.#accepted++;
    for (const [device, payload] of routed) {
      const entry = { sender, id, payload, sequence: ++device.last };
      const entries = batch.get(device);
      if (entries === undefined) batch.set(device, [entry]);
      else entries.push(entry);
    }
  }

  #rotateIfDue(): void {
    if (this.#newestIds.size < this.#generationKeys) return;
    this.#olderIds = this.#newestIds;
    this.#newestIds = new Set();
  }

  #route(sender: Device, parties: SendFrame[2], routed: [Device, Uint8Array][]): number {
    const own = this.#accounts.get(sender.account);
    let isStale = own !== undefined && own.devices.size > 1;
    const seen = new Set<string>();
    let isAnyStale = false;
    for (const [address, version, items] of parties) {
      const name = textOf(address);
      const account = this.#accounts.get(name);
      assert(account !== undefined, "the account is resident");
      if (seen.has(name)) return refusalCodes.repeatedRecipient;
      seen.add(name);
      if (account === own) isStale = false;
      const numbers = new Set<number>();
      let unknown = 0;
      for (const [number, payload] of items) {
        const device = account.devices.get(number);
        if (numbers.has(number) || device === sender) return refusalCodes.repeatedRecipient;
        numbers.add(number);
        if (device === undefined) unknown++;
        else routed.push([device, payload]);
      }
      const due = account.devices.size - (account === own ? 1 : 0);
      if (version !== account.version || unknown > 0 || numbers.size !== due) isAnyStale = true;
    }
    return isStale || isAnyStale ? refusalCodes.rosterStale : 0;
  }
}

function isSend(frame: unknown): frame is SendFrame {
  return Array.isArray(frame) && frame.length === 3 && frame[0] === 2 && frame[1].length === 16;
}

function boundsOf(parties: SendFrame[2]): number {
  if (parties.length > limits.accountsPerSendMax) return refusalCodes.tooManyRecipients;
  for (const [, , items] of parties) {
    if (items.length > limits.devicesPerAccountMax) return refusalCodes.tooManyRecipients;
    if (items.some(([, { length }]) => length > limits.payloadBytesMax)) return refusalCodes.payloadTooLarge;
  }
  return 0;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function framesOf(entries: readonly Entry[], nowMs: number): Uint8Array {
  const length = entries.reduce((sum, { payload }) => sum + DELIVER_HEADER_BYTES + payload.length, 0);
  const frames = Buffer.allocUnsafe(length);
  let at = 0;
  for (const { sender, id, payload, sequence } of entries) {
    frames.writeUInt16BE(0x9621, at);
    frames[at + 2] = 0xcf;
    frames.writeBigUInt64BE(BigInt(sequence), at + 3);
    frames.writeUInt16BE(0xc414, at + 11);
    frames.set(sender.address, at + 13);
    frames.writeUInt16BE(0xc410, at + 33);
    frames.set(id, at + 35);
    frames[at + 51] = 0xcf;
    frames.writeBigUInt64BE(BigInt(nowMs), at + 52);
    frames[at + 60] = 0xc6;
    frames.writeUInt32BE(payload.length, at + 61);
    frames.set(payload, at + DELIVER_HEADER_BYTES);
    at += DELIVER_HEADER_BYTES + payload.length;
  }
  return frames;
}

/** A kernel with a few devices for tests that play one scene. Every call is compared with the model (lockstep.ts). */
import type { KernelSizes } from "../../src/kernel/kernel.js";
import { type ClientFrame, encodeClientFrame } from "../../src/wire/client-frames.js";
import type { GroupRecord } from "../model/groups.js";
import { type Build, Lockstep } from "../model/lockstep.js";
import { deviceAddress } from "../model/people.js";
import type { AccountRecord } from "../model/residents.js";

export const roomy: KernelSizes = {
  inboxBytes: 1024 * 1024,
  tailBytes: 1024 * 1024,
  accounts: 64,
  devices: 64,
  dedupKeys: 1000,
  dedupMs: 60_000,
  uncommittedBytes: 1024 * 1024,
  groups: 8,
  groupMembers: 500,
  brands: [1],
};

export interface StageDevice {
  readonly slot: number;
  readonly connection: number;
  readonly account: AccountRecord;
  readonly number: number;
  readonly address: Uint8Array;
}

export interface TurnResult {
  readonly sends: { readonly slot: number; readonly bytes: Uint8Array }[];
  readonly outcomes: { readonly slot: number; readonly code: number; readonly position: number }[];
  /** Batches that the turn was taken in. */
  readonly batches: number;
}

const WALL_MS = 1_700_000_000_000;

export class Stage {
  readonly pair: Lockstep;
  monotonicMs = 1000;
  private readonly accounts = new Map<string, AccountRecord>();
  private readonly groups = new Map<string, GroupRecord>();
  private lastOrdinal = 0;
  private lastConnection = 0;
  private lastId = 0;

  constructor(sizes: Partial<KernelSizes> = {}, build: Build = "release") {
    this.pair = new Lockstep({ ...roomy, ...sizes }, 1, build);
    this.pair.setCrossing(0, 0, "open");
  }

  /** An account of brand 1 as the store has it; loaded only when a test or a send needs it. */
  account(name: number, numbers: readonly number[]): AccountRecord {
    const address = new Uint8Array(18);
    new DataView(address.buffer).setUint16(0, 1);
    new DataView(address.buffer).setUint32(2, name);
    const known = this.accounts.get(`${name}`)?.devices ?? [];
    const devices = numbers.map(
      (number) => known.find((device) => device.number === number) ?? { number, ordinal: ++this.lastOrdinal },
    );
    const record = { address, version: devices.length, devices };
    this.accounts.set(`${name}`, record);
    return record;
  }

  record(address: Uint8Array): AccountRecord {
    const name = new DataView(address.buffer, address.byteOffset).getUint32(2);
    return this.accounts.get(`${name}`) ?? { address, version: 0, devices: [] };
  }

  /** A group of brand 1 as the store has it; loaded only when a send needs it. */
  group(name: number, version: number, members: readonly AccountRecord[]): GroupRecord {
    const address = new Uint8Array(18);
    new DataView(address.buffer).setUint16(0, 1);
    new DataView(address.buffer).setUint32(14, name);
    const record = { address, version, members: members.map((member) => member.address) };
    this.groups.set(`${name}`, record);
    return record;
  }

  private groupRecord(address: Uint8Array): GroupRecord {
    const name = new DataView(address.buffer, address.byteOffset).getUint32(14);
    return this.groups.get(`${name}`) ?? { address, version: 0, members: [] };
  }

  connect(
    account: AccountRecord,
    number = 1,
    window = { windowEntries: 100, windowBytes: 1_000_000 },
  ): StageDevice {
    if (!this.pair.load(account)) throw new Error("the tables are full");
    const address = deviceAddress(account.address, number);
    const slot = this.pair.findDevice(address) as number;
    const connection = ++this.lastConnection;
    this.pair.attach(slot, connection, { floor: this.pair.kernel.floor(slot), ...window });
    this.pair.goLive(slot);
    return { slot, connection, account, number, address };
  }

  newId(): Uint8Array {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, ++this.lastId);
    return id;
  }

  /** A send that covers these accounts as they are. */
  frame(
    sender: StageDevice,
    to: readonly AccountRecord[],
    payload = new Uint8Array(3),
    id = this.newId(),
  ): ClientFrame {
    const accounts = to.map((account) => ({
      account: account.address,
      version: account.version,
      devices: account.devices
        .filter(({ number }) => account.address !== sender.account.address || number !== sender.number)
        .map(({ number }) => ({ device: number, payload })),
    }));
    return { kind: "send", id, accounts };
  }

  say(device: StageDevice, ...frames: readonly ClientFrame[]): void {
    this.sayBytes(device, Buffer.concat(frames.map((frame) => encodeClientFrame(frame))));
  }

  sayBytes(device: StageDevice, message: Uint8Array): void {
    if (!this.pair.push(device.slot, device.connection, message)) throw new Error("the inbox is full");
  }

  turn(): TurnResult {
    const result = { sends: [], outcomes: [], batches: 0 } as {
      sends: { slot: number; bytes: Uint8Array }[];
      outcomes: { slot: number; code: number; position: number }[];
      batches: number;
    };
    this.pair.turn(
      { wallMs: WALL_MS, monotonicMs: this.monotonicMs },
      {
        account: (address) => this.record(address),
        group: (address) => this.groupRecord(address),
        take: (batch) => {
          result.sends.push(...batch.sends);
          result.outcomes.push(...batch.outcomes);
          result.batches++;
        },
      },
    );
    this.pair.compareState(this.monotonicMs);
    return result;
  }

  /** Says one thing and returns the codes of what came of it. */
  codes(device: StageDevice, ...frames: readonly ClientFrame[]): number[] {
    this.say(device, ...frames);
    return this.turn().outcomes.map(({ code }) => code);
  }

  /** Seals and commits; false when there was nothing to commit. */
  commit(): boolean {
    const sealed = this.pair.seal(WALL_MS, ++this.monotonicMs);
    if (sealed !== undefined) this.pair.committed(sealed, this.monotonicMs);
    this.pair.compareState(this.monotonicMs);
    return sealed !== undefined;
  }

  /** Receipts that are due, as slot and position. */
  receipts(): [number, number][] {
    return this.pair
      .collectReceipts(this.monotonicMs, 0, 256)
      .map(({ slot, bytes }) => [slot, Buffer.from(bytes).readUInt32BE(3)]);
  }

  spill(): number {
    const { rows } = this.pair.spillScan(1_000_000);
    this.pair.release();
    this.pair.compareState(this.monotonicMs);
    return rows.length;
  }
}

/** The sequences of the deliver frames in what is sent to a device; receipts are passed over. */
export function sequencesIn(bytes: Uint8Array): number[] {
  const view = Buffer.from(bytes);
  const sequences: number[] = [];
  for (let at = 0; at < view.length; ) {
    if (view[at] === 0x93) at += 8;
    else {
      sequences.push(Number(view.readBigUInt64BE(at + 3)));
      at += 65 + view.readUInt32BE(at + 61);
    }
  }
  return sequences;
}

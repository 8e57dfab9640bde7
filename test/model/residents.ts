/**
 * The model of what is resident: accounts, their devices, and the order in which idle accounts are given up.
 *
 * A device is a plain object; what the other parts of the model keep about it stands here too. Places of accounts and
 * slots of devices are taken from the end of a list of free ones and put back there. When there is no room a hand goes
 * round over the places: it passes an account used since its last visit once, and takes it the next time.
 */
import { disconnect } from "./connections.js";
import { textOf } from "./dedup-window.js";
import type { Item, Run } from "./tail.js";

export interface ModelDevice {
  readonly slot: number;
  readonly account: ModelAccount;
  readonly number: number;
  readonly ordinal: number;
  /** 20 bytes. */
  readonly address: Uint8Array;
  /** 0: none. */
  connection: number;
  isLive: boolean;
  isQueued: boolean;
  isAckWaiting: boolean;
  wantsAttention: boolean;
  isReceiptListed: boolean;
  sentInBatch: boolean;
  last: number;
  floor: number;
  cursor: number;
  /** In flight is what lies above this and the floor, up to the cursor; 0 until the connection goes live. */
  liveBase: number;
  inFlightBytes: number;
  windowEntries: number;
  windowBytes: number;
  position: number;
  positionDurable: number;
  positionTold: number;
  dueSince: number;
  /** Items of the present batch. */
  items: Item[];
  /** Runs in the tail, oldest first. */
  runs: Run[];
}

export interface ModelAccount {
  readonly place: number;
  readonly address: Uint8Array;
  version: number;
  isRecent: boolean;
  devices: ModelDevice[];
}

export interface AccountRecord {
  readonly address: Uint8Array;
  readonly version: number;
  readonly devices: readonly { readonly number: number; readonly ordinal: number }[];
}

/** n - 1 down to 0: the first one taken is 0. */
function freeList(n: number): number[] {
  return Array.from({ length: n }, (_, i) => n - 1 - i);
}

export class Residents {
  readonly bySlot: (ModelDevice | undefined)[];
  evicted = 0;
  removals = 0;
  private leftOver: ModelDevice[] = [];
  private readonly byPlace: (ModelAccount | undefined)[];
  private readonly byAddress = new Map<string, ModelAccount>();
  private readonly freePlaces: number[];
  private readonly freeSlots: number[];
  private hand = 0;

  constructor(
    accountsMax: number,
    devicesMax: number,
    /** A device that becomes resident continues above the highest sequence of all that were given up. */
    public sequenceBase: number,
  ) {
    this.byPlace = new Array(accountsMax).fill(undefined);
    this.bySlot = new Array(devicesMax).fill(undefined);
    this.freePlaces = freeList(accountsMax);
    this.freeSlots = freeList(devicesMax);
  }

  account(address: Uint8Array): ModelAccount | undefined {
    return this.byAddress.get(textOf(address));
  }

  device(address: Uint8Array): ModelDevice | undefined {
    const number = (address[18] as number) * 256 + (address[19] as number);
    return this.account(address.subarray(0, 18))?.devices.find((device) => device.number === number);
  }

  get all(): ModelDevice[] {
    return this.bySlot.filter((device) => device !== undefined);
  }

  /** False when the tables are full of what cannot be given up. */
  load(record: AccountRecord): boolean {
    let account = this.account(record.address);
    if (account !== undefined && record.version < account.version) return true;
    if (account !== undefined) this.removeMissing(account, record);
    const missing = record.devices.slice(account?.devices.length ?? 0);
    const placesNeeded = account === undefined ? 1 : 0;
    if (!this.hasRoom(placesNeeded, missing.length)) this.makeRoom(missing.length, account);
    if (!this.hasRoom(placesNeeded, missing.length)) return false;
    if (account === undefined) {
      const place = this.freePlaces.pop() as number;
      account = { place, address: record.address.slice(), version: 0, isRecent: true, devices: [] };
      this.byPlace[place] = account;
      this.byAddress.set(textOf(account.address), account);
    }
    for (const { number, ordinal } of missing) this.addDevice(account, number, ordinal);
    account.version = record.version;
    account.isRecent = true;
    return true;
  }

  /** Devices that the record does not list are gone at once; their slots when nothing needs them any more. */
  private removeMissing(account: ModelAccount, record: AccountRecord): void {
    const isListed = (device: ModelDevice): boolean =>
      record.devices.some(({ number, ordinal }) => number === device.number && ordinal === device.ordinal);
    for (const device of account.devices.filter((candidate) => !isListed(candidate))) {
      this.sequenceBase = Math.max(this.sequenceBase, device.last);
      device.floor = device.last;
      device.cursor = device.last;
      disconnect(device);
      this.leftOver.unshift(device);
      this.removals++;
    }
    account.devices = account.devices.filter(isListed);
  }

  freeLeftOver(): void {
    const stay: ModelDevice[] = [];
    for (const device of this.leftOver) {
      if (isIdle(device)) this.freeSlot(device);
      else stay.unshift(device);
    }
    this.leftOver = stay;
  }

  private freeSlot(device: ModelDevice): void {
    this.sequenceBase = Math.max(this.sequenceBase, device.last);
    this.bySlot[device.slot] = undefined;
    this.freeSlots.push(device.slot);
  }

  private hasRoom(places: number, slots: number): boolean {
    return this.freePlaces.length >= places && this.freeSlots.length >= slots;
  }

  private makeRoom(slotsNeeded: number, keep: ModelAccount | undefined): void {
    this.freeLeftOver();
    for (let step = 0; step < 2 * this.byPlace.length && !this.hasRoom(1, slotsNeeded); step++) {
      const account = this.byPlace[this.hand];
      this.hand = (this.hand + 1) % this.byPlace.length;
      if (account?.isRecent) account.isRecent = false;
      else if (account !== undefined && account !== keep && account.devices.every(isIdle))
        this.evict(account);
    }
  }

  private evict(account: ModelAccount): void {
    this.byPlace[account.place] = undefined;
    this.byAddress.delete(textOf(account.address));
    this.freePlaces.push(account.place);
    for (const device of account.devices) this.freeSlot(device);
    this.evicted++;
  }

  private addDevice(account: ModelAccount, number: number, ordinal: number): void {
    const slot = this.freeSlots.pop() as number;
    const address = new Uint8Array([...account.address, number >> 8, number & 0xff]);
    const device: ModelDevice = {
      slot,
      account,
      number,
      ordinal,
      address,
      connection: 0,
      isLive: false,
      isQueued: false,
      isAckWaiting: false,
      wantsAttention: false,
      isReceiptListed: false,
      sentInBatch: false,
      last: this.sequenceBase,
      floor: 0,
      cursor: 0,
      liveBase: 0,
      inFlightBytes: 0,
      windowEntries: 0,
      windowBytes: 0,
      position: 0,
      positionDurable: 0,
      positionTold: 0,
      dueSince: 0,
      items: [],
      runs: [],
    };
    account.devices.push(device);
    this.bySlot[slot] = device;
  }
}

/** Nothing in this process needs the device's state any more. */
function isIdle(device: ModelDevice): boolean {
  const isBusy =
    device.connection !== 0 ||
    device.isAckWaiting ||
    device.wantsAttention ||
    device.isReceiptListed ||
    device.sentInBatch ||
    device.items.length > 0 ||
    device.runs.length > 0;
  return !isBusy;
}

/**
 * The accounts of a random world, as a store would know them, and the sends that their devices make: mostly right,
 * and wrong in every way that the rules name.
 */
import { dedupKey, textOf } from "./dedup-window.js";
import type { FrameBuilder, SendParty } from "./frames.js";
import type { GroupRecord } from "./groups.js";
import type { Random } from "./random.js";
import type { AccountRecord } from "./residents.js";

const PAYLOAD_POOL_BYTES = 120_000;
const IDS_REMEMBERED = 400;
/** The node's own account, whose one device writes notices. */
const NODE: AccountRecord = { address: new Uint8Array(18), version: 1, devices: [{ number: 0, ordinal: 0 }] };

export class People {
  readonly accounts: AccountRecord[] = [];
  private readonly byAddress = new Map<string, number>();
  private lastOrdinal = 0;
  private readonly pool: Uint8Array;
  private readonly recentIds: { readonly sender: string; readonly id: Uint8Array }[] = [];
  /** Ordinals of devices, by address. */
  private readonly ordinals = new Map<string, number>();
  private readonly groups: GroupRecord[] = [];
  /** The first so many accounts are those that mostly write to each other. */
  private readonly familiar: number;

  constructor(
    private readonly random: Random,
    options: {
      readonly accounts: number;
      readonly familiar: number;
      readonly brands: readonly number[];
      readonly groups: number;
    },
  ) {
    this.pool = random.bytes(PAYLOAD_POOL_BYTES);
    this.familiar = options.familiar;
    this.ordinals.set(textOf(deviceAddress(NODE.address, 0)), 0);
    for (let i = 0; i < options.accounts; i++) {
      const brand = random.pick(options.brands);
      const address = new Uint8Array([brand >> 8, brand & 0xff, ...random.bytes(16)]);
      this.byAddress.set(textOf(address), i);
      this.accounts.push({ address, version: 0, devices: [] });
      const devices = random.weighted([
        [15, 0],
        [50, 1],
        [20, 2],
        [8, 3],
        [2, 6],
        [i < options.familiar ? 0 : 1, 16],
      ]);
      for (let n = 0; n < devices; n++) this.register(i);
    }
    for (let i = 0; i < options.groups; i++) {
      const brand = random.pick(options.brands);
      const address = new Uint8Array([brand >> 8, brand & 0xff, ...random.bytes(16)]);
      this.groups.push({ address, version: random.between(1, 5), members: this.members() });
    }
  }

  private members(): Uint8Array[] {
    const { random } = this;
    const count = random.weighted([
      [20, random.between(1, 3)],
      [20, random.between(3, 12)],
      [2, 0],
    ]);
    const members = new Set<AccountRecord>();
    for (let i = 0; i < count; i++) members.add(this.account());
    return [...members].map(({ address }) => address);
  }

  /** What a store would answer: a group that does not exist has version 0 and no members. */
  group(address: Uint8Array): GroupRecord {
    const name = textOf(address);
    return (
      this.groups.find((group) => textOf(group.address) === name) ?? { address, version: 0, members: [] }
    );
  }

  /** The i-th, round and round. */
  groupAt(i: number): GroupRecord {
    return this.groups[i % this.groups.length] as GroupRecord;
  }

  anyGroup(): GroupRecord {
    return this.random.pick(this.groups);
  }

  /** Gives some group other members, held or not; returns it before and after. */
  changeGroup(): { before: GroupRecord; after: GroupRecord } {
    const { random, groups } = this;
    const at = random.below(groups.length);
    const before = groups[at] as GroupRecord;
    const after = {
      ...before,
      version: before.version + random.between(1, 2),
      members: this.members(),
      isHeld: random.chance(0.3),
    };
    groups[at] = after;
    return { before, after };
  }

  /** What a store would answer: an account nobody signed into has version 0 and no devices. */
  record(address: Uint8Array): AccountRecord {
    if (address.every((byte) => byte === 0)) return NODE;
    const known = this.byAddress.get(textOf(address));
    return known === undefined
      ? { address, version: 0, devices: [] }
      : (this.accounts[known] as AccountRecord);
  }

  /** Adds a device to some account; returns the account's record before and after. */
  register(
    index: number = this.random.below(this.accounts.length),
    wanted?: number,
  ): {
    before: AccountRecord;
    after: AccountRecord;
  } {
    const before = this.accounts[index] as AccountRecord;
    const taken = before.devices.map((device) => device.number);
    let number = wanted ?? this.random.pick([taken.length + 1, this.random.between(1, 0xffff)]);
    while (taken.includes(number)) number = (number % 0xffff) + 1;
    if (taken.length === 16) return { before, after: before };
    const device = { number, ordinal: ++this.lastOrdinal };
    const after = { ...before, version: before.version + 1, devices: [...before.devices, device] };
    this.accounts[index] = after;
    this.ordinals.set(textOf(deviceAddress(after.address, number)), device.ordinal);
    return { before, after };
  }

  /** Removes a device of some account; undefined when that has none. */
  remove(): { readonly device: Uint8Array; readonly after: AccountRecord } | undefined {
    const { random, accounts } = this;
    const index = random.below(accounts.length);
    const before = accounts[index] as AccountRecord;
    if (before.devices.length === 0) return undefined;
    const { number } = random.pick(before.devices);
    const devices = before.devices.filter((device) => device.number !== number);
    const after = { ...before, version: before.version + 1, devices };
    accounts[index] = after;
    const device = deviceAddress(after.address, number);
    // Registered anew before anybody has heard of the removal.
    return random.chance(0.3) ? { device, after: this.register(index, number).after } : { device, after };
  }

  /** Any registered device, 20 bytes; mostly one of the familiar accounts', now and then the node's own. */
  device(): Uint8Array {
    if (this.random.chance(0.03)) return deviceAddress(NODE.address, 0);
    for (;;) {
      const { address, devices } = this.account();
      if (devices.length > 0) return deviceAddress(address, this.random.pick(devices).number);
    }
  }

  private account(): AccountRecord {
    const { random, accounts } = this;
    return accounts[random.below(random.chance(0.85) ? this.familiar : accounts.length)] as AccountRecord;
  }

  /** Dedup keys: of sends made lately, and new ones. */
  dedupKeys(count: number): Uint8Array {
    const keys = Array.from({ length: count }, () => {
      const { random, recentIds } = this;
      if (recentIds.length === 0 || random.chance(0.5)) return random.bytes(20);
      const { sender, id } = random.pick(recentIds);
      return dedupKey(this.ordinals.get(sender) as number, id);
    });
    return Buffer.concat(keys);
  }

  // Sends.

  writeSend(frames: FrameBuilder, sender: Uint8Array): void {
    const { random } = this;
    const all = this.parties(sender);
    const isNode = textOf(sender) === textOf(deviceAddress(NODE.address, 0));
    const parties = isNode ? all.map((party) => this.asNotice(party)) : all;
    if (random.chance(0.08)) this.spoil(parties, sender);
    frames.send(this.id(sender), parties);
  }

  /** One shared part; what the devices get of their own are blocks. */
  writeSharedSend(frames: FrameBuilder, sender: Uint8Array): void {
    const { random } = this;
    const parties = this.parties(sender).map((party) => ({
      ...party,
      devices: party.devices.map(({ number }) => ({ number, payload: this.block() })),
    }));
    if (random.chance(0.08)) this.spoil(parties, sender);
    frames.sharedSend(this.id(sender), this.shared(), parties);
  }

  /** To another device of the own account; at times there is none of that number, or it is the sender's own. */
  writeOwnSend(frames: FrameBuilder, sender: Uint8Array): void {
    const { random } = this;
    const self = (sender[18] as number) * 256 + (sender[19] as number);
    const others = this.record(sender.subarray(0, 18)).devices.filter(({ number }) => number !== self);
    const isKnown = others.length > 0 && random.chance(0.9);
    const number = isKnown
      ? random.pick(others).number
      : random.weighted([
          [50, random.between(1, 0xffff)],
          [40, self],
          [1, 0],
          [1, 0x1_0000 + self],
        ]);
    const payload = random.chance(0.01) ? this.pool.subarray(0, 98_305) : this.payload();
    frames.ownSend(this.id(sender), number, payload);
  }

  private shared(): Uint8Array {
    return this.random.chance(0.01) ? this.pool.subarray(0, 98_305) : this.payload();
  }

  private block(): Uint8Array {
    const { random } = this;
    const length = random.weighted([
      [50, 0],
      [40, random.between(1, 90)],
      [5, random.below(1200)],
      [0.3, random.pick([4096, 4097])],
    ]);
    return this.pool.subarray(7, 7 + length);
  }

  /** Mostly to a group whose member the sender is, by its present roster and with blocks for some of its devices. */
  writeGroupSend(frames: FrameBuilder, sender: Uint8Array): void {
    const { random } = this;
    const own = textOf(sender.subarray(0, 18));
    const mine = this.groups.filter(({ members }) => members.some((member) => textOf(member) === own));
    const isMine = mine.length > 0 && random.chance(0.93);
    const group = isMine
      ? random.pick(mine)
      : random.chance(0.7)
        ? random.pick(this.groups)
        : { address: random.bytes(18), version: random.below(3), members: [] };
    const version = random.chance(0.05) ? Math.max(0, group.version + random.between(-1, 1)) : group.version;
    const blocks = random.chance(0.5) ? [] : this.blocks(group, sender);
    frames.groupSend(this.id(sender), { address: group.address, version }, this.shared(), blocks);
  }

  private blocks(
    group: GroupRecord,
    sender: Uint8Array,
  ): { account: Uint8Array; number: number; block: Uint8Array }[] {
    const { random } = this;
    const devices = group.members.flatMap((address) =>
      this.record(address).devices.map(({ number }) => ({ account: address, number, block: this.block() })),
    );
    const name = textOf(sender);
    const others = devices.filter(({ account, number }) => textOf(deviceAddress(account, number)) !== name);
    const blocks = others.filter(() => random.chance(0.6));
    if (random.chance(0.1)) {
      const { address, devices: strangers } = this.account();
      blocks.push({ account: address, number: strangers[0]?.number ?? 1, block: this.block() });
    }
    if (blocks.length > 0 && random.chance(0.04)) blocks.push(random.pick(blocks));
    if (random.chance(0.02)) blocks.push({ account: random.bytes(18), number: 1, block: this.block() });
    if (blocks.length > 0 && random.chance(0.01)) {
      const first = blocks[0] as { account: Uint8Array; number: number; block: Uint8Array };
      blocks[0] = random.pick([
        { ...first, number: 0 },
        { ...first, number: 0x1_0000 },
        { ...first, account: first.account.subarray(1) },
      ]);
    }
    return blocks;
  }

  /** New mostly; else one that this device, or another one, has used before. */
  private id(sender: Uint8Array): Uint8Array {
    const { random, recentIds } = this;
    if (recentIds.length > 0 && random.chance(0.12)) {
      const name = textOf(sender);
      const own = recentIds.filter((entry) => entry.sender === name);
      return random.pick(own.length > 0 && random.chance(0.7) ? own : recentIds).id;
    }
    const id = random.bytes(16);
    recentIds.push({ sender: textOf(sender), id });
    if (recentIds.length > IDS_REMEMBERED) recentIds.splice(0, IDS_REMEMBERED / 2);
    return id;
  }

  private parties(sender: Uint8Array): SendParty[] {
    const { random } = this;
    const own = this.record(sender.subarray(0, 18));
    const self = (sender[18] as number) * 256 + (sender[19] as number);
    const count = random.weighted([
      [60, 1],
      [20, 2],
      [8, 3],
      [1, random.between(4, 16)],
    ]);
    const chosen = new Set<AccountRecord>();
    for (let i = 0; i < count; i++) chosen.add(this.account());
    if (own.devices.length > 1 || random.chance(0.05)) chosen.add(own);
    return [...chosen].map((account) => ({
      account: account.address,
      version: account.version,
      devices: account.devices
        .filter((device) => account !== own || device.number !== self)
        .map((device) => ({ number: device.number, payload: this.payload() })),
    }));
  }

  /** To some of the devices, under any version, and to one that is gone. */
  private asNotice(party: SendParty): SendParty {
    const { random } = this;
    const devices = party.devices.filter(() => random.chance(0.7));
    const number = random.between(0x8000, 0xffff);
    if (random.chance(0.3) && devices.every((device) => device.number !== number))
      devices.splice(random.below(devices.length + 1), 0, { number, payload: this.payload() });
    return { ...party, version: random.pick([0, party.version]), devices: devices.slice(0, 16) };
  }

  private payload(): Uint8Array {
    const { random } = this;
    const length = random.weighted([
      [20, random.below(20)],
      [60, random.below(200)],
      [15, random.between(200, 1200)],
      [5, random.pick([0, 1, 3, 4, 7, 8, 15, 16, 17, 1023, 1024, 1025, random.below(5000)])],
    ]);
    const from = random.below(PAYLOAD_POOL_BYTES - length);
    return this.pool.subarray(from, from + length);
  }

  /** One mistake. */
  private spoil(parties: SendParty[], sender: Uint8Array): void {
    const { random } = this;
    const at = random.below(parties.length);
    const party = parties[at] as SendParty;
    const devices = [...party.devices];
    const number = devices.length > 0 ? random.pick(devices).number : 1;
    const change = (changed: Partial<SendParty>): void => {
      parties[at] = { ...party, ...changed };
    };
    const add = (...numbers: number[]): void =>
      change({ devices: [...devices, ...numbers.map((n) => ({ number: n, payload: this.payload() }))] });
    const unknown = random.between(1, 0xffff);
    const unreadable: (() => void)[] = [
      () => change({ version: 2 ** 32 + party.version }),
      () => add(0),
      () => add(0x1_0000 + number),
      () => parties.splice(0),
      () => change({ account: party.account.subarray(0, random.below(18)) }),
    ];
    const mistakes: (() => void)[] = [
      () => change({ version: party.version + random.between(-1, 2) }),
      () => change({ devices: devices.slice(1) }),
      () => add(unknown),
      () => add(unknown, unknown),
      () => add(number),
      () => add(...Array.from({ length: 17 }, (_, i) => i + 1)),
      () => add((sender[18] as number) * 256 + (sender[19] as number)),
      () => parties.push(party),
      () => parties.push({ ...party, account: random.bytes(18) }),
      () => change({ devices: [...devices, { number: unknown, payload: this.pool.subarray(0, 98_305) }] }),
      () => {
        for (let i = 0; i < 17; i++) parties.push({ ...party, account: random.bytes(18) });
      },
      () => {
        const own = parties.findIndex(({ account }) => textOf(account) === textOf(sender.subarray(0, 18)));
        if (own >= 0) parties.splice(own, 1);
      },
    ];
    random.pick(random.chance(0.06) ? unreadable : mistakes)();
    if (parties[at] !== undefined && parties[at].version < 0) change({ version: 0 });
  }
}

export function deviceAddress(account: Uint8Array, number: number): Uint8Array {
  const address = new Uint8Array(20);
  address.set(account);
  address[18] = number >> 8;
  address[19] = number & 0xff;
  return address;
}

/**
 * A real kernel and a real store with the path between them, driven turn by turn: time moves only when a test says so,
 * and devices are connections that keep what they were sent.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AccountAddress, accountOf, type DeviceAddress, deviceAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { Kernel, type ResidentGroup } from "../../src/kernel/kernel.js";
import { type Connection, Path, type PathEvents, type PathOptions } from "../../src/path/path.js";
import type { Group } from "../../src/rules/groups.js";
import { limits } from "../../src/rules/limits.js";
import { type Commit, openStore, type Store } from "../../src/store/store.js";
import { type ClientFrame, encodeClientFrame } from "../../src/wire/client-frames.js";
import type { CodeName } from "../../src/wire/codes.js";
import { decodeNotice, isNode, type NoticeBody } from "../../src/wire/notices.js";
import { decodeServerMessage, type ServerFrame } from "../../src/wire/server-frames.js";

type FrameOf<K extends ServerFrame["kind"]> = Extract<ServerFrame, { kind: K }>;

export class FakeConnection implements Connection {
  readonly frames: ServerFrame[] = [];
  /** Messages as they left: each is one native send. */
  sends = 0;
  ended: CodeName | undefined;
  /** What the next sends answer; 1 when used up. */
  readonly results: (0 | 1 | 2)[] = [];

  send(bytes: Uint8Array): 0 | 1 | 2 {
    const result = this.results.shift() ?? 1;
    if (result === 2) return 2;
    this.sends++;
    this.frames.push(...decodeServerMessage(bytes.slice()));
    return result;
  }

  end(code: CodeName): void {
    this.ended = code;
  }

  of<K extends ServerFrame["kind"]>(kind: K): FrameOf<K>[] {
    return this.frames.filter((frame): frame is FrameOf<K> => frame.kind === kind);
  }

  /** What devices sent. */
  get texts(): string[] {
    const envelopes = this.of("deliver").filter((frame) => !isNode(frame.sender));
    return envelopes.map((frame) => Buffer.from(frame.payload).toString());
  }

  /** What the node said. */
  get notices(): NoticeBody[] {
    const notices = this.of("deliver").filter((frame) => isNode(frame.sender));
    return notices.map((frame) => decodeNotice(frame.payload));
  }

  /** Of groups, in order: the event and version of what the node said, the text of what members sent. */
  get groupLog(): string[] {
    return this.frames.flatMap((frame) => {
      if (frame.kind !== "groupDeliver" && frame.kind !== "sharedDeliver" && frame.kind !== "deliver")
        return [];
      const payload = frame.kind === "deliver" ? frame.payload : frame.shared;
      if (!isNode(frame.sender)) return [Buffer.from(payload).toString()];
      const body = decodeNotice(payload);
      return body.notice === "group" ? [`${body.event} ${body.version}`] : [];
    });
  }

  /** Of what devices sent, in its order: the text; of a shared part also its block's. */
  get entries(): string[] {
    return this.frames.flatMap((frame) => {
      if (frame.kind === "deliver" && isNode(frame.sender)) return [];
      if (frame.kind === "deliver" || frame.kind === "ownDeliver")
        return [Buffer.from(frame.payload).toString()];
      if (frame.kind !== "sharedDeliver" && frame.kind !== "groupDeliver") return [];
      return [`${Buffer.from(frame.shared)}+${Buffer.from(frame.block)}`];
    });
  }

  get sequences(): number[] {
    return this.frames.flatMap((frame) => ("sequence" in frame && "id" in frame ? [frame.sequence] : []));
  }
}

export class Device {
  connection = new FakeConnection();
  slot = -1;

  constructor(
    readonly world: World,
    readonly address: DeviceAddress,
  ) {}

  async connect(
    wanted: { resume?: number; windowEntries?: number; windowBytes?: number } = {},
  ): Promise<this> {
    const account = accountOf(this.address);
    const number = ((this.address[18] as number) << 8) | (this.address[19] as number);
    this.connection = new FakeConnection();
    const record = await this.world.store.registerDevice(account, number);
    const attached = this.world.path.attach(this.address, record, this.connection, {
      resume: wanted.resume ?? 0,
      windowEntries: wanted.windowEntries ?? 0,
      windowBytes: wanted.windowBytes ?? 0,
      nowMs: this.world.wallMs,
    });
    if ("refused" in attached) throw new Error(attached.refused);
    this.slot = attached.slot;
    this.world.turn();
    return this;
  }

  say(...frames: ClientFrame[]): this {
    this.world.path.receive(this.slot, Buffer.concat(frames.map(encodeClientFrame)));
    return this;
  }

  /** A send to all devices named, one account each. */
  send(id: number | Uint8Array, text: string, ...to: Device[]): this {
    return this.say(this.world.sendFrame(id, text, to));
  }

  /** A shared send to all devices named, each with its block. */
  sendShared(id: number, text: string, ...to: (readonly [Device, string])[]): this {
    const devices = to.map(([device]) => device);
    const plain = this.world.sendFrame(id, "", devices) as Extract<ClientFrame, { kind: "send" }>;
    const accounts = plain.accounts.map(({ account, version, devices: listed }) => ({
      account,
      version,
      devices: listed.map(({ device }) => {
        const own = to.find(
          ([{ address }]) =>
            toHex(accountOf(address)) === toHex(account) &&
            address[18] === device >> 8 &&
            address[19] === (device & 255),
        );
        return { device, block: Buffer.from(own?.[1] ?? "") };
      }),
    }));
    return this.say({ kind: "sharedSend", id: envelopeId(id), shared: Buffer.from(text), accounts });
  }

  /** To a group as it is, with blocks for some devices. */
  sendToGroup(
    id: number,
    text: string,
    group: ResidentGroup,
    ...blocks: (readonly [Device, string])[]
  ): this {
    return this.say({
      kind: "groupSend",
      id: envelopeId(id),
      group: group.address,
      version: group.version,
      shared: Buffer.from(text),
      blocks: blocks.map(([{ address }, block]) => ({
        account: accountOf(address),
        device: ((address[18] as number) << 8) | (address[19] as number),
        block: Buffer.from(block),
      })),
    });
  }

  /** To the device of this number of the own account. */
  sendToOwn(id: number | Uint8Array, text: string, device: number): this {
    return this.say({ kind: "ownSend", id: envelopeId(id), device, payload: Buffer.from(text) });
  }

  ack(sequence: number): this {
    return this.say({ kind: "ack", sequence });
  }

  leave(): this {
    this.world.path.detach(this.slot, this.connection);
    this.world.turn();
    return this;
  }
}

export function envelopeId(n: number | Uint8Array): Uint8Array {
  if (typeof n !== "number") return n;
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(12, n);
  return id;
}

export class World {
  wallMs: number;
  monotonicMs = 1_000;
  patience = 0;
  /** Commits that were handed to the store and are held back until the test lets them go. */
  readonly heldCommits: (() => void)[] = [];
  holdCommits = false;
  /** Who looks at a commit without waiting for it finds it unfinished, however quick the disk is. */
  isFlushSlow = false;
  /** How many have been begun. */
  commits = 0;
  /** Notices that are durable stay in the outbox, as after a crash before they are taken out. */
  isOutboxKept = false;
  /** What the store reads as groups besides its own, by address in hex. */
  readonly groups = new Map<string, Group>();
  /** How often it was asked. */
  groupReads = 0;
  /** A turn was asked for since this was set to false. */
  isWoken = false;

  private constructor(
    readonly directory: string,
    readonly store: Store,
    readonly kernel: Kernel,
    readonly path: Path,
    wallMs: number,
  ) {
    this.wallMs = wallMs;
  }

  static async open(
    options: {
      directory?: string;
      wallMs?: number;
      limits?: { readonly [Name in keyof typeof limits]?: number };
      events?: PathEvents;
      serveRequest?: PathOptions["serveRequest"];
      serveUnidentified?: PathOptions["serveUnidentified"];
      maySignal?: PathOptions["maySignal"];
      tailBytes?: number;
      /** Of the kernel's tables. */
      residents?: number;
      build?: "release" | "debug";
    } = {},
  ): Promise<World> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), "interline-path-"));
    // Here time stands unless the test says otherwise, and commits keep no distance.
    const still = { journalTailBytes: options.tailBytes ?? 4 << 20, commitSpacingMs: 0 };
    const bounds = { ...limits, ...still, ...options.limits };
    const { wallMs = 1_800_000_000_000 } = options;
    let world: World | undefined;
    const store = await openStore({
      directory,
      clock: { wallMs: () => world?.wallMs ?? wallMs, monotonicMs: () => world?.monotonicMs ?? 1_000 },
      onRosterChanged: (record, removed) => world?.path.rosterChanged(record, removed),
      onNotices: () => world?.path.noticesStored(),
      quotas: bounds,
    });
    const kernel = new Kernel(
      {
        inboxBytes: 2 << 20,
        tailBytes: bounds.journalTailBytes,
        accounts: options.residents ?? 256,
        devices: options.residents ?? 256,
        dedupKeys: 4096,
        dedupMs: bounds.dedupWindowMs,
        uncommittedBytes: bounds.journalTailBytes / 2,
        groups: 16,
        groupMembers: Math.max(1_000, options.residents ?? 0),
        brands: [1, 2, 3, 0],
      },
      { epoch: store.epoch, firstPart: store.firstPart },
      options.build ?? "debug",
    );
    for (const from of [0, 1, 2]) for (const to of [0, 1, 2]) kernel.setCrossing(from, to, "open");
    for (const to of [0, 1, 2]) kernel.setCrossing(3, to, "open");
    for (const keys of store.recoveredDedupKeys()) kernel.restoreDedup(keys, 1_000);
    const commit = store.commit.bind(store);
    const gated: Store = Object.assign(Object.create(store), {
      commit: (batch: Parameters<Store["commit"]>[0]) => {
        if (world !== undefined) world.commits++;
        if (world?.holdCommits) return heldCommit(world.heldCommits, () => commit(batch));
        return world?.isFlushSlow ? slowCommit(commit(batch)) : commit(batch);
      },
      dropNotices: (numbers: readonly number[]) => {
        if (!world?.isOutboxKept) store.dropNotices(numbers);
      },
      readGroup: (address: AccountAddress) => {
        if (world !== undefined) world.groupReads++;
        return world?.groups.get(toHex(address)) ?? store.readGroup(address);
      },
    });
    const path = new Path({
      kernel,
      store: bindAll(gated, store),
      wake: () => {
        if (world !== undefined) world.isWoken = true;
      },
      turnNow: () => world?.turn(),
      limits: bounds,
      serveRequest: options.serveRequest ?? (async () => ({ code: "requestUnknown" })),
      serveUnidentified: options.serveUnidentified ?? (async () => ({ code: "requestUnknown" })),
      maySignal: options.maySignal ?? (() => true),
      ...(options.events && { events: options.events }),
    });
    world = new World(directory, store, kernel, path, wallMs);
    return world;
  }

  device(brand: number, account: number, device = 1): Device {
    return new Device(this, deviceAddress({ brand, account: new Uint8Array(16).fill(account), device }));
  }

  /** A group as the store would have it, of the accounts of these devices; known to the kernel. */
  group(name: number, version: number, members: readonly Device[], brand = 1): ResidentGroup {
    const address = new Uint8Array(18).fill(name);
    address.set([brand >> 8, brand & 0xff]);
    const accounts = new Map(
      members.map((member) => [toHex(accountOf(member.address)), accountOf(member.address)]),
    );
    const group = { address, version, members: [...accounts.values()] };
    const stored = group.members.map((account) => ({ account, role: "admin" as const }));
    this.groups.set(toHex(address), { ...group, members: stored });
    if (this.kernel.groupVersion(address) !== undefined) this.kernel.loadGroup(group);
    return group;
  }

  sendFrame(id: number | Uint8Array, text: string, to: Device[]): ClientFrame {
    const accounts = new Map<string, Device[]>();
    for (const device of to) {
      const key = Buffer.from(accountOf(device.address)).toString("hex");
      accounts.set(key, [...(accounts.get(key) ?? []), device]);
    }
    return {
      kind: "send",
      id: envelopeId(id),
      accounts: [...accounts.values()].map((devices) => {
        const account = accountOf((devices[0] as Device).address);
        return {
          account,
          version: this.store.readAccount(account)?.version ?? 0,
          devices: devices.map((device) => ({
            device: ((device.address[18] as number) << 8) | (device.address[19] as number),
            payload: Buffer.from(text),
          })),
        };
      }),
    };
  }

  turn(): void {
    this.path.turn({ wallMs: this.wallMs, monotonicMs: this.monotonicMs, patience: this.patience });
  }

  later(ms: number): this {
    this.wallMs += ms;
    this.monotonicMs += ms;
    return this;
  }

  /** Turns, while time stands, until a commit is flushed and its receipts are due. */
  async untilDue(): Promise<void> {
    for (this.turn(); this.kernel.dueReceipts === 0; this.turn()) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Turns until everything accepted is committed and receipted. */
  async settle(): Promise<void> {
    let isSettled = false;
    const settled = this.path.settled().then(() => {
      isSettled = true;
    });
    while (!isSettled) {
      this.turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await settled;
  }

  /** Lets the tail grow old and moves all of it to the queues. */
  async spillAll(): Promise<void> {
    await this.settle();
    while (this.kernel.tailUsed > 0) {
      this.later(3_000);
      this.turn();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async close(): Promise<void> {
    if (this.kernel.brokenRegion() !== 0) throw new Error(`region ${this.kernel.brokenRegion()} was overrun`);
    await this.store.close();
  }

  async remove(): Promise<void> {
    await this.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A commit that begins when the test lets it go; what it holds must not be looked at again until then. */
function heldCommit(held: (() => void)[], begin: () => Commit): Commit {
  let begun: Commit | undefined;
  const letGo = new Promise<void>((resolve) => held.push(resolve));
  return {
    durable: letGo.then(() => {
      begun = begin();
      return begun.durable;
    }),
    isDurable: (waitMs) => begun?.isDurable(waitMs) ?? false,
  };
}

function slowCommit({ durable, isDurable }: Commit): Commit {
  return { durable, isDurable: (waitMs) => waitMs > 0 && isDurable(waitMs) };
}

/** The store keeps private state: every method but the replaced ones is called on the real object. */
function bindAll(gated: Store, store: Store): Store {
  return new Proxy(gated, {
    get(_target, name) {
      if (name === "commit" || name === "dropNotices" || name === "readGroup") return gated[name];
      const value = Reflect.get(store, name, store);
      return typeof value === "function" ? value.bind(store) : value;
    },
  });
}

/**
 * The composition: the only file that names concrete parts. It opens the store, builds the kernel and the path on it,
 * starts the loop, the sweeps and, if asked, the edge, and takes all of it down again in order.
 *
 *   store ─▶ kernel ─▶ path ◀─ loop        sign-in ─▶ edge ─▶ path        local devices ─▶ path
 *
 * A storage failure ends the node: no receipt follows, every device is told, and `failed` resolves.
 */
import type { Admin } from "./admin/server.js";
import { accountOf, deviceNumber } from "./base/address.js";
import { systemClock } from "./base/clock.js";
import type { Transport } from "./client/client.js";
import { contactMethods } from "./directory/contacts.js";
import { deliveryTokenMethods } from "./directory/delivery-tokens.js";
import { deviceMethods } from "./directory/devices.js";
import { Groups, groupMethods } from "./directory/groups.js";
import { keyMethods, sealedKeyMethods } from "./directory/keys.js";
import { nameMethods } from "./directory/names.js";
import { Presence } from "./directory/presence.js";
import { pushMethods } from "./directory/push.js";
import { Requests } from "./directory/requests.js";
import { type Edge, type Entered, startEdge } from "./edge/edge.js";
import { Kernel } from "./kernel/kernel.js";
import { localTransport } from "./local-transport.js";
import { descriptorAdvice } from "./ops/descriptors.js";
import { DiskWatch } from "./ops/disk.js";
import { ExpiryClock } from "./ops/expiry-clock.js";
import { Health } from "./ops/health.js";
import type { Log } from "./ops/log.js";
import { Loop } from "./ops/loop.js";
import { Metrics } from "./ops/metrics.js";
import { Sweeps } from "./ops/sweeps.js";
import { type Attached, type Connection, Path, type PathEvents } from "./path/path.js";
import { type WakeUpParts, WakeUps } from "./push/wake-ups.js";
import { type Crossing, mayCross } from "./rules/brands.js";
import type { limits as defaultLimits } from "./rules/limits.js";
import type { PushSender } from "./rules/push.js";
import type { SignedIn, SignedInService } from "./rules/sign-in.js";
import { type AccountRecord, openStore, type Store } from "./store/store.js";
import { CodedError } from "./wire/coded-error.js";
import { coverage } from "./wire/contacts.js";
import type { HelloFrame } from "./wire/hello.js";

/** Bounds as configured: any of rules/limits.ts. */
export type Limits = { readonly [Name in keyof typeof defaultLimits]: number };

/** What a node is made from; createNode (index.ts) fills it in. */
export interface NodeParts {
  readonly dataDirectory: string;
  readonly brands: readonly { readonly number: number; readonly name: string }[];
  readonly crossing: Crossing;
  readonly limits: Limits;
  readonly signIn: (token: string) => Promise<SignedIn>;
  readonly signInService: (token: string) => Promise<SignedInService>;
  /** Tokens of the brand issued up to then are refused for what is removed now. */
  readonly removalMs: (brand: number) => number;
  readonly signInStats?: () => {
    readonly faults: ReadonlyMap<string, number>;
    readonly keyReadings: number;
    readonly signaturesVerified: number;
  };
  readonly listen:
    | { readonly host: string; readonly port: number; readonly tls?: { certFile: string; keyFile: string } }
    | undefined;
  /** Where brands' back ends come in; nowhere without. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  /** Undefined: nobody is woken. */
  readonly push: PushSender | undefined;
  readonly events: PathEvents;
  readonly onCorruption: (table: string, detail: string) => void;
  readonly log: Log;
}

const DRAINING: Entered = { refused: "draining", retryAfterMs: 1_000 };

export class RunningNode {
  readonly store: Store;
  readonly kernel: Kernel;
  readonly path: Path;
  readonly presence: Presence;
  readonly metrics: Metrics;
  /** Resolves with the reason when the node cannot go on; never otherwise. */
  readonly failed: Promise<Error>;
  edge: Edge | undefined;
  admin: Admin | undefined;
  readonly #parts: NodeParts;
  readonly #loop: Loop;
  readonly #groups: Groups;
  readonly #health = new Health();
  readonly #expiryClock: ExpiryClock;
  readonly #sweeps: Sweeps;
  readonly #wakeUps: WakeUps | undefined;
  #fail: (error: Error) => void = () => {};
  #hasFailed = false;
  #stopping: Promise<void> | undefined;

  private constructor(parts: NodeParts, store: Store) {
    this.#parts = parts;
    this.store = store;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.kernel = buildKernel(parts, store);
    this.metrics = new Metrics(() => this.stats());
    this.#expiryClock = new ExpiryClock(systemClock, parts.limits, (isDoubted, aheadMs) => {
      const what = isDoubted
        ? "the clock was set far ahead: entries expire as if it were not"
        : "entries expire by the clock";
      parts.log.warn(what, { aheadMs });
    });
    this.#loop = new Loop(systemClock, (error) => this.#end(error as Error));
    const mayMeet = crossingByNumber(parts);
    const brandName = (number: number) => parts.brands.find((brand) => brand.number === number)?.name;
    this.#wakeUps = parts.push && this.#buildWakeUps(parts.push, brandName);
    this.#groups = new Groups(store, mayMeet);
    this.presence = new Presence({
      store,
      clock: systemClock,
      limits: parts.limits,
      mayReach: (from, to) => this.kernel.mayCross(from, to),
      tell: (device, frameOf) => this.path.tell(device, frameOf),
    });
    const requests = new Requests(
      deviceMethods({ store, removalMs: parts.removalMs, clock: systemClock, limits: parts.limits }),
      keyMethods(store, mayMeet),
      groupMethods(this.#groups, systemClock, parts.limits),
      deliveryTokenMethods({ store, clock: systemClock, limits: parts.limits }),
      contactMethods({ store, presence: this.presence, clock: systemClock, limits: parts.limits, mayMeet }),
      nameMethods({
        store,
        clock: systemClock,
        limits: parts.limits,
        mayReach: (from, to) => this.kernel.mayCross(from, to),
      }),
      parts.push ? pushMethods(store.pushTargets, parts.push, { brandName, nowMs: systemClock.wallMs }) : {},
    );
    const unidentified = new Requests<number>(sealedKeyMethods({ store, clock: systemClock, mayMeet }));
    this.path = new Path({
      kernel: this.kernel,
      store,
      wake: this.#loop.wake,
      turnNow: this.#loop.turnNow,
      limits: parts.limits,
      serveRequest: (device, method, body) => requests.serve(device, method, body),
      serveUnidentified: (brand, method, body) => unidentified.serve(brand, method, body),
      maySignal: (from, to) => (store.contacts.both(from, to) & coverage.signals) !== 0,
      events: {
        ...parts.events,
        connected: (device) => {
          this.presence.connected(device);
          this.#wakeUps?.came(device);
          parts.events.connected?.(device);
        },
        disconnected: (device) => {
          this.presence.disconnected(device);
          this.#wakeUps?.left(device);
          parts.events.disconnected?.(device);
        },
        queued: (device, entries) => {
          this.#wakeUps?.stored(device);
          parts.events.queued?.(device, entries);
        },
        refused: (code) => {
          this.metrics.refused(code);
          parts.events.refused?.(code);
        },
      },
    });
    this.#loop.drive(this.path);
    // What a crash left in the outbox goes out, and whoever was removed leaves the rest of his groups.
    this.#loop.wake();
    for (const account of store.memberships.leaving()) void this.#groups.dismiss(account);
    this.#sweeps = new Sweeps(this.#sweepTasks(), {
      onFailure: (name, error) => parts.log.failure("sweep failed", error, { sweep: name }),
    });
    void store.failed.then((error) => this.#end(error));
  }

  #buildWakeUps(sender: PushSender, brandName: WakeUpParts["brandName"]): WakeUps {
    const { limits, log } = this.#parts;
    return new WakeUps({
      store: this.store,
      sender,
      clock: systemClock,
      limits,
      brandName,
      isConnected: (device) => this.path.isConnected(device),
      onTrouble: (fields) => log.warn("devices cannot be woken", fields),
      onFailure: (error) => this.#end(error as Error),
    });
  }

  static async start(parts: NodeParts): Promise<RunningNode> {
    let node: RunningNode | undefined;
    const store = await openStore({
      directory: parts.dataDirectory,
      clock: systemClock,
      onCorruption: ({ table, detail }) => {
        parts.log.warn("damaged on disk and left out", { table, detail });
        parts.onCorruption(table, detail);
      },
      onCommitted: (durationMs) => node?.metrics.committed(durationMs),
      onRosterChanged: (record, removed) => {
        if (node !== undefined) node.#rosterChanged(record, removed);
      },
      onContactsChanged: (change) => node?.presence.contactsChanged(change),
      onNotices: () => node?.path.noticesStored(),
      quotas: parts.limits,
      commitTimeoutMs: parts.limits.commitTimeoutMs,
    });
    const { blocks, badBlocks, entries } = store.stats().recovery;
    parts.log.info("store opened", { epoch: store.epoch, blocks, badBlocks, entries });
    try {
      node = new RunningNode(parts, store);
      if (parts.listen !== undefined) await node.#listen(parts.listen);
      if (parts.admin !== undefined) await node.#listenForBrands(parts.admin);
      return node;
    } catch (error) {
      await node?.edge?.stop();
      await store.close();
      throw error;
    }
  }

  async #listen(listen: NonNullable<NodeParts["listen"]>): Promise<void> {
    const { limits, log, signIn } = this.#parts;
    const advice = descriptorAdvice(limits);
    if (advice !== undefined) log.warn(advice);
    this.edge = await startEdge(
      { ...listen, limits },
      {
        signIn,
        enter: (signedIn, connection, hello) => this.enter(signedIn, connection, hello),
        receive: (slot, message) => {
          this.path.receive(slot, message);
          return true;
        },
        writable: (slot) => this.path.writable(slot),
        detach: (slot, connection) => this.path.detach(slot, connection),
        turnIfLate: this.#loop.turnIfLate,
        ready: () => this.#health.report(),
        metrics: () => this.metrics.text(),
      },
    );
    log.info("listening", { url: this.edge.url });
  }

  async #listenForBrands(admin: NonNullable<NodeParts["admin"]>): Promise<void> {
    const { signInService, removalMs, log } = this.#parts;
    // Loaded only where it is wanted: fastify is a third of what a node takes to start.
    const { startAdmin } = await import("./admin/server.js");
    this.admin = await startAdmin(admin, { signIn: signInService, removalMs, store: this.store });
    log.info("listening for brands", { url: this.admin.url });
  }

  #rosterChanged(record: AccountRecord, removed: readonly number[]): void {
    this.path.rosterChanged(record, removed);
    if (record.isRemoved) void this.#groups.dismiss(record.address);
  }

  /**
   * A verified device comes in: its roster entry is made durable if it is new, then its connection is attached. Or
   * somebody does who speaks for no device.
   */
  async enter(
    signedIn: SignedIn,
    connection: Connection,
    hello: Pick<HelloFrame, "resume" | "windowEntries" | "windowBytes">,
  ): Promise<Entered> {
    if (this.#isEnding) return DRAINING;
    const nowMs = systemClock.wallMs();
    if (!("device" in signedIn))
      return entered(this.path.attachUnidentified(signedIn.brand, connection, nowMs));
    const { device, ...arrival } = signedIn;
    const account = accountOf(device);
    await this.store.registerDevice(account, deviceNumber(device), arrival);
    // One transaction registers many.
    this.#loop.turnIfLate();
    if (this.#isEnding) return DRAINING;
    // As it is now: a removal may have come in between.
    const record = this.store.readAccount(account);
    if (record === undefined) throw new CodedError("storageFailed", { fatal: true });
    const { resume, windowEntries, windowBytes } = hello;
    const wanted = { resume, windowEntries, windowBytes, nowMs: systemClock.wallMs() };
    return entered(this.path.attach(device, record, connection, wanted));
  }

  get #isEnding(): boolean {
    return this.#hasFailed || this.#stopping !== undefined;
  }

  /** A way in for a device of this process, or for somebody who is not named, without a socket and without a token. */
  transport(from: SignedIn): Transport {
    return localTransport({
      enter: (connection, hello) => this.enter(from, connection, hello),
      receive: (slot, message) => this.path.receive(slot, message),
      detach: (slot, connection) => this.path.detach(slot, connection),
    });
  }

  stats() {
    const { signInStats } = this.#parts;
    return {
      connections: this.path.connectionCount,
      unidentified: this.path.unidentifiedCount,
      counters: this.kernel.counters(),
      signals: this.path.signals,
      tailBytes: this.kernel.tailUsed,
      uncommittedBytes: this.kernel.uncommittedBytes,
      clockAheadMs: this.#expiryClock.aheadMs,
      store: this.store.stats(),
      edge: this.edge?.stats(),
      ...(signInStats && { signIn: signInStats() }),
      push: this.#wakeUps?.stats,
    };
  }

  /** Takes no new connection, commits and receipts what was accepted, tells every device to come back later, and closes. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#health.block("draining", true);
    this.presence.stop();
    this.edge?.refuseNew();
    await this.admin?.stop();
    await this.#sweeps.stop();
    await this.#wakeUps?.stop();
    if (!this.#hasFailed) await this.path.settled();
    await this.edge?.stop();
    this.path.endAll("draining", () => this.#parts.limits.drainRetryMinMs);
    if (!this.#hasFailed) await this.path.settled();
    this.#loop.stop();
    await this.store.close();
    this.#parts.log.info("stopped");
  }

  /** No way on: nothing is receipted from here, and every device is told. */
  #end(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.path.fail();
    this.presence.stop();
    this.#health.block("storageFailed", true);
    void this.#wakeUps?.stop();
    this.#parts.log.failure("the node cannot go on", error);
    this.edge?.refuseNew();
    this.path.endAll("storageFailed", () => this.#parts.limits.drainRetryMinMs);
    this.#fail(error);
  }

  #sweepTasks() {
    const { limits, dataDirectory, log } = this.#parts;
    const disk = new DiskWatch({
      directory: dataDirectory,
      freeBytesMin: limits.diskFreeBytesMin,
      onChange: (isLow, freeBytes) => {
        this.path.setDiskLow(isLow);
        this.#health.note("diskLow", isLow);
        log.warn(isLow ? "the disk is low: sends are refused" : "the disk has room again", { freeBytes });
      },
    });
    return [
      { name: "disk", run: () => disk.check() },
      { name: "store", run: () => this.#sweepStore() },
      { name: "brand quotas", run: () => this.#applyBrandQuotas() },
      { name: "push", run: () => this.#wakeUps?.sweep() },
    ];
  }

  async #sweepStore(): Promise<void> {
    const { sweepRows } = this.#parts.limits;
    const swept = await this.store.sweep(systemClock.wallMs(), sweepRows, this.#expiryClock.look());
    if (swept.expiredEntries > 0) this.#parts.log.info("entries expired", { entries: swept.expiredEntries });
  }

  #applyBrandQuotas(): void {
    const { brands, limits, crossing } = this.#parts;
    brands.forEach((to, toIndex) => {
      const isFull = this.store.brandQueueBytes(to.number) > limits.brandQueueBytesMax;
      brands.forEach((from, fromIndex) => {
        if (mayCross(crossing, from.name, to.name)) {
          this.kernel.setCrossing(fromIndex, toIndex, isFull ? "full" : "open");
        }
      });
    });
  }
}

function entered(attached: Attached): Entered {
  return "slot" in attached ? attached : { refused: attached.refused, retryAfterMs: 0 };
}

/** Whether envelopes pass from the one brand to the other; not to brands that nobody configured. */
function crossingByNumber({ brands, crossing }: NodeParts): (from: number, to: number) => boolean {
  const names = new Map(brands.map(({ number, name }) => [number, name]));
  return (from, to) => {
    const [fromName, toName] = [names.get(from), names.get(to)];
    return fromName !== undefined && toName !== undefined && mayCross(crossing, fromName, toName);
  };
}

function buildKernel(parts: NodeParts, store: Store): Kernel {
  const { limits, brands, crossing } = parts;
  const kernel = new Kernel(
    {
      inboxBytes: limits.inboxBytes,
      tailBytes: limits.journalTailBytes,
      accounts: limits.residentAccountsMax,
      devices: limits.residentDevicesMax,
      dedupKeys: limits.dedupWindowCount,
      dedupMs: limits.dedupWindowMs,
      uncommittedBytes: limits.uncommittedBytesMax,
      groups: limits.residentGroupsMax,
      groupMembers: limits.residentMembersMax,
      // The last one is the node itself, which may write to every brand.
      brands: [...brands.map((brand) => brand.number), 0],
    },
    { epoch: store.epoch, firstPart: store.firstPart },
  );
  brands.forEach((from, i) => {
    brands.forEach((to, j) => {
      kernel.setCrossing(i, j, mayCross(crossing, from.name, to.name) ? "open" : "closed");
    });
    kernel.setCrossing(brands.length, i, "open");
  });
  const nowMs = systemClock.monotonicMs();
  for (const keys of store.recoveredDedupKeys()) kernel.restoreDedup(keys, nowMs);
  return kernel;
}

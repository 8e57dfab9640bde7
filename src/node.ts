/**
 * The composition: the only file that names concrete parts. It opens the store, builds the kernel and the path on it,
 * starts the loop and, if asked, the edge, and takes all of it down again in order.
 *
 *   store ─▶ kernel ─▶ path ◀─ loop        sign-in ─▶ edge ─▶ path        local devices ─▶ path
 *
 * A storage failure ends the node: no receipt follows, every device is told, and `failed` resolves.
 */
import { accountOf, type DeviceAddress } from "./base/address.js";
import { systemClock } from "./base/clock.js";
import type { Transport } from "./client/client.js";
import { type Edge, type Entered, startEdge } from "./edge/edge.js";
import { Kernel } from "./kernel/kernel.js";
import { localTransport } from "./local-transport.js";
import { Loop } from "./ops/loop.js";
import { type Connection, Path, type PathEvents } from "./path/path.js";
import { type Crossing, mayCross } from "./rules/brands.js";
import type { limits as defaultLimits } from "./rules/limits.js";
import { openStore, type Store } from "./store/store.js";
import type { HelloFrame } from "./wire/client-frames.js";
import { CodedError } from "./wire/coded-error.js";
import type { CodeName } from "./wire/codes.js";

/** Bounds a configuration may change: any of rules/limits.ts. */
export type Limits = { readonly [Name in keyof typeof defaultLimits]: number };

/** What an assembled node is made from; config.ts and createNode (index.ts) fill it in. */
export interface NodeParts {
  readonly dataDirectory: string;
  readonly brands: readonly { readonly number: number; readonly name: string }[];
  readonly crossing: Crossing;
  readonly limits: Limits;
  readonly signIn: (token: string) => Promise<{ readonly device: DeviceAddress }>;
  readonly listen:
    | { readonly host: string; readonly port: number; readonly tls?: { certFile: string; keyFile: string } }
    | undefined;
  readonly events: PathEvents;
  readonly metrics?: () => Promise<string>;
  readonly onCorruption: (table: string, detail: string) => void;
  readonly onWarning: (message: string) => void;
}

export class RunningNode {
  readonly store: Store;
  readonly kernel: Kernel;
  readonly path: Path;
  /** Resolves with the reason when the node cannot go on; never otherwise. */
  readonly failed: Promise<Error>;
  edge: Edge | undefined;
  readonly #loop: Loop;
  readonly #parts: NodeParts;
  #fail: (error: Error) => void = () => {};
  #hasFailed = false;
  #isStopping = false;

  private constructor(parts: NodeParts, store: Store) {
    this.#parts = parts;
    this.store = store;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.kernel = buildKernel(parts, store);
    this.#loop = new Loop(systemClock, (error) => this.#end(error as Error));
    this.path = new Path({
      kernel: this.kernel,
      store,
      wake: this.#loop.wake,
      turnNow: this.#loop.turnNow,
      limits: parts.limits,
      events: parts.events,
    });
    this.#loop.drive(this.path);
    void store.failed.then((error) => this.#end(error));
  }

  static async start(parts: NodeParts): Promise<RunningNode> {
    const store = await openStore({
      directory: parts.dataDirectory,
      nowMs: systemClock.wallMs,
      onCorruption: ({ table, detail }) => parts.onCorruption(table, detail),
      quotas: parts.limits,
      commitTimeoutMs: parts.limits.commitTimeoutMs,
    });
    try {
      const node = new RunningNode(parts, store);
      if (parts.listen !== undefined) await node.#listen(parts.listen);
      return node;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async #listen(listen: NonNullable<NodeParts["listen"]>): Promise<void> {
    this.edge = await startEdge(
      { ...listen, limits: this.#parts.limits },
      {
        signIn: this.#parts.signIn,
        enter: (device, connection, hello) => this.enter(device, connection, hello),
        receive: (slot, message) => {
          this.path.receive(slot, message);
          return true;
        },
        writable: (slot) => this.path.writable(slot),
        detach: (slot, connection) => this.path.detach(slot, connection),
        ready: () => !this.#hasFailed && !this.#isStopping,
        ...(this.#parts.metrics === undefined ? {} : { metrics: this.#parts.metrics }),
      },
    );
  }

  /** A verified device comes in: its roster entry is made durable if it is new, then its connection is attached. */
  async enter(
    device: DeviceAddress,
    connection: Connection,
    hello: Pick<HelloFrame, "resume" | "windowEntries" | "windowBytes">,
  ): Promise<Entered> {
    if (this.#hasFailed || this.#isStopping) return { refused: "draining", retryAfterMs: 1_000 };
    const account = accountOf(device);
    const number = ((device[18] as number) << 8) | (device[19] as number);
    const isKnown = (): boolean =>
      this.store.readAccount(account)?.devices.some((entry) => entry.number === number) ?? false;
    if (!isKnown()) this.path.rosterChanged(await this.store.registerDevice(account, number));
    const record = this.store.readAccount(account);
    if (record === undefined) throw new CodedError("storageFailed");
    const attached = this.path.attach(device, record, connection, {
      resume: hello.resume,
      windowEntries: hello.windowEntries,
      windowBytes: hello.windowBytes,
      nowMs: systemClock.wallMs(),
    });
    return "slot" in attached ? attached : { refused: attached.refused, retryAfterMs: 0 };
  }

  /** A way in for a device of this process, without a socket and without a token. */
  transport(device: DeviceAddress): Transport {
    return localTransport(
      {
        enter: (address, connection, hello) => this.enter(address, connection, hello),
        receive: (slot, message) => this.path.receive(slot, message),
        detach: (slot, connection) => this.path.detach(slot, connection),
      },
      device,
    );
  }

  /** Background work, about once a second. */
  async sweep(): Promise<void> {
    const { brands, limits, crossing } = this.#parts;
    await this.store.sweep(systemClock.wallMs(), limits.sweepRows);
    brands.forEach((to, toIndex) => {
      const isFull = this.store.brandQueueBytes(to.number) > limits.brandQueueBytesMax;
      brands.forEach((from, fromIndex) => {
        if (!mayCross(crossing, from.name, to.name)) return;
        this.kernel.setCrossing(fromIndex, toIndex, isFull ? "full" : "open");
      });
    });
  }

  stats() {
    return {
      connections: this.path.connectionCount,
      counters: this.kernel.counters(),
      tailBytes: this.kernel.tailUsed,
      uncommittedBytes: this.kernel.uncommittedBytes,
      store: this.store.stats(),
      edge: this.edge?.stats(),
    };
  }

  /** Takes no new connection, commits and receipts what was accepted, tells every device to come back later, and closes. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.edge?.refuseNew();
    if (!this.#hasFailed) await this.path.settled();
    this.path.endAll("draining", () => this.#parts.limits.drainRetryMinMs);
    await this.edge?.stop();
    if (!this.#hasFailed) await this.path.settled();
    this.#loop.stop();
    await this.store.close();
  }

  #end(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.path.fail();
    this.edge?.refuseNew();
    this.path.endAll("storageFailed" satisfies CodeName, () => 1_000);
    this.#fail(error);
  }
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
      brands: brands.map((brand) => brand.number),
    },
    store.epoch,
  );
  brands.forEach((from, i) => {
    brands.forEach((to, j) => {
      kernel.setCrossing(i, j, mayCross(crossing, from.name, to.name) ? "open" : "closed");
    });
  });
  for (const { keys, timeMs } of store.recoveredDedupKeys()) kernel.restoreDedup(keys, timeMs);
  return kernel;
}

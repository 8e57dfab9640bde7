/**
 * One generator process's devices: opened, kept, started, measured, drained.
 *
 * A round: circulate ▸ (warm-up) ▸ measure ▸ (window) ▸ closeWindow ▸ finish. After
 * finish nothing is under way, and everything sent has arrived or is lost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "../../src/base/assert.js";
import { limits } from "../../src/rules/limits.js";
import { sharedMs } from "../process/clock.js";
import { Failure } from "../process/requests.js";
import { type ArrivalOptions, Arrivals, type ArrivalWindow } from "./arrivals.js";
import { Churn } from "./churn.js";
import { Circulation } from "./circulation.js";
import { Connections, type Endpoint } from "./connections.js";
import type { Dialect } from "./dialect.js";
import { newDialect, newScanner } from "./dialects.js";
import { Feed } from "./feed.js";
import { type Fill, Filling } from "./filling.js";
import { InterlineDialect } from "./interline-dialect.js";
import type { LedgerPart } from "./ledger.js";
import { Mix } from "./mix.js";
import type {
  Circulate,
  GeneratorOptions,
  GeneratorProgress,
  Opened,
  OpenRange,
  RoundResult,
} from "./orders.js";
import { ReadMemory } from "./reads.js";
import { Refusals } from "./refusals.js";
import { Repeats } from "./repeats.js";
import { ownDevices, type Share, wholeShare } from "./share.js";
import { SlowReaders, type SlowReadersOptions } from "./slow-readers.js";
import { sourceAddress } from "./source-addresses.js";
import { nothing, tallyOf, tallySince } from "./tally.js";
import { idle, Traffic } from "./traffic.js";

/** How often `keepAlive` is called, and in what time at the latest it has pinged everybody: a quarter of the node's `silenceMs`. */
export const KEEP_ALIVE_TICK_MS = 50;
const KEEP_ALIVE_MS = 15_000;
const OPENING_MAX = 200;
/** Connections begun in one turn of the generator's loop. */
const OPENED_PER_TURN = 64;
/** A node ends a connection that wants more than twice as many answers in one turn. */
const ROSTERS_AT_ONCE = limits.answersPerTurnMax / 2;
const OPEN_TIMEOUT_MS = 110_000;
const FILL_TIMEOUT_MS = 300_000;
const DRAIN_POLL_MS = 5;
/** After everything has arrived: time for what should not arrive. */
const SETTLE_MS = 50;
/** Time for slow readers to read what waits for them, and to notice that they were ended. */
const SPEED_UP_MS = 1_000;

export class Generator {
  readonly #options: GeneratorOptions;
  readonly #share: Share;
  readonly #mix: Mix | undefined;
  readonly #connections: Connections;
  readonly #dialect: Dialect;
  readonly #traffic: Traffic;
  readonly #circulation: Circulation;
  readonly #isReady: Uint8Array;
  #readyCount = 0;
  #readyMs = 0;
  #refusals: Refusals | undefined;
  #openNext: () => void = () => {};
  #failure: string | undefined;
  #isBusy = false;
  #nextPinged = 0;
  #arrivals: Arrivals | undefined;
  #feed: Feed | undefined;
  #slowReaders: SlowReaders | undefined;
  #churn: Churn | undefined;
  #cpuAtMeasure = process.cpuUsage();
  #measuredAtMs = 0;
  #cpuUs = 0;
  #windowMs = 0;
  /** Counts at the round's start; what earlier rounds lost stays lost. */
  #before = nothing;
  #lostBefore = 0;

  constructor(options: GeneratorOptions) {
    const { devices, senders, peers = devices, share = wholeShare, takesStale = false } = options;
    this.#options = options;
    this.#share = share;
    this.#mix = options.mix && new Mix(options.mix);
    this.#isReady = new Uint8Array(devices);
    const memory = new ReadMemory();
    this.#traffic = new Traffic({
      devices,
      senders,
      peers,
      share,
      mix: this.#mix,
      takesStale,
      view: memory.view,
      unreceiptedPerDeviceMax: options.unreceiptedPerDeviceMax,
      onReady: (device) => this.#noteReady(device),
      onBroken: (device, reason) => this.#fail(device, reason),
    });
    const wire = { write: (device: number, bytes: Uint8Array) => this.#connections.write(device, bytes) };
    this.#dialect = newDialect(options, this.#traffic, memory, wire, this.#mix);
    this.#traffic.use(this.#dialect);
    const connections = devices * (this.#dialect.connectionsPerDevice ?? 1);
    this.#connections = new Connections(connections, newScanner(connections, memory, this.#dialect), {
      opened: (connection) => this.#dialect.opened(connection),
      readBegun: () => this.#traffic.tick(),
      readDone: (connection) => this.#traffic.readDone(connection % devices),
      lost: (connection, reason) => this.#fail(connection % devices, reason),
    });
    this.#circulation = new Circulation(this.#traffic, {
      devices: senders,
      peers: options.peers ?? senders - 1,
      share,
      seed: options.seed,
    });
  }

  /** Opens and signs in the devices from `from` to `to`; resolves when all are ready. */
  async open(range: OpenRange): Promise<Opened> {
    const { atOnce = OPENING_MAX, repeatsRefused = false } = range;
    const endpoint = this.#endpoint(range);
    const fromMs = sharedMs();
    const devices = [...ownDevices(this.#share, range.from, range.to)];
    const wanted = this.#readyCount + devices.length;
    const refusals = new Refusals((device) => this.#connections.open(device, endpoint));
    this.#refusals = repeatsRefused ? refusals : undefined;
    let opened = 0;
    this.#openNext = () => {
      const next = devices[opened++];
      if (next === undefined) return;
      for (const connection of this.#connectionsOf(next)) {
        this.#connections.open(connection, endpoint);
      }
    };
    for (let i = 0; i < atOnce; i++) {
      this.#openNext();
      // Devices do not wait for one another to connect: those that are connected go on meanwhile.
      if (i % OPENED_PER_TURN === OPENED_PER_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#until("open all connections", OPEN_TIMEOUT_MS, () => this.#readyCount === wanted);
    this.#refusals = undefined;
    return {
      refused: refusals.count,
      reasons: Object.fromEntries(refusals.byReason),
      tookMs: this.#readyMs - fromMs,
    };
  }

  close(range: { readonly from: number; readonly to: number }): void {
    for (let device = range.from; device < range.to; device++) {
      for (const connection of this.#connectionsOf(device)) this.#connections.close(connection);
      if (this.#isReady[device] === 1) this.#readyCount -= 1;
      this.#isReady[device] = 0;
    }
  }

  /** Where devices have addresses: those of this process's. */
  addresses(): string[] {
    const dialect = this.#dialect;
    if (!(dialect instanceof InterlineDialect)) return [];
    return [...ownDevices(this.#share, 0, this.#options.devices)].map((device) => dialect.addressOf(device));
  }

  /** One for each device of the run. */
  learnAddresses(addresses: readonly string[]): void {
    const dialect = this.#dialect;
    if (!(dialect instanceof InterlineDialect)) return;
    addresses.forEach((address, device) => {
      dialect.learnAddress(device, Buffer.from(address, "hex"));
    });
  }

  /** Where rosters exist: `asker` learns the version of each account's, which a send has to name. */
  async learnRosters(range: {
    readonly asker: number;
    readonly from: number;
    readonly to: number;
  }): Promise<void> {
    const dialect = this.#dialect;
    if (!(dialect instanceof InterlineDialect)) return;
    for (let from = range.from; from < range.to; from += ROSTERS_AT_ONCE) {
      const to = Math.min(range.to, from + ROSTERS_AT_ONCE);
      dialect.askRosters(range.asker, from, to);
      await this.#until("learn all rosters", OPEN_TIMEOUT_MS, () => dialect.rostersUnknown(from, to) === 0);
    }
  }

  /** A round begins: what happens from here on is judged by `finish`. */
  begin(): void {
    this.#throwFailure();
    this.#isBusy = true;
    this.#traffic.takesStale = false;
    this.#lostBefore = this.#traffic.ledger.outstanding;
    this.#before = tallyOf(this.#traffic);
    this.#traffic.timeline.clear();
  }

  /** Begins a round in which every device sends `inFlight` messages and each delivery triggers one. */
  circulate({ inFlight, repeats, continues = false, feed }: Circulate): void {
    if (!continues) this.begin();
    const { senders, seed } = this.#options;
    this.#traffic.behaviour = this.#circulation;
    this.#circulation.start(inFlight, repeats && new Repeats(this.#traffic, senders, seed, repeats));
    this.#feed = feed && new Feed(this.#traffic, senders, feed);
  }

  /** Begins a round of sends at fixed times; it goes on until `stopArrivals`. */
  arrive(options: ArrivalOptions): void {
    if (options.continues !== true) this.begin();
    const { ledger } = this.#traffic;
    const undelivered = () => ledger.outstanding - this.#lostBefore;
    // Where other processes take a part of what is sent here, only receipts tell.
    const underWay = this.#share.parts === 1 ? undelivered : () => this.#traffic.unansweredCount;
    this.#churn = options.churn && this.#newChurn(options.churn);
    const own = { ...options, share: this.#share };
    this.#arrivals = new Arrivals(this.#traffic, own, underWay, this.#mix, (device) =>
      this.#churn?.delivered(device),
    );
    this.#traffic.behaviour = this.#arrivals;
    this.#arrivals.start();
    this.#churn?.start();
  }

  #newChurn(options: NonNullable<ArrivalOptions["churn"]>): Churn {
    const endpoint = this.#endpoint(options);
    return new Churn(options, {
      leave: (device, saysSo) => {
        if (saysSo) this.#traffic.flush(device);
        this.close({ from: device, to: device + 1 });
        // An ack that was held back is given up: a closed connection takes nothing.
        this.#traffic.flush(device);
      },
      comeBack: (device) => this.#connections.open(device, endpoint),
    });
  }

  /** Some devices stop reading, or read little, until `speedUp`. */
  slowDown(options: SlowReadersOptions & { readonly port: number }): void {
    const endpoint = this.#endpoint({ port: options.port });
    this.#slowReaders = new SlowReaders(this.#connections, options, (device) => {
      this.#readyCount -= 1;
      this.#isReady[device] = 0;
      this.#connections.open(device, endpoint);
    });
  }

  /** Resolves when all devices are connected again, with how many had been ended. */
  async speedUp(): Promise<number> {
    const wanted = this.#readyCount;
    this.#slowReaders?.end();
    await sleep(SPEED_UP_MS);
    await this.#until("bring back slow readers", OPEN_TIMEOUT_MS, () => this.#readyCount === wanted);
    return this.#slowReaders?.evictedCount ?? 0;
  }

  /** What there is to say of the window; it is closed, and arrivals go on. */
  cutWindow(): ArrivalWindow {
    this.closeWindow();
    return this.#presentArrivals().read();
  }

  /** The arrivals end, and latencies count until everything has arrived: `finish` closes the window. */
  stopArrivals(): ArrivalWindow {
    this.#readCpu();
    const arrivals = this.#presentArrivals();
    arrivals.stop();
    this.#churn?.closeWindow();
    return arrivals.read();
  }

  /** Sends to devices that are away; resolves when every send has its receipt. */
  async fill(fill: Fill): Promise<void> {
    const filling = new Filling(this.#traffic, fill);
    this.#traffic.behaviour = filling;
    filling.start();
    await this.#until("fill the queues", FILL_TIMEOUT_MS, () => {
      return filling.isDone && this.#traffic.unansweredCount === 0;
    });
    this.#traffic.behaviour = idle;
    this.#traffic.firstDeliveryMs = undefined;
  }

  /** When the first delivery since the last `fill` came, on the clock that all processes share. */
  async firstDelivery(): Promise<number> {
    await this.#until("get a first delivery", OPEN_TIMEOUT_MS, () => {
      return this.#traffic.firstDeliveryMs !== undefined;
    });
    return this.#traffic.firstDeliveryMs!;
  }

  measure(): void {
    this.#throwFailure();
    this.#traffic.measure();
    this.#arrivals?.open();
    this.#churn?.measure();
    this.#cpuAtMeasure = process.cpuUsage();
    this.#measuredAtMs = sharedMs();
  }

  closeWindow(): void {
    this.#traffic.closeWindow();
    this.#readCpu();
  }

  #readCpu(): void {
    const { user, system } = process.cpuUsage(this.#cpuAtMeasure);
    this.#cpuUs = user + system;
    this.#windowMs = sharedMs() - this.#measuredAtMs;
  }

  /** Stops, drains and judges the round. `fromMs`, `toMs`: when the server's CPU time was read. */
  async finish(window: {
    readonly fromMs: number;
    readonly toMs: number;
    readonly drainMs: number;
  }): Promise<RoundResult> {
    this.stop();
    const churn = this.#churn;
    await this.#until("bring everybody back", OPEN_TIMEOUT_MS, () => churn?.areAllThere ?? true);
    await this.#drain(window.drainMs);
    if (this.#traffic.isMeasuring) this.#traffic.closeWindow();
    this.#arrivals = undefined;
    this.#slowReaders = undefined;
    this.#churn = undefined;
    this.#traffic.behaviour = idle;
    this.#isBusy = false;
    this.#throwFailure();
    const { ledger, sendLog, timeline, deliveryLatency, receiptLatency } = this.#traffic;
    return {
      ...tallySince(this.#before, this.#traffic),
      delivered: timeline.countAt(window.toMs) - timeline.countAt(window.fromMs),
      cpuUs: this.#cpuUs,
      windowMs: this.#windowMs,
      lost: ledger.outstanding - this.#lostBefore,
      unreceipted: sendLog.outstanding,
      deliveryLatency: deliveryLatency.encode(),
      receiptLatency: receiptLatency.encode(),
      longestReceiptGapMs: sendLog.longestGapUs / 1000,
      durabilities: [...sendLog.byDurability.keys()],
      ...(churn && { churn: churn.read() }),
    };
  }

  /** What goes on; throws what has gone wrong. */
  progress(): GeneratorProgress {
    this.#throwFailure();
    const { ledger, sendLog, deliveryLatency, receiptLatency, unansweredCount, staleCount } = this.#traffic;
    return {
      sent: ledger.sentCount,
      delivered: ledger.receivedCount - ledger.duplicated - ledger.misdelivered,
      receipted: ledger.sentCount - sendLog.outstanding,
      refused: sendLog.refusedCount,
      unanswered: unansweredCount,
      stale: staleCount,
      delivery: deliveryLatency.coarse(),
      receipt: receiptLatency.coarse(),
      lag: this.#arrivals?.lag.coarse() ?? [],
    };
  }

  /** Nothing more is sent, but for what was refused. */
  stop(): void {
    this.#circulation.stop();
    this.#feed?.stop();
    this.#arrivals?.stop();
    this.#churn?.end();
  }

  /** What this process knows of a run of several, after `finish`. */
  ledgerPart(): LedgerPart {
    return this.#traffic.ledger.part();
  }

  /** Pings the next few open connections while no round keeps them busy: as devices do, each at a moment of its own. */
  keepAlive(): void {
    if (this.#isBusy) return;
    const { devices } = this.#options;
    for (let left = Math.ceil((devices * KEEP_ALIVE_TICK_MS) / KEEP_ALIVE_MS); left > 0; left--) {
      if (this.#isReady[this.#nextPinged] === 1) this.#dialect.ping(this.#nextPinged);
      this.#nextPinged = (this.#nextPinged + 1) % devices;
    }
  }

  /** Until everything has arrived and has its receipt, or nothing has moved for `patienceMs`. */
  async #drain(patienceMs: number): Promise<void> {
    const { ledger } = this.#traffic;
    const left = () => ledger.outstanding - this.#lostBefore + this.#traffic.unansweredCount;
    let movedAtMs = sharedMs();
    let before = left();
    while (before > 0 && sharedMs() - movedAtMs < patienceMs && this.#failure === undefined) {
      await sleep(DRAIN_POLL_MS);
      if (left() !== before) movedAtMs = sharedMs();
      before = left();
    }
    await sleep(SETTLE_MS);
  }

  #connectionsOf(device: number): number[] {
    const { devices } = this.#options;
    return Array.from({ length: this.#dialect.connectionsPerDevice ?? 1 }, (_, k) => device + k * devices);
  }

  #endpoint({ port, sourceAddresses = 0 }: Pick<OpenRange, "port" | "sourceAddresses">): Endpoint {
    const dialect = this.#dialect;
    return {
      host: this.#options.host,
      port,
      upgrade: dialect.framing === "websocket" ? dialect : undefined,
      isTls: this.#options.isTls ?? false,
      ...(sourceAddresses > 0 && {
        localAddress: (connection: number) => sourceAddress(connection % sourceAddresses),
      }),
    };
  }

  #presentArrivals(): Arrivals {
    assert(this.#arrivals !== undefined, "arrivals are under way");
    return this.#arrivals;
  }

  #noteReady(device: number): void {
    this.#isReady[device] = 1;
    this.#readyCount += 1;
    this.#readyMs = sharedMs();
    this.#churn?.ready(device);
    this.#openNext();
  }

  #fail(device: number, reason: string): void {
    if (this.#slowReaders?.takesLoss(device)) return;
    if (this.#refusals !== undefined && this.#isReady[device] === 0) {
      this.#connections.close(device);
      this.#refusals.note(device, reason);
      return;
    }
    this.#failure ??= `device ${device}: ${reason}`;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw new Failure(this.#failure);
  }

  async #until(what: string, timeoutMs: number, isSo: () => boolean): Promise<void> {
    const deadlineMs = sharedMs() + timeoutMs;
    while (!isSo()) {
      this.#throwFailure();
      if (sharedMs() > deadlineMs) throw new Failure(`could not ${what} within ${timeoutMs} ms`);
      await sleep(DRAIN_POLL_MS);
    }
  }
}

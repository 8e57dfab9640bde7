/**
 * One generator process's devices: opened, kept, started, measured, drained.
 *
 * A round: circulate ▸ (warm-up) ▸ measure ▸ (window) ▸ closeWindow ▸ finish. After
 * finish nothing is under way, and everything sent has arrived or is lost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { sharedMs } from "../process/clock.js";
import { Circulation } from "./circulation.js";
import { Connections, type Endpoint } from "./connections.js";
import type { DeviceEvents, Dialect, Wire } from "./dialect.js";
import { type Fill, Filling } from "./filling.js";
import { InterlineDialect, type SignIn, type Windows } from "./interline-dialect.js";
import { JetStreamDialect } from "./jetstream-dialect.js";
import { MqttDialect } from "./mqtt-dialect.js";
import { NatsDialect } from "./nats-dialect.js";
import { RawScanner } from "./raw-scanner.js";
import { ReadMemory, type Scanner } from "./reads.js";
import { RedisDialect } from "./redis-dialect.js";
import { RelayDialect } from "./relay-dialect.js";
import { FrameScanner } from "./scanner.js";
import { SocketIoDialect } from "./socket-io-dialect.js";
import { idle, Traffic } from "./traffic.js";
import { XmppDialect, type XmppDomain } from "./xmpp-dialect.js";

export interface GeneratorOptions {
  readonly host: string;
  readonly devices: number;
  readonly payloadBytes: number;
  readonly seed: number;
  /** False for devices that send nothing: counters per pair take the square of their number. */
  readonly countsPairs: boolean;
  readonly unreceiptedPerDeviceMax: number;
  readonly dialect:
    | { readonly name: "relay" | "mqtt" }
    | { readonly name: "nats" | "jetstream" | "socket.io" }
    | { readonly name: "redis"; readonly durability: number }
    | { readonly name: "xmpp"; readonly domain: XmppDomain }
    | { readonly name: "interline"; readonly signIns: readonly SignIn[]; readonly windows: Windows };
}

export interface RoundResult {
  /** Delivered between the two moments given to `finish`. */
  readonly delivered: number;
  /** The generator's own CPU time between measure and closeWindow, and the time that passed. */
  readonly cpuUs: number;
  readonly windowMs: number;
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
  /** Refusals that asked to try again later, which was done. */
  readonly refused: number;
  /** Sends without a receipt at the end; 0 where no receipts are given. */
  readonly unreceipted: number;
  /** Histograms, encoded. */
  readonly deliveryLatency: string;
  readonly receiptLatency: string;
  readonly longestReceiptGapMs: number;
  /** Durability numbers of the receipts in the window. */
  readonly durabilities: readonly number[];
}

/** Connections that are being opened and signed in at one time: below the listen backlog of 512. */
const OPENING_MAX = 200;
const OPEN_TIMEOUT_MS = 60_000;
const FILL_TIMEOUT_MS = 300_000;
const DRAIN_POLL_MS = 5;
/** After everything has arrived: time for what should not arrive. */
const SETTLE_MS = 50;

export class Generator {
  readonly #options: GeneratorOptions;
  readonly #connections: Connections;
  readonly #dialect: Dialect;
  readonly #traffic: Traffic;
  readonly #circulation: Circulation;
  readonly #isReady: Uint8Array;
  #readyCount = 0;
  #nextToOpen = 0;
  #openNext: () => void = () => {};
  #failure: string | undefined;
  #isBusy = false;
  #cpuAtMeasure = process.cpuUsage();
  #measuredAtMs = 0;
  #cpuUs = 0;
  #windowMs = 0;
  /** Counts at the round's start; what earlier rounds lost stays lost. */
  #before = { sent: 0, duplicated: 0, reordered: 0, misdelivered: 0, refused: 0 };
  #lostBefore = 0;

  constructor(options: GeneratorOptions) {
    const { devices } = options;
    this.#options = options;
    this.#isReady = new Uint8Array(devices);
    const memory = new ReadMemory();
    this.#traffic = new Traffic({
      devices,
      ledgerDevices: options.countsPairs ? devices : 0,
      view: memory.view,
      unreceiptedPerDeviceMax: options.unreceiptedPerDeviceMax,
      onReady: (device) => this.#noteReady(device),
      onBroken: (device, reason) => this.#fail(device, reason),
    });
    this.#dialect = newDialect(options, this.#traffic, memory, {
      write: (device, bytes) => this.#connections.write(device, bytes),
    });
    this.#traffic.use(this.#dialect);
    const connections = devices * connectionsPerDevice(this.#dialect);
    this.#connections = new Connections(connections, newScanner(connections, memory, this.#dialect), {
      opened: (connection) => this.#dialect.opened(connection),
      readBegun: () => this.#traffic.tick(),
      readDone: (connection) => this.#traffic.readDone(connection % devices),
      lost: (connection, reason) => this.#fail(connection % devices, reason),
    });
    this.#circulation = new Circulation(this.#traffic, devices, options.seed);
  }

  /** Opens and signs in the devices from `from` to `to`; resolves when all are ready. */
  async open(range: { readonly port: number; readonly from: number; readonly to: number }): Promise<void> {
    const dialect = this.#dialect;
    const endpoint: Endpoint = {
      host: this.#options.host,
      port: range.port,
      upgrade: dialect.framing === "websocket" ? dialect : undefined,
    };
    const wanted = this.#readyCount + range.to - range.from;
    this.#nextToOpen = range.from;
    this.#openNext = () => {
      if (this.#nextToOpen >= range.to) return;
      for (const connection of this.#connectionsOf(this.#nextToOpen++)) {
        this.#connections.open(connection, endpoint);
      }
    };
    for (let i = 0; i < OPENING_MAX; i++) this.#openNext();
    await this.#until("open all connections", OPEN_TIMEOUT_MS, () => this.#readyCount === wanted);
  }

  close(range: { readonly from: number; readonly to: number }): void {
    for (let device = range.from; device < range.to; device++) {
      for (const connection of this.#connectionsOf(device)) this.#connections.close(connection);
      if (this.#isReady[device] === 1) this.#readyCount -= 1;
      this.#isReady[device] = 0;
    }
  }

  /** Where rosters exist: `asker` learns the version of each account's, which a send has to name. */
  async learnRosters(range: {
    readonly asker: number;
    readonly from: number;
    readonly to: number;
  }): Promise<void> {
    const dialect = this.#dialect;
    if (!(dialect instanceof InterlineDialect)) return;
    dialect.askRosters(range.asker, range.from, range.to);
    await this.#until("learn all rosters", OPEN_TIMEOUT_MS, () => {
      return dialect.rostersUnknown(range.from, range.to) === 0;
    });
  }

  /** A round begins: what happens from here on is judged by `finish`. */
  begin(): void {
    this.#throwFailure();
    this.#isBusy = true;
    this.#lostBefore = this.#traffic.ledger.outstanding;
    this.#before = tallyOf(this.#traffic);
    this.#traffic.timeline.clear();
  }

  /** Begins a round in which every device sends `inFlight` messages and each delivery triggers one. */
  circulate(inFlight: number): void {
    this.begin();
    this.#traffic.behaviour = this.#circulation;
    this.#circulation.start(inFlight);
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
    this.#cpuAtMeasure = process.cpuUsage();
    this.#measuredAtMs = sharedMs();
  }

  closeWindow(): void {
    this.#traffic.closeWindow();
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
    this.#circulation.stop();
    await this.#drain(window.drainMs);
    this.#traffic.behaviour = idle;
    this.#isBusy = false;
    this.#throwFailure();
    const { ledger, sendLog, timeline, deliveryLatency, receiptLatency } = this.#traffic;
    const after = tallyOf(this.#traffic);
    return {
      delivered: timeline.countAt(window.toMs) - timeline.countAt(window.fromMs),
      cpuUs: this.#cpuUs,
      windowMs: this.#windowMs,
      sent: after.sent - this.#before.sent,
      lost: ledger.outstanding - this.#lostBefore,
      duplicated: after.duplicated - this.#before.duplicated,
      reordered: after.reordered - this.#before.reordered,
      misdelivered: after.misdelivered - this.#before.misdelivered,
      refused: after.refused - this.#before.refused,
      unreceipted: sendLog.outstanding,
      deliveryLatency: deliveryLatency.encode(),
      receiptLatency: receiptLatency.encode(),
      longestReceiptGapMs: sendLog.longestGapUs / 1000,
      durabilities: [...sendLog.byDurability.keys()],
    };
  }

  /** Pings every open connection while no round keeps it busy. */
  keepAlive(): void {
    if (this.#isBusy) return;
    for (let device = 0; device < this.#options.devices; device++) {
      if (this.#isReady[device] === 1) this.#dialect.ping(device);
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
    return Array.from({ length: connectionsPerDevice(this.#dialect) }, (_, k) => device + k * devices);
  }

  #noteReady(device: number): void {
    this.#isReady[device] = 1;
    this.#readyCount += 1;
    this.#openNext();
  }

  #fail(device: number, reason: string): void {
    this.#failure ??= `device ${device}: ${reason}`;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw new Error(this.#failure);
  }

  async #until(what: string, timeoutMs: number, isSo: () => boolean): Promise<void> {
    const deadlineMs = sharedMs() + timeoutMs;
    while (!isSo()) {
      this.#throwFailure();
      if (sharedMs() > deadlineMs) throw new Error(`could not ${what} within ${timeoutMs} ms`);
      await sleep(DRAIN_POLL_MS);
    }
  }
}

function connectionsPerDevice(dialect: Dialect): number {
  return dialect.connectionsPerDevice ?? 1;
}

function tallyOf({ ledger, sendLog }: Traffic) {
  const { sentCount, duplicated, reordered, misdelivered } = ledger;
  return { sent: sentCount, duplicated, reordered, misdelivered, refused: sendLog.refusedCount };
}

function newScanner(devices: number, memory: ReadMemory, dialect: Dialect): Scanner {
  return dialect.framing === "raw"
    ? new RawScanner(devices, memory, dialect)
    : new FrameScanner(devices, memory, dialect);
}

function newDialect(
  options: GeneratorOptions,
  events: DeviceEvents,
  memory: ReadMemory,
  wire: Wire,
): Dialect {
  const { devices, dialect, payloadBytes } = options;
  const common = { events, wire, devices, payloadBytes };
  switch (dialect.name) {
    case "relay":
      return new RelayDialect(events, wire, payloadBytes);
    case "mqtt":
      return new MqttDialect(common);
    case "nats":
      return new NatsDialect(common);
    case "jetstream":
      return new JetStreamDialect(common);
    case "redis":
      return new RedisDialect({ ...common, durability: dialect.durability });
    case "socket.io":
      return new SocketIoDialect(common);
    case "xmpp":
      return new XmppDialect({ ...common, domain: dialect.domain });
    case "interline": {
      const { signIns, windows } = dialect;
      return new InterlineDialect({ events, wire, view: memory.view, payloadBytes, signIns, windows });
    }
  }
}

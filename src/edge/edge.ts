/**
 * The edge: sockets in front of the path. It upgrades, has the first message
 * checked as a hello, signs in, hands every later message to the path as it
 * came, and ends connections that are silent, stalled, or no longer wanted.
 *
 *   socket ─▶ upgrade ─▶ hello ─▶ signIn ─▶ enter ─▶ receive, receive, …
 *
 * Sign-ins are begun a few per turn of the loop (sign-in-queue.ts), so that those
 * who are in do not wait for thousands who come at once.
 *
 * Invariants. It knows no frame but hello and error. Once a connection is
 * attached, a message costs one field write and one call. Every table has a
 * bound: connections, connections that have not signed in, sockets that have not
 * even sent a whole HTTP head, and what one source address has of the latter two.
 *
 * It does not read what a device sends, keep anything of it, or decide who may
 * sign in: `EdgeHandlers` does, and node.ts connects it.
 *
 * Deviations that come with the addon: a message above messageBytesMax and a
 * violation of RFC 6455 close without a close frame.
 */
import { randomInt } from "node:crypto";
import { limits as defaultLimits } from "../rules/limits.js";
import type { SignedIn } from "../rules/sign-in.js";
import { CodedError } from "../wire/coded-error.js";
import type { CodeName } from "../wire/codes.js";
import { decodeHello, type HelloFrame } from "../wire/hello.js";
import { SUBPROTOCOL } from "../wire/protocol.js";
import { Deadlines } from "./deadlines.js";
import { type HttpHandlers, refuseWith, routeHttp } from "./http.js";
import { type Attached, type Connection, Link, type Socket, stages } from "./link.js";
import { createApp, listenOn } from "./listen.js";
import {
  type HttpRequest,
  type HttpResponse,
  type ListenSocket,
  loadNative,
  type Native,
  type SocketContext,
  type TemplatedApp,
} from "./native.js";
import { addressKey, Newcomers } from "./newcomers.js";
import { SignInQueue } from "./sign-in-queue.js";
import { LinkTable } from "./table.js";
import { refuseUpgrade, type UpgradeRefusal } from "./upgrade.js";

export type { Connection } from "./link.js";
export { platformAdvice } from "./native.js";

/** What the edge asks of the rest of the node. */
export interface EdgeHandlers extends HttpHandlers {
  /** Who the token speaks for; throws CodedError for a token that is not accepted. */
  signIn(token: string): Promise<SignedIn>;
  /** Attaches the connection to the path; welcome has been sent when it resolves, within the turn of the attach. */
  enter(signedIn: SignedIn, connection: Connection, hello: HelloFrame): Promise<Entered>;
  /** One message, valid until this returns; false when it could not be taken. */
  receive(slot: number, message: ArrayBuffer): boolean;
  /** A connection whose `send` answered 0 has room again. */
  writable(slot: number): void;
  /** The connection is gone. Idempotent; ignored if it is no longer the slot's. */
  detach(slot: number, connection: Connection): void;
  /**
   * Called at each accept, upgrade, hello, sign-in and leaving, of which thousands may follow one another: what has
   * waited long is routed now. Never called within a connection's `send` or `end`.
   */
  turnIfLate(): void;
}

export type Entered =
  | { readonly slot: number }
  | { readonly refused: CodeName; readonly retryAfterMs: number };

export type EdgeLimits = { readonly [Name in (typeof limitNames)[number]]: number };
const limitNames = [
  "messageBytesMax",
  "tokenBytesMax",
  "backpressureBytesMax",
  "helloTimeoutMs",
  "welcomeTimeoutMs",
  "silenceMs",
  "stallMs",
  "stallBytesMin",
  "endingMs",
  "edgeSweepMs",
  "connectionsMax",
  "headConnectionsMax",
  "headReserveMax",
  "newcomersPerAddressMax",
  "signInsPerTurn",
  "unauthenticatedConnectionsMax",
  "drainRetryMinMs",
  "drainRetryMaxMs",
  "drainMs",
] as const;

export interface EdgeOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly limits?: Partial<EdgeLimits>;
}

export interface EdgeStats {
  readonly connections: number;
  readonly attached: number;
  readonly unauthenticated: number;
  readonly backlogged: number;
  /** Told to go, with bytes before the farewell still to be taken. */
  readonly ending: number;
  /** Sockets still in HTTP. */
  readonly heads: number;
  readonly opened: number;
  readonly headsRefused: number;
  /** Closed at accept because their address had as many newcomers as it may. */
  readonly newcomersRefused: number;
  readonly upgradesRefused: ReadonlyMap<UpgradeRefusal["reason"], number>;
  readonly ended: ReadonlyMap<CodeName, number>;
}

export interface Edge {
  /** `ws://host:port` as a client would dial it. */
  readonly url: string;
  readonly port: number;
  stats(): EdgeStats;
  /** Takes no new connection from now on; those there are live on. Idempotent. */
  refuseNew(): void;
  /** Tells every device to come back later, waits a bounded time for it to take what waits, and closes. */
  stop(): Promise<void>;
}

const WEB_SOCKET_PATH = "/";

/** Throws CodedError `unsupportedPlatform`, `badConfiguration` (TLS files) or `cannotListen`. */
export async function startEdge(options: EdgeOptions, handlers: EdgeHandlers): Promise<Edge> {
  const native = await loadNative();
  const edge = new SocketEdge(native, options, handlers);
  await edge.listen();
  return edge;
}

class SocketEdge implements Edge {
  port = 0;
  readonly #native: Native;
  readonly #options: EdgeOptions;
  readonly #handlers: EdgeHandlers;
  readonly #limits: EdgeLimits;
  readonly #table: LinkTable;
  readonly #newcomers: Newcomers;
  readonly #signIns: SignInQueue;
  readonly #app: TemplatedApp;
  readonly #sweep: NodeJS.Timeout;
  readonly #upgradesRefused = new Map<UpgradeRefusal["reason"], number>();
  readonly #turnIfLate = () => this.#handlers.turnIfLate();
  #listenSocket: ListenSocket | undefined;
  #draining = false;
  #stopped: Promise<void> | undefined;
  #heads = 0;
  #headsRefused = 0;
  #newcomersRefused = 0;
  #opened = 0;

  constructor(native: Native, options: EdgeOptions, handlers: EdgeHandlers) {
    this.#native = native;
    this.#options = options;
    this.#handlers = handlers;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#table = new LinkTable({
      sweepMs: this.#limits.edgeSweepMs,
      endingMs: this.#limits.endingMs,
      detach: (link) => handlers.detach(link.slot, link),
      settled: (link) => this.#newcomers.settled(link.address),
    });
    this.#newcomers = new Newcomers({
      perAddressMax: this.#limits.newcomersPerAddressMax,
      sweepMs: this.#limits.edgeSweepMs,
    });
    this.#signIns = new SignInQueue(this.#table.signingIn, this.#limits.signInsPerTurn, (link, hello) => {
      this.#turnIfLate();
      void this.#signIn(link, hello);
    });
    this.#app = createApp(native, options.tls);
    this.#boundHeads();
    this.#routeWebSocket();
    routeHttp(this.#app, WEB_SOCKET_PATH, handlers);
    const deadlines = new Deadlines(this.#table, this.#limits);
    this.#sweep = setInterval(() => {
      deadlines.sweep();
      this.#newcomers.advance();
    }, this.#limits.edgeSweepMs);
    this.#sweep.unref();
  }

  get url(): string {
    const { host, tls } = this.#options;
    const name = host.includes(":") ? `[${host}]` : host;
    return `${tls === undefined ? "ws" : "wss"}://${name}:${this.port}`;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    try {
      this.#listenSocket = await listenOn(this.#native, this.#app, { host, port });
      this.port = this.#native.us_socket_local_port(this.#listenSocket as never);
    } catch (error) {
      clearInterval(this.#sweep);
      throw error;
    }
  }

  stats(): EdgeStats {
    const { links, waiting, backlogs, ending, ended } = this.#table;
    return {
      connections: links.length,
      attached: links.length - waiting.size,
      unauthenticated: waiting.size,
      backlogged: backlogs.size,
      ending: ending.size,
      heads: this.#heads,
      opened: this.#opened,
      headsRefused: this.#headsRefused,
      newcomersRefused: this.#newcomersRefused,
      upgradesRefused: this.#upgradesRefused,
      ended,
    };
  }

  refuseNew(): void {
    this.#draining = true;
    if (this.#listenSocket === undefined) return;
    this.#native.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = undefined;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.refuseNew();
    const { drainRetryMinMs, drainRetryMaxMs, drainMs, edgeSweepMs } = this.#limits;
    for (const link of [...this.#table.links]) {
      link.end("draining", randomInt(drainRetryMinMs, drainRetryMaxMs + 1));
    }
    const turns = Math.ceil(drainMs / edgeSweepMs);
    for (let turn = 0; turn < turns && this.#table.ending.size > 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, edgeSweepMs));
    }
    for (const link of [...this.#table.ending]) link.cut();
    clearInterval(this.#sweep);
    // A turn for the kernel to take the farewells: closing the app drops what the native side still holds.
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.#app.close();
  }

  /**
   * A socket counts as a head from accept until it is upgraded or closed. It is closed at once when there are too
   * many of them, by themselves, with all connections, or from its address.
   */
  #boundHeads(): void {
    const { headConnectionsMax, headReserveMax, connectionsMax } = this.#limits;
    const bound = (response: HttpResponse, change: number) => {
      this.#turnIfLate();
      this.#heads += change;
      if (change < 0) return;
      const room = Math.min(headConnectionsMax, connectionsMax + headReserveMax - this.#table.heldCount);
      if (this.#heads > room) this.#headsRefused++;
      else if (this.#newcomers.accept(addressKey(response.getRemoteAddress()))) return;
      else this.#newcomersRefused++;
      response.close();
    };
    this.#app.filter(bound);
  }

  #routeWebSocket(): void {
    this.#app.ws<Attached>(WEB_SOCKET_PATH, {
      compression: this.#native.DISABLED,
      maxPayloadLength: this.#limits.messageBytesMax,
      maxBackpressure: this.#limits.backpressureBytesMax,
      closeOnBackpressureLimit: true,
      // Deadlines of our own (deadlines.ts); 0 also gives an ended socket the addon's shortest margin.
      idleTimeout: 0,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => {
        this.#heads--;
        this.#opened++;
        const { link } = socket as Socket;
        link.socket = socket as Socket;
        this.#newcomers.upgraded(link.address);
        this.#table.opened(link);
      },
      message: (socket, message, isBinary) => {
        const { link } = socket as Socket;
        if (link.stage === stages.attached && isBinary) {
          link.lastSeenTick = this.#table.tick;
          if (!this.#handlers.receive(link.slot, message)) link.end("overloaded", 1_000);
        } else {
          this.#unusual(link, message, isBinary);
        }
      },
      drain: (socket) => {
        const { link } = socket as Socket;
        if (link.stage === stages.attached) this.#handlers.writable(link.slot);
        else if (link.stage === stages.ending && link.waitingBytes() === 0) link.sayFarewell();
      },
      // The addon has answered with a pong, which waits like everything else if the peer does not read.
      ping: (socket) => {
        const { link } = socket as Socket;
        if (link.waitingBytes() > 0) link.noteBacklog();
      },
      close: (socket) => {
        const { link } = socket as Socket;
        // Not now: what is sent to a peer that has gone may tell so in the midst of the path's work.
        if (link.stage !== stages.ending) queueMicrotask(this.#turnIfLate);
        this.#table.closed(link);
      },
    });
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: SocketContext): void {
    this.#turnIfLate();
    const refusal = refuseUpgrade(
      {
        upgrade: request.getHeader("upgrade"),
        connection: request.getHeader("connection"),
        version: request.getHeader("sec-websocket-version"),
        protocols: request.getHeader("sec-websocket-protocol"),
      },
      {
        draining: this.#draining,
        connections: this.#table.heldCount,
        connectionsMax: this.#limits.connectionsMax,
        unauthenticated: this.#table.waiting.size,
        unauthenticatedMax: this.#limits.unauthenticatedConnectionsMax,
      },
    );
    if (refusal !== undefined) {
      this.#upgradesRefused.set(refusal.reason, (this.#upgradesRefused.get(refusal.reason) ?? 0) + 1);
      refuseWith(response, refusal);
      return;
    }
    const address = addressKey(response.getRemoteAddress());
    const attached: Attached = { link: new Link(this.#table, address) };
    response.upgrade(attached, request.getHeader("sec-websocket-key"), SUBPROTOCOL, "", context);
  }

  /** Any message but a binary one of an attached connection. */
  #unusual(link: Link, message: ArrayBuffer, isBinary: boolean): void {
    if (link.stage > stages.attached) return;
    if (!isBinary) link.end("badFrame", 0);
    else if (link.stage === stages.signingIn) link.end("helloExpected", 0);
    else this.#hello(link, message);
  }

  #hello(link: Link, message: ArrayBuffer): void {
    this.#turnIfLate();
    try {
      const hello = decodeHello(new Uint8Array(message), this.#limits.tokenBytesMax);
      link.stage = stages.signingIn;
      this.#signIns.add(link, hello);
    } catch (error) {
      endWith(link, error);
    }
  }

  /** A failure without a code becomes an unhandled rejection, which ends the process. */
  async #signIn(link: Link, hello: HelloFrame): Promise<void> {
    try {
      const signedIn = await this.#handlers.signIn(hello.token);
      if (link.stage !== stages.signingIn) return;
      const entered = await this.#handlers.enter(signedIn, link, hello);
      if ("refused" in entered) link.end(entered.refused, entered.retryAfterMs);
      else if (link.stage === stages.signingIn) this.#table.attached(link, entered.slot);
      else this.#handlers.detach(entered.slot, link);
    } catch (error) {
      endWith(link, error);
    }
  }
}

/** Ends the connection with the failure's code; one without a code is our own bug and goes on up. */
function endWith(link: Link, error: unknown): void {
  if (!(error instanceof CodedError)) throw error;
  link.end(error.code, error.retryAfterMs);
}

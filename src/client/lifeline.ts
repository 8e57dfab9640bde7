/**
 * Keeps a connection to a node up, from connect() to the end: attempts, the pauses between them, fresh tokens.
 *
 *   idle ──connect()──▶ connecting ──welcome──▶ catchingUp ──live──▶ live
 *                          ▲  │                     │                 │
 *                          │  └─────────────┬───────┴─────────────────┘
 *                          │                ▼ an end
 *                          └─────────── waiting          closed, from anywhere: close() was called, or the end is for good
 *
 * What each end means: client.ts (Close codes). Who lives on it is told everything in the order in which it happens.
 */
import type { WelcomeBody } from "../wire/protocol.js";
import type { ServerFrame } from "../wire/server-frames.js";
import { BackOff } from "./back-off.js";
import { Connection } from "./connection.js";
import { defaultTransport } from "./default-transport.js";
import type { Emitter } from "./emitter.js";
import { InterlineError } from "./errors.js";
import type { Transport } from "./transport.js";
import type { ClientEvents, ClientOptions, ClientState } from "./types.js";

const CONNECT_TIMEOUT_MS = 10_000;
/** Longer than a node takes to welcome or to refuse (limits.ts: welcomeTimeoutMs). */
const WELCOME_TIMEOUT_MS = 25_000;

/** What is told and asked of those who use the connection. */
export interface Tenant {
  /** The first message of an attempt. */
  hello(token: string): Uint8Array;
  welcomed(welcome: WelcomeBody): void;
  frame(frame: ServerFrame): void;
  /** All frames of one message have been given to `frame`. */
  messageEnded(): void;
  /** The frames of the next message, together at most `bytesMax`. */
  collect(bytesMax: number): readonly Uint8Array[];
  /** An attempt or a connection has ended. */
  cut(): void;
  /** … and another will be made. */
  pausing(): void;
  /** close() was called, and the connection may still be ending. */
  closing(): void;
  /** Nothing comes any more. */
  ended(reason: InterlineError): void;
}

export type LifelineOptions = Pick<
  ClientOptions,
  "url" | "token" | "transport" | "backOff" | "connectTimeoutMs" | "welcomeTimeoutMs"
>;

export class Lifeline {
  readonly #options: LifelineOptions;
  readonly #emitter: Emitter<ClientEvents>;
  readonly #tenant: Tenant;
  readonly #backOff: BackOff;
  #transport: Transport | undefined;
  #connection: Connection | undefined;
  #state: ClientState = "idle";
  #isClosing = false;
  #isTokenRefreshed = false;
  #attemptTimer: ReturnType<typeof setTimeout> | undefined;
  /** Calls of connect() that wait for a welcome. */
  readonly #waiters: { resolve(welcome: WelcomeBody): void; reject(error: InterlineError): void }[] = [];
  /** Calls of close() that wait for the end. */
  readonly #enders: (() => void)[] = [];

  constructor(options: LifelineOptions, emitter: Emitter<ClientEvents>, tenant: Tenant) {
    this.#options = options;
    this.#emitter = emitter;
    this.#tenant = tenant;
    this.#backOff = new BackOff(options.backOff);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** close() was called, or the end has come. */
  get isOver(): boolean {
    return this.#isClosing || this.#state === "closed";
  }

  /** What the server said at sign-in; undefined while there is no connection. */
  get welcome(): WelcomeBody | undefined {
    return this.#connection?.welcome;
  }

  /** Whether the socket takes more without growing its buffer too far. */
  get hasRoom(): boolean {
    return this.#connection?.hasRoom ?? false;
  }

  /** There is something to collect. */
  requestFlush(): void {
    this.#connection?.requestFlush();
  }

  /** Resolves with the (next) welcome; rejects when the end comes before. */
  connect(): Promise<WelcomeBody> {
    const { welcome } = this;
    if (welcome !== undefined) return Promise.resolve(welcome);
    if (this.isOver) return Promise.reject(new InterlineError("clientClosed"));
    if (this.#state === "idle") void this.#attempt();
    const welcomed = new Promise<WelcomeBody>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    // Nobody has to wait for it: the end is also told by `closed`.
    welcomed.catch(() => undefined);
    return welcomed;
  }

  /** Everything that was queued has come. */
  live(): void {
    this.#backOff.reset();
    this.#setState("live");
  }

  /** Resolves when the end has come. */
  close(): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    const ended = new Promise<void>((resolve) => this.#enders.push(resolve));
    if (this.#isClosing) return ended;
    this.#isClosing = true;
    this.#tenant.closing();
    if (this.#connection === undefined) this.#finish(undefined);
    else this.#connection.close(new InterlineError("clientClosed"));
    return ended;
  }

  async #attempt(): Promise<void> {
    const { url, connectTimeoutMs, welcomeTimeoutMs } = this.#options;
    this.#setState("connecting");
    let token: string;
    try {
      this.#transport ??= this.#options.transport ?? (await defaultTransport());
      token = await this.#options.token();
    } catch (cause) {
      this.#attemptEnded(new InterlineError("tokenUnavailable", { cause }));
      return;
    }
    if (this.#isClosing) return;
    try {
      this.#connection = new Connection({
        transport: this.#transport,
        url,
        hello: this.#tenant.hello(token),
        connectTimeoutMs: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        welcomeTimeoutMs: welcomeTimeoutMs ?? WELCOME_TIMEOUT_MS,
        onWelcome: (welcome) => this.#welcomed(welcome),
        onFrame: (frame) => this.#tenant.frame(frame),
        onMessageEnd: () => this.#tenant.messageEnded(),
        collect: (bytesMax) => this.#tenant.collect(bytesMax),
        onEnd: (error) => this.#attemptEnded(error),
      });
    } catch (cause) {
      this.#finish(new InterlineError("badArgument", { text: "the url is not ws:// or wss://", cause }));
    }
  }

  #welcomed(welcome: WelcomeBody): void {
    this.#isTokenRefreshed = false;
    this.#tenant.welcomed(welcome);
    this.#setState("catchingUp");
    this.#emitter.emit("welcome", welcome);
    for (const { resolve } of this.#waiters.splice(0)) resolve(welcome);
  }

  #attemptEnded(error: InterlineError): void {
    this.#connection = undefined;
    this.#tenant.cut();
    const isTokenRefused = error.code === "tokenInvalid" || error.code === "tokenExpired";
    if (this.#isClosing) this.#finish(undefined);
    else if (error.retry === "never" || (error.retry === "repair" && !isTokenRefused)) this.#finish(error);
    else if (isTokenRefused && !this.#isTokenRefreshed) {
      this.#isTokenRefreshed = true;
      this.#attemptIn(0, error);
    } else this.#attemptIn(error.retryAfterMs + this.#backOff.nextMs(), error);
  }

  #attemptIn(retryInMs: number, error: InterlineError): void {
    this.#tenant.pausing();
    this.#setState("waiting");
    this.#emitter.emit("disconnected", { error, retryInMs });
    // A listener may have closed the client.
    if (this.#isClosing) return;
    this.#attemptTimer = setTimeout(() => void this.#attempt(), retryInMs);
  }

  #finish(error: InterlineError | undefined): void {
    clearTimeout(this.#attemptTimer);
    this.#connection = undefined;
    const reason = error ?? new InterlineError("clientClosed");
    this.#setState("closed");
    this.#tenant.ended(reason);
    for (const { reject } of this.#waiters.splice(0)) reject(reason);
    this.#emitter.emit("closed", error === undefined ? {} : { error });
    for (const resolve of this.#enders.splice(0)) resolve();
  }

  #setState(state: ClientState): void {
    if (this.#state === state || this.#state === "closed") return;
    this.#state = state;
    this.#emitter.emit("state", state);
  }
}

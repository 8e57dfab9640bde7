/**
 * One connection attempt and, if it is welcomed, the connection: from the open
 * socket to its one end. It decodes what comes in, puts all that is written in
 * one turn into one message, pings, and notices a dead peer.
 *
 *   opening ──open: hello──▶ greeting ──welcome──▶ welcomed ──▶ ended
 *
 * Invariants. `onEnd` is called exactly once, and nothing after it. Nothing but
 * hello is written before welcome. It does not reconnect: lifeline.ts does.
 */
import { concatBytes } from "../base/bytes.js";
import { encodeClientFrame } from "../wire/client-frames.js";
import { CodedError } from "../wire/coded-error.js";
import { closeCode } from "../wire/codes.js";
import { MsgpackReader } from "../wire/msgpack.js";
import { SUBPROTOCOL, type WelcomeBody } from "../wire/protocol.js";
import { readServerFrame, type ServerFrame } from "../wire/server-frames.js";
import { errorOfNumber, InterlineError } from "./errors.js";
import type { Transport, TransportSocket } from "./transport.js";

/** While more than this waits in the socket nothing is added to it. */
const BUFFERED_BYTES_MAX = 1024 * 1024;
const BUFFERED_RETRY_MS = 5;
/** After our own close the peer has this long to answer. */
const CLOSE_TIMEOUT_MS = 1_000;
const NORMAL_CLOSE = 1000;

export interface ConnectionOptions {
  readonly transport: Transport;
  readonly url: string;
  /** The first message. */
  readonly hello: Uint8Array;
  /** From the attempt to an open socket. */
  readonly connectTimeoutMs: number;
  /** From the open socket to welcome. */
  readonly welcomeTimeoutMs: number;
  readonly onWelcome: (body: WelcomeBody) => void;
  readonly onFrame: (frame: ServerFrame) => void;
  /** All frames of one message have been given to onFrame. */
  readonly onMessageEnd: () => void;
  /** The frames of the next message, together at most `bytesMax`; none when there is nothing to write. */
  readonly collect: (bytesMax: number) => readonly Uint8Array[];
  readonly onEnd: (error: InterlineError) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: TransportSocket;
  #welcome: WelcomeBody | undefined;
  #ended = false;
  #flushAsked = false;
  #error: InterlineError | undefined;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #bufferTimer: ReturnType<typeof setTimeout> | undefined;
  /** Runs while what came with welcome, and right behind it, waits. */
  #greetingTimer: ReturnType<typeof setTimeout> | undefined;
  #receivedMs = 0;
  #sentMs = 0;
  #pingedMs = 0;
  #nonce = 0;

  /** Begins to connect; throws what the transport throws for an impossible URL. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#socket = options.transport.connect(options.url, SUBPROTOCOL);
    this.#socket.onopen = () => {
      this.#socket.send(options.hello);
      this.#awaitUntil(options.welcomeTimeoutMs);
    };
    this.#socket.onmessage = (bytes) => this.#message(bytes);
    this.#socket.onclose = (code, reason) => this.#closed(code, reason);
    this.#awaitUntil(options.connectTimeoutMs);
  }

  /** Gives the attempt up after so long, unless it comes a step further. */
  #awaitUntil(ms: number): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = setTimeout(
      () => this.#giveUp(new InterlineError("connectTimeout"), NORMAL_CLOSE),
      ms,
    );
  }

  /** What the server said; undefined before. */
  get welcome(): WelcomeBody | undefined {
    return this.#welcome;
  }

  /** Whether the socket takes more without growing its buffer too far. */
  get hasRoom(): boolean {
    return this.#socket.bufferedAmount <= BUFFERED_BYTES_MAX;
  }

  /** Asks for a flush when the running piece of JavaScript has ended: all it writes shares a message. */
  requestFlush(): void {
    if (this.#flushAsked || this.#welcome === undefined || this.#ended) return;
    this.#flushAsked = true;
    queueMicrotask(() => {
      this.#flushAsked = false;
      this.flush();
    });
  }

  /** Writes what `collect` gives, message by message, until the socket's buffer is full. */
  flush(): void {
    if (this.#welcome === undefined || this.#ended || this.#error !== undefined) return;
    while (this.hasRoom) {
      const frames = this.#options.collect(this.#welcome.messageBytesMax);
      if (frames.length === 0) return;
      this.#write(frames.length === 1 ? (frames[0] as Uint8Array) : concatBytes(frames));
    }
    // A WebSocket does not say when its buffer has drained.
    this.#bufferTimer ??= setTimeout(() => {
      this.#bufferTimer = undefined;
      this.flush();
    }, BUFFERED_RETRY_MS);
  }

  /** Flushes and closes; onEnd is called with `error` when the peer has answered, or soon. */
  close(error: InterlineError): void {
    this.flush();
    this.#giveUp(error, NORMAL_CLOSE);
  }

  #write(bytes: Uint8Array): void {
    this.#sentMs = performance.now();
    this.#socket.send(bytes);
  }

  #message(bytes: Uint8Array): void {
    if (this.#ended || this.#error !== undefined) return;
    this.#receivedMs = performance.now();
    try {
      const reader = new MsgpackReader(bytes);
      while (!reader.atEnd) this.#frame(readServerFrame(reader));
    } catch (cause) {
      if (!(cause instanceof CodedError)) throw cause;
      this.#giveUp(new InterlineError("badMessage", { cause }), closeCode("badFrame"));
    }
    if (this.#greetingTimer === undefined) this.#options.onMessageEnd();
  }

  #frame(frame: ServerFrame): void {
    if (frame.kind === "error") {
      // The server closes next. Its close frame would say the code too, but not how long to wait.
      this.#error ??= errorOfNumber(frame.code, { retryAfterMs: frame.retryAfterMs, text: frame.message });
      this.#stopTimers();
      this.#closeTimer ??= setTimeout(
        () => this.#giveUp(this.#error as InterlineError, NORMAL_CLOSE),
        CLOSE_TIMEOUT_MS,
      );
    } else if (frame.kind === "welcome") {
      this.#welcomed(frame.body);
    } else if (this.#welcome !== undefined) {
      this.#options.onFrame(frame);
    }
  }

  #welcomed(body: WelcomeBody): void {
    if (this.#welcome !== undefined) return;
    this.#welcome = body;
    clearTimeout(this.#connectTimer);
    this.#sentMs = this.#receivedMs;
    const tickMs = Math.max(1, Math.floor(body.silenceMs / 3));
    this.#pingTimer = setInterval(() => this.#checkLife(tickMs), tickMs);
    // What comes meanwhile waits until those whom welcome lets go on have had time to listen.
    this.#greetingTimer = setTimeout(() => this.#greeted(), 0);
    this.#options.onWelcome(body);
    this.requestFlush();
  }

  #greeted(): void {
    this.#greetingTimer = undefined;
    this.#options.onMessageEnd();
  }

  /**
   * Both sides must hear something within silenceMs. A ping goes out when either
   * direction was quiet for a third of it; no sign of life for another third
   * after the ping means that the peer is gone.
   */
  #checkLife(tickMs: number): void {
    const nowMs = performance.now();
    const unanswered = this.#pingedMs > this.#receivedMs;
    if (unanswered && nowMs - this.#pingedMs >= tickMs * 0.9) {
      this.#giveUp(new InterlineError("connectionLost", { text: "no sign of life" }), NORMAL_CLOSE);
      return;
    }
    if (Math.max(nowMs - this.#receivedMs, nowMs - this.#sentMs) < tickMs * 0.9) return;
    this.#pingedMs = nowMs;
    this.#nonce += 1;
    this.#write(encodeClientFrame({ kind: "ping", nonce: this.#nonce }));
  }

  /** Ends from our side. A peer that does not answer the close is not waited for. */
  #giveUp(error: InterlineError, code: number): void {
    if (this.#ended) return;
    this.#error ??= error;
    this.#stopTimers();
    this.#socket.close(code, "");
    clearTimeout(this.#closeTimer);
    this.#closeTimer = setTimeout(() => this.#end(), CLOSE_TIMEOUT_MS);
  }

  #closed(code: number, reason: string): void {
    this.#error ??=
      code > 4000
        ? errorOfNumber(code - 4000, { text: reason })
        : new InterlineError("connectionLost", { text: reason || `close code ${code}` });
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopTimers();
    clearTimeout(this.#closeTimer);
    if (this.#greetingTimer !== undefined) {
      clearTimeout(this.#greetingTimer);
      this.#greeted();
    }
    this.#options.onEnd(this.#error ?? new InterlineError("connectionLost"));
  }

  #stopTimers(): void {
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#bufferTimer);
    clearInterval(this.#pingTimer);
  }
}

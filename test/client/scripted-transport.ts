/**
 * A transport whose other end is the test: it sees what the client wrote,
 * message by message, and says what comes back. No socket, no time of its own.
 */
import { concatBytes } from "../../src/base/bytes.js";
import type { Transport, TransportSocket } from "../../src/client/client.js";
import { limits } from "../../src/rules/limits.js";
import { type ClientFrame, decodeClientMessage } from "../../src/wire/client-frames.js";
import type { CodeName } from "../../src/wire/codes.js";
import { closeCode, codes } from "../../src/wire/codes.js";
import { encodeWelcome } from "../../src/wire/control.js";
import type { WelcomeBody } from "../../src/wire/protocol.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import type { PlainServerFrame } from "../../src/wire/server-frames.js";

export class ScriptedTransport implements Transport {
  readonly sockets: ScriptedSocket[] = [];

  connect(url: string, subprotocol: string): TransportSocket {
    const socket = new ScriptedSocket(url, subprotocol);
    this.sockets.push(socket);
    return socket;
  }

  /** The newest socket. */
  get socket(): ScriptedSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("the client has not connected");
    return socket;
  }
}

export class ScriptedSocket implements TransportSocket {
  onopen: TransportSocket["onopen"];
  onmessage: TransportSocket["onmessage"];
  onclose: TransportSocket["onclose"];
  bufferedAmount = 0;
  readonly url: string;
  readonly subprotocol: string;
  /** Messages the client wrote, oldest first. */
  readonly written: Uint8Array[] = [];
  /** The code the client closed with. */
  closedWith: number | undefined;
  /** Whether a close of the client is answered at once. */
  answersClose = true;
  #ended = false;

  constructor(url: string, subprotocol: string) {
    this.url = url;
    this.subprotocol = subprotocol;
  }

  send(bytes: Uint8Array): void {
    this.written.push(bytes);
  }

  close(code: number): void {
    this.closedWith = code;
    if (this.answersClose) queueMicrotask(() => this.end(code));
  }

  open(): void {
    this.onopen?.();
  }

  /** One message made of these frames. */
  receive(...frames: (PlainServerFrame | Uint8Array)[]): void {
    this.onmessage?.(
      concatBytes(frames.map((frame) => (frame instanceof Uint8Array ? frame : encodeServerFrame(frame)))),
    );
  }

  end(code: number, reason = ""): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onclose?.(code, reason);
  }

  /** Ends the connection as a node does: an error frame, then the close code. */
  refuse(code: CodeName, retryAfterMs = 0): void {
    this.receive({ kind: "error", code: codes[code].code, retryAfterMs, message: "" });
    this.end(closeCode(code));
  }

  /** Opens, takes hello, welcomes. */
  welcome(body: Partial<WelcomeBody> = {}): void {
    this.open();
    this.receive(encodeWelcome(welcomeBody(body)));
  }

  /** What the client wrote since the last call, one array of frames per message. */
  take(): ClientFrame[][] {
    return this.written.splice(0).map((message) => [...decodeClientMessage(message, limits)]);
  }
}

export const ownDevice = Uint8Array.from([0, 1, ...new Array(16).fill(0xaa), 0, 1]);

export function welcomeBody(body: Partial<WelcomeBody> = {}): WelcomeBody {
  return {
    device: ownDevice,
    serverTimeMs: 1_760_000_000_000,
    durability: "disk",
    position: 0,
    dedupWindowMs: limits.dedupWindowMs,
    dedupWindowCount: limits.dedupWindowCount,
    payloadBytesMax: limits.payloadBytesMax,
    messageBytesMax: limits.messageBytesMax,
    accountsPerSendMax: limits.accountsPerSendMax,
    windowEntries: limits.windowEntriesDefault,
    windowBytes: limits.windowBytesDefault,
    silenceMs: limits.silenceMs,
    ...body,
  };
}

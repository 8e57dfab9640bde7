/**
 * A WebSocket client (RFC 6455) on node:net and node:tls, for Node 20, which has
 * no global WebSocket. Loaded only there (default-transport.ts); never part of a bundle
 * for browsers.
 *
 * It offers one subprotocol and no extension, writes each message as one masked
 * frame, and reads fragmented messages up to a bound. Bad bytes from the server
 * end the socket with close code 1002, a message over the bound with 1009.
 *
 * It does not follow redirects, use proxies, or offer compression (ciphertext
 * does not compress).
 */
import { createHash, randomBytes, randomFillSync } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Transport, TransportSocket } from "./transport.js";
import { encodeWebSocketFrame, opcodes, type WebSocketEvent, WebSocketReader } from "./websocket-frames.js";

const HEAD_BYTES_MAX = 16 * 1024;
/** After a close frame was written the peer has this long to end the connection. */
const CLOSE_TIMEOUT_MS = 1_000;
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const closeCodes = { normal: 1000, protocolError: 1002, noCode: 1005, abnormal: 1006 } as const;

/** `tls` is passed to node:tls for wss URLs: a private authority's certificate, for instance. */
export function nodeTransport(options: { readonly tls?: ConnectionOptions } = {}): Transport {
  return {
    connect: (url, subprotocol) => new NodeSocket(new URL(url), subprotocol, options.tls ?? {}),
  };
}

class NodeSocket implements TransportSocket {
  onopen: TransportSocket["onopen"];
  onmessage: TransportSocket["onmessage"];
  onclose: TransportSocket["onclose"];
  readonly #socket: Socket;
  readonly #key = randomBytes(16).toString("base64");
  readonly #subprotocol: string;
  readonly #reader = new WebSocketReader();
  #head = Buffer.alloc(0);
  #state: "opening" | "open" | "closing" | "closed" = "opening";
  #closeCode: number = closeCodes.abnormal;
  #closeReason = "";
  #closeTimer: NodeJS.Timeout | undefined;

  constructor(url: URL, subprotocol: string, tls: ConnectionOptions) {
    if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError("the URL is not ws: or wss:");
    const secure = url.protocol === "wss:";
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port) || (secure ? 443 : 80);
    this.#subprotocol = subprotocol;
    this.#socket = secure
      ? connectTls({ servername: /[a-z]/i.test(host) && !host.includes(":") ? host : "", ...tls, host, port })
      : connectTcp({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.once(secure ? "secureConnect" : "connect", () => this.#socket.write(this.#request(url)));
    this.#socket.on("data", (bytes: Buffer) => this.#data(bytes));
    this.#socket.on("error", (error) => {
      this.#closeReason ||= error.message;
    });
    this.#socket.on("end", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#closed());
  }

  get bufferedAmount(): number {
    return this.#socket.writableLength;
  }

  send(bytes: Uint8Array): void {
    if (this.#state === "open") this.#write(opcodes.binary, bytes);
  }

  close(code: number, reason: string): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    if (this.#state === "opening") {
      this.#socket.destroy();
      return;
    }
    this.#sendClose(code, reason);
  }

  #request(url: URL): string {
    return [
      `GET ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${this.#key}`,
      `Sec-WebSocket-Protocol: ${this.#subprotocol}`,
      "\r\n",
    ].join("\r\n");
  }

  #data(bytes: Buffer): void {
    if (this.#state === "opening") this.#readHead(bytes);
    else this.#readFrames(bytes);
  }

  #readHead(bytes: Buffer): void {
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if ((end < 0 ? this.#head.length : end) > HEAD_BYTES_MAX) {
      this.#fail("the HTTP response's head is too long");
      return;
    }
    if (end < 0) return;
    const problem = this.#upgradeProblem(this.#head.toString("latin1", 0, end).split("\r\n"));
    if (problem !== undefined) {
      this.#fail(problem);
      return;
    }
    const rest = this.#head.subarray(end + 4);
    this.#head = Buffer.alloc(0);
    this.#state = "open";
    this.onopen?.();
    if (rest.length > 0) this.#readFrames(rest);
  }

  /** Why the server's answer is no upgrade to our subprotocol; undefined when it is. */
  #upgradeProblem(lines: readonly string[]): string | undefined {
    const status = /^HTTP\/1\.1 (\d{3})/.exec(lines[0] ?? "")?.[1];
    if (status !== "101") return `the server answered the upgrade with status ${status ?? "unknown"}`;
    const headers = new Map<string, string>();
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const accept = createHash("sha1")
      .update(this.#key + ACCEPT_SUFFIX)
      .digest("base64");
    if (headers.get("upgrade")?.toLowerCase() !== "websocket") return "the answer has no Upgrade: websocket";
    if (headers.get("sec-websocket-accept") !== accept) return "Sec-WebSocket-Accept is wrong";
    if (headers.get("sec-websocket-protocol") !== this.#subprotocol)
      return "the subprotocol was not accepted";
    if (headers.has("sec-websocket-extensions")) return "an extension was accepted that was not offered";
    return undefined;
  }

  #readFrames(bytes: Buffer): void {
    // Not as a Buffer: what applications get are parts of it, and a Buffer's `slice` does not copy.
    this.#reader.push(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    while (this.#state === "open" || this.#state === "closing") {
      const event = this.#reader.next();
      if (event === undefined) return;
      if (event.kind === "message") {
        if (this.#state === "open") this.onmessage?.(event.bytes);
      } else if (event.kind === "ping") {
        if (this.#state === "open") this.#write(opcodes.pong, event.bytes);
      } else {
        this.#ends(event);
        return;
      }
    }
  }

  /** The server closes, or cannot be understood any more. */
  #ends(event: Extract<WebSocketEvent, { kind: "close" | "bad" }>): void {
    if (event.kind === "close") this.#closeCode = event.code;
    this.#closeReason = event.reason;
    if (this.#state === "open") this.#sendClose(event.code, "");
    // After both close frames nothing is left to wait for; a server that is still writing would get a
    // reset before it has read ours.
    if (event.kind === "close") this.#socket.destroySoon();
    else this.#socket.end();
  }

  #sendClose(code: number, reason: string): void {
    this.#state = "closing";
    const body = Buffer.from(`\0\0${reason}`);
    body.writeUInt16BE(code);
    this.#write(opcodes.close, code === closeCodes.noCode ? body.subarray(0, 0) : body);
    this.#closeTimer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
  }

  #write(opcode: number, bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(encodeWebSocketFrame(opcode, bytes, nextMask()));
  }

  #fail(reason: string): void {
    this.#closeReason = reason;
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#closeTimer);
    this.onclose?.(this.#closeCode, this.#closeReason);
  }
}

/** Masks must be unpredictable; asking for 4 bytes at a time costs more than masking does. */
const maskPool = Buffer.alloc(4096);
let maskOffset = maskPool.length;

function nextMask(): Uint8Array {
  if (maskOffset === maskPool.length) {
    randomFillSync(maskPool);
    maskOffset = 0;
  }
  maskOffset += 4;
  return maskPool.subarray(maskOffset - 4, maskOffset);
}

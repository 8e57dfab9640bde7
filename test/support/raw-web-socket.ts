/**
 * A WebSocket client on a bare TCP socket, for tests: it speaks RFC 6455 as
 * well or as badly as it is told. It masks, fragments, trickles, sends garbage,
 * stops reading, and shows every frame and the end of the connection as they came.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawFrame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly payload: Buffer;
}

export interface RawOptions {
  readonly host?: string;
  readonly port: number;
  readonly path?: string;
  /** The address it comes from. */
  readonly localAddress?: string;
  /** Replaces or, with undefined, removes request headers by lower-case name. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** TLS without a look at the certificate. */
  readonly tls?: boolean;
}

/** How the connection ended: the close frame's code if there was one. */
export interface RawEnd {
  readonly code: number | undefined;
  readonly reason: string;
}

export class RawWebSocket {
  readonly socket: Socket;
  /** Status line and headers, once they are there. */
  readonly head: Promise<string>;
  readonly ended: Promise<RawEnd>;
  #buffer: Buffer = Buffer.alloc(0);
  #headDone = false;
  #end: RawEnd = { code: undefined, reason: "" };
  readonly #frames: RawFrame[] = [];
  readonly #waiting: ((frame: RawFrame | undefined) => void)[] = [];
  #gone = false;

  constructor(socket: Socket) {
    this.socket = socket;
    let resolveHead: (text: string) => void = () => undefined;
    this.head = new Promise((resolve) => {
      resolveHead = resolve;
    });
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        this.#gone = true;
        resolveHead(this.#headDone ? "" : this.#buffer.toString("latin1"));
        for (const waiter of this.#waiting.splice(0)) waiter(undefined);
        resolve(this.#end);
      });
    });
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      if (!this.#headDone) {
        const at = this.#buffer.indexOf("\r\n\r\n");
        if (at < 0) return;
        const text = this.#buffer.toString("latin1", 0, at);
        if (text.startsWith("HTTP/1.1 101")) {
          this.#headDone = true;
          this.#buffer = this.#buffer.subarray(at + 4);
          resolveHead(text);
        }
      }
      if (this.#headDone) this.#parse();
    });
  }

  /** Opens a TCP (or TLS) connection and sends nothing. */
  static async dial(options: RawOptions): Promise<RawWebSocket> {
    const { host = "127.0.0.1", port, localAddress } = options;
    const where = { host, port, ...(localAddress !== undefined && { localAddress }) };
    const socket = options.tls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
    const raw = new RawWebSocket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once(options.tls ? "secureConnect" : "connect", resolve);
      socket.once("error", reject);
    });
    socket.setNoDelay(true);
    return raw;
  }

  /** Dials and upgrades; rejects with the answer's status line when it is not 101. */
  static async open(options: RawOptions): Promise<RawWebSocket> {
    const raw = await RawWebSocket.dial(options);
    raw.socket.write(upgradeRequest(options));
    const head = await raw.head;
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(head.split("\r\n")[0] || "no answer");
    return raw;
  }

  /** The next frame; undefined when the connection ended before one came. */
  next(): Promise<RawFrame | undefined> {
    const frame = this.#frames.shift();
    if (frame !== undefined || this.#gone) return Promise.resolve(frame);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** One frame, masked unless told otherwise. */
  send(payload: Uint8Array, options: { opcode?: number; fin?: boolean; mask?: boolean } = {}): boolean {
    return this.socket.write(rawFrame(payload, options));
  }

  /** Bytes as they are. */
  write(bytes: Uint8Array | string): boolean {
    return this.socket.write(bytes);
  }

  /** A close frame; the server is expected to close the connection. */
  close(code = 1000): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.send(payload, { opcode: opcodes.close });
  }

  /** Gone without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  #parse(): void {
    for (;;) {
      const frame = this.#takeFrame();
      if (frame === undefined) return;
      if (frame.opcode === opcodes.close && frame.payload.length >= 2) {
        this.#end = { code: frame.payload.readUInt16BE(0), reason: frame.payload.toString("utf8", 2) };
      }
      const waiter = this.#waiting.shift();
      if (waiter) waiter(frame);
      else this.#frames.push(frame);
    }
  }

  #takeFrame(): RawFrame | undefined {
    const buffer = this.#buffer;
    if (buffer.length < 2) return undefined;
    const first = buffer[0] as number;
    const short = (buffer[1] as number) & 0x7f;
    const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (buffer.length < headBytes) return undefined;
    const length =
      short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
    if (buffer.length < headBytes + length) return undefined;
    this.#buffer = buffer.subarray(headBytes + length);
    return {
      opcode: first & 0x0f,
      fin: (first & 0x80) !== 0,
      payload: buffer.subarray(headBytes, headBytes + length),
    };
  }
}

/** The request of a well-behaved client, with the given headers replaced or left out. */
export function upgradeRequest(options: RawOptions): string {
  const headers: Record<string, string | undefined> = {
    host: `${options.host ?? "127.0.0.1"}:${options.port}`,
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    "sec-websocket-protocol": "interline.v1",
    ...options.headers,
  };
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);
  return `GET ${options.path ?? "/"} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

/** The bytes of one frame from client to server. */
export function rawFrame(
  payload: Uint8Array,
  options: { opcode?: number; fin?: boolean; mask?: boolean } = {},
): Buffer {
  const { opcode = opcodes.binary, fin = true, mask = true } = options;
  const length = payload.length;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (length < 126) head[1] = length;
  else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!mask) return Buffer.concat([head, payload]);
  head[1] = (head[1] as number) | 0x80;
  const key = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let i = 0; i < length; i++) masked[i] = (masked[i] as number) ^ (key[i & 3] as number);
  return Buffer.concat([head, key, masked]);
}

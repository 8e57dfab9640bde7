/**
 * A WebSocket server as small as the node-transport tests need it: it does the
 * upgrade, hands out what the client wrote, and writes the bytes it is told to.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";

export interface TinyFrame {
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

export class TinyPeer {
  readonly socket: Duplex;
  readonly request: IncomingMessage;
  #buffer = Buffer.alloc(0);
  #frames: TinyFrame[] = [];
  #wake: (() => void) | undefined;

  constructor(socket: Duplex, request: IncomingMessage) {
    this.socket = socket;
    this.request = request;
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#read();
      this.#wake?.();
    });
  }

  /** The next frame the client wrote. */
  async next(): Promise<TinyFrame> {
    while (this.#frames.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#frames.shift() as TinyFrame;
  }

  /** An unmasked frame, with FIN unless told otherwise. */
  write(opcode: number, payload: Uint8Array, final = true): void {
    this.socket.write(frame(opcode, payload, final));
  }

  close(code: number, reason = ""): void {
    const body = Buffer.from(`\0\0${reason}`);
    body.writeUInt16BE(code);
    this.socket.write(frame(8, body, true));
  }

  #read(): void {
    for (;;) {
      const short = (this.#buffer[1] ?? 0) & 0x7f;
      const headBytes = (short < 126 ? 2 : short === 126 ? 4 : 10) + 4;
      if (this.#buffer.length < headBytes) return;
      const length =
        short < 126
          ? short
          : short === 126
            ? this.#buffer.readUInt16BE(2)
            : Number(this.#buffer.readBigUInt64BE(2));
      if (this.#buffer.length < headBytes + length) return;
      const mask = this.#buffer.subarray(headBytes - 4, headBytes);
      const payload = Buffer.from(this.#buffer.subarray(headBytes, headBytes + length));
      for (let i = 0; i < length; i++) payload[i] = (payload[i] as number) ^ (mask[i & 3] as number);
      const first = this.#buffer[0] as number;
      this.#frames.push({ opcode: first & 15, masked: ((this.#buffer[1] as number) & 0x80) !== 0, payload });
      this.#buffer = this.#buffer.subarray(headBytes + length);
    }
  }
}

export function frame(opcode: number, payload: Uint8Array, final = true): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 0x1_0000 ? 4 : 10);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = length < 126 ? length : length < 0x1_0000 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

export interface TinyServer {
  readonly url: string;
  readonly server: Server;
  /** The next client that was upgraded. */
  accept(): Promise<TinyPeer>;
  close(): void;
}

/** `headers` may change the answer to the upgrade. */
export async function startTinyServer(
  headers: (answer: Record<string, string>) => Record<string, string> = (answer) => answer,
  server: Server = createServer(),
  scheme = "ws",
): Promise<TinyServer> {
  const peers: TinyPeer[] = [];
  const waiting: ((peer: TinyPeer) => void)[] = [];
  const sockets = new Set<Duplex>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    const answer = headers({
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": accept,
      "Sec-WebSocket-Protocol": String(request.headers["sec-websocket-protocol"]),
    });
    const lines = Object.entries(answer).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
    const peer = new TinyPeer(socket, request);
    const next = waiting.shift();
    if (next === undefined) peers.push(peer);
    else next(peer);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    server,
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accept: () =>
      new Promise((resolve) => {
        const peer = peers.shift();
        if (peer === undefined) waiting.push(resolve);
        else resolve(peer);
      }),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

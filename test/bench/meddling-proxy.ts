/**
 * A proxy between devices and a node that does wrong what no node may: it hands
 * on every byte as it is, but for WebSocket messages from the node that hold
 * exactly one delivery, about which it asks. The node never notices.
 *
 *   device ──────────────────▶ node
 *   device ◀── [ meddle ] ──── node
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const HEAD_END = "\r\n\r\n";
/** `96 21`: an array of six that begins with the kind deliver, and `99 2d`, one of nine: a group deliver without a block. */
const PAYLOAD_OFFSETS = new Map([
  [0x9621, 65],
  [0x992d, 93],
]);
const LENGTH_BYTES = 4;

/** What becomes of the `count`-th delivery, a whole WebSocket message: the bytes that are handed on instead. */
export type Meddle = (message: Buffer, count: number) => readonly Buffer[];

export class MeddlingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Deliveries that were asked about. */
  count = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(nodePort: number, meddle: Meddle): Promise<MeddlingProxy> {
    const server = createServer();
    const proxy = new MeddlingProxy(server);
    server.on("connection", (device) => proxy.#join(device, connect(nodePort, "127.0.0.1"), meddle));
    await once(server.listen(0, "127.0.0.1"), "listening");
    return proxy;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(device: Socket, node: Socket, meddle: Meddle): void {
    for (const [socket, other] of [
      [device, node],
      [node, device],
    ] as const) {
      this.#sockets.add(socket.setNoDelay());
      socket.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
    device.on("data", (bytes) => node.write(bytes));
    let kept: Buffer = Buffer.alloc(0);
    let isUpgraded = false;
    node.on("data", (bytes) => {
      kept = Buffer.concat([kept, bytes]);
      if (!isUpgraded) {
        const end = kept.indexOf(HEAD_END) + HEAD_END.length;
        if (end < HEAD_END.length) return;
        isUpgraded = true;
        device.write(kept.subarray(0, end));
        kept = kept.subarray(end);
      }
      for (let message = firstMessage(kept); message !== undefined; message = firstMessage(kept)) {
        kept = kept.subarray(message.length);
        const handedOn = isOneDelivery(message) ? meddle(message, ++this.count) : [message];
        for (const part of handedOn) device.write(part);
      }
    });
  }
}

/** The first whole WebSocket frame, unmasked as a server sends it. */
function firstMessage(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 2) return undefined;
  const header = headerBytes(bytes);
  if (bytes.length < header) return undefined;
  const short = bytes[1]! & 0x7f;
  const length =
    short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return bytes.length < header + length ? undefined : bytes.subarray(0, header + length);
}

function headerBytes(message: Buffer): number {
  const short = message[1]! & 0x7f;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

function isOneDelivery(message: Buffer): boolean {
  const payload = message.subarray(headerBytes(message));
  const offset = payload.length < 2 ? undefined : PAYLOAD_OFFSETS.get(payload.readUInt16BE(0));
  if (offset === undefined || payload.length < offset) return false;
  return payload.length === offset + payload.readUInt32BE(offset - LENGTH_BYTES);
}

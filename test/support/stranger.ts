/**
 * A device as a stranger would write it from docs/protocol.md: WebSocket and
 * frames on a bare TCP socket, sharing no code with the engine or its SDK. The
 * fault tests speak through it, so that no fault of the engine can hide in a
 * client that has the same one.
 *
 * It decides nothing by itself: it neither reconnects, acks, nor repeats.
 * Frames written in one turn of the event loop leave as one message.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import {
  Fields,
  frames,
  type OpenedParty,
  type Party,
  Reader,
  Unreadable,
  type Value,
} from "./stranger-codec.js";

export interface Delivery {
  readonly sequence: number;
  /** 20 bytes in hex. */
  readonly sender: string;
  /** 16 bytes in hex. */
  readonly id: string;
  readonly timeMs: number;
  readonly payload: Buffer;
}

export interface GapNotice {
  readonly sequence: number;
  readonly count: number;
  readonly reason: number;
}

/** How a connection ended: what the node said, as far as it said anything. */
export interface End {
  /** The code of the error frame. */
  readonly code: number | undefined;
  readonly closeCode: number | undefined;
}

/** What a device hears. Each is called in the order of the bytes. */
export interface StrangerEars {
  readonly delivery?: (delivery: Delivery) => void;
  /**
   * From somebody whom the node does not name: a delivery whose sender has brand 0 and an account id of ff. Of a shared
   * one the payload is the shared part and the block behind it.
   */
  readonly sealed?: (delivery: Delivery) => void;
  /** What the node itself says: a delivery whose sender is all zero. */
  readonly notice?: (notice: Delivery) => void;
  readonly receipt?: (position: number, durability: number) => void;
  readonly refusal?: (position: number, code: number, detail: Map<string, Value>) => void;
  readonly gap?: (gap: GapNotice) => void;
  readonly live?: (sequence: number) => void;
  readonly signal?: (sender: string, payload: Buffer) => void;
  /** Sender and group in hex. */
  readonly groupSignal?: (sender: string, group: string, payload: Buffer) => void;
  /** Accounts in hex. */
  readonly presence?: (online: readonly string[], offline: readonly string[]) => void;
  readonly pong?: (nonce: number, timeMs: number) => void;
  readonly messageEnd?: () => void;
  /** The node wrote bytes that are no frames; the connection is given up. */
  readonly unreadable?: () => void;
  readonly ended?: (end: End) => void;
}

export interface StrangerOptions extends StrangerEars {
  readonly port: number;
  readonly token: string;
  readonly resume?: number;
  readonly windowEntries?: number;
  readonly windowBytes?: number;
  /** Where the connection comes from; any address of this machine. */
  readonly localAddress?: string;
  /** One more line of the upgrade request. */
  readonly header?: string;
  /** A receive buffer as small as the system allows, for a peer that wants to be slow. */
  readonly highWaterMark?: number;
}

export interface KnownRoster {
  readonly version: number;
  readonly devices: readonly number[];
}

export interface Answer {
  /** 0: done. */
  readonly code: number;
  readonly retryAfterMs: number;
  readonly body: Map<string, Value>;
}

const OPCODE_BINARY = 2;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
const OPCODE_PONG = 10;

/** One connection of a device. */
export class Stranger {
  readonly socket: Socket;
  readonly welcomed: Promise<Map<string, Value>>;
  readonly ended: Promise<End>;
  /** Sends so far on this connection. */
  position = 0;
  isOpen = false;
  readonly #options: StrangerOptions;
  #welcome: (body: Map<string, Value>) => void = () => {};
  #fail: (error: Error) => void = () => {};
  #end: (end: End) => void = () => {};
  #buffer: Buffer = Buffer.alloc(0);
  #isUpgraded = false;
  #outgoing: Buffer[] = [];
  #errorCode: number | undefined;
  #closeCode: number | undefined;
  #requests = 0;
  readonly #rosters = new Map<number, (roster: KnownRoster) => void>();
  readonly #answers = new Map<number, (answer: Answer) => void>();

  constructor(options: StrangerOptions) {
    this.#options = options;
    this.welcomed = new Promise((resolve, reject) => {
      this.#welcome = resolve;
      this.#fail = reject;
    });
    this.welcomed.catch(() => {});
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const { port, localAddress, header } = options;
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true, ...(localAddress && { localAddress }) });
    this.socket.on("connect", () => this.socket.write(upgradeRequest(port, header)));
    this.socket.on("data", (chunk) => this.#data(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => this.#closed());
  }

  /** Resolves when the node has said welcome. */
  static async open(options: StrangerOptions): Promise<Stranger> {
    const stranger = new Stranger(options);
    await stranger.welcomed;
    return stranger;
  }

  /** Writes a send and returns its position. */
  send(id: Uint8Array, parties: readonly Party[]): number {
    this.write(frames.send(id, parties));
    return ++this.position;
  }

  /** The same for a connection that speaks for nobody. */
  sendSealed(id: Uint8Array, deliveryToken: Uint8Array, party: Party): number {
    this.write(frames.sealedSend(id, deliveryToken, party));
    return ++this.position;
  }

  /** To several accounts: one shared part, and as payloads their blocks. */
  sendSealedShared(id: Uint8Array, shared: Uint8Array, parties: readonly OpenedParty[]): number {
    this.write(frames.sealedSharedSend(id, shared, parties));
    return ++this.position;
  }

  ack(sequence: number): void {
    this.write(frames.ack(sequence));
  }

  roster(account: Uint8Array): Promise<KnownRoster> {
    const request = ++this.#requests;
    this.write(frames.rosterQuery(request, account));
    return new Promise((resolve) => this.#rosters.set(request, resolve));
  }

  /** Asks a service; never settles when the connection ends before the answer. `body` is written already. */
  request(method: string, body: Buffer): Promise<Answer> {
    const request = ++this.#requests;
    this.write(frames.request(request, method, body));
    return new Promise((resolve) => this.#answers.set(request, resolve));
  }

  /** Any bytes, in the message of this turn. */
  write(frame: Buffer): void {
    if (this.#outgoing.length === 0) queueMicrotask(() => this.flush());
    this.#outgoing.push(frame);
  }

  flush(): void {
    if (this.#outgoing.length === 0) return;
    const message = Buffer.concat(this.#outgoing);
    this.#outgoing = [];
    if (!this.socket.destroyed) this.socket.write(webSocketFrame(message));
  }

  /** Gone without a word: what was not yet written is lost. */
  drop(): void {
    this.socket.resetAndDestroy();
  }

  /** Closes as a client should. */
  async close(): Promise<End> {
    this.flush();
    this.socket.write(webSocketFrame(Buffer.of(0x03, 0xe8), OPCODE_CLOSE));
    return this.ended;
  }

  #closed(): void {
    const wasOpen = this.isOpen;
    this.isOpen = false;
    const end = { code: this.#errorCode, closeCode: this.#closeCode };
    this.#fail(new ConnectionEnded(end));
    this.#end(end);
    if (wasOpen || this.#errorCode !== undefined) this.#options.ended?.(end);
  }

  #data(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    if (!this.#isUpgraded && !this.#upgraded()) return;
    let at = 0;
    for (;;) {
      const frame = frameAt(this.#buffer, at);
      if (frame === undefined) break;
      at = frame.end;
      this.#webSocketFrame(frame.opcode, frame.payload);
    }
    this.#buffer = this.#buffer.subarray(at);
  }

  #upgraded(): boolean {
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end < 0) return false;
    if (!this.#buffer.toString("latin1", 0, end).startsWith("HTTP/1.1 101")) {
      this.socket.destroy();
      return false;
    }
    this.#buffer = this.#buffer.subarray(end + 4);
    this.#isUpgraded = true;
    const { token, resume = 0, windowEntries = 0, windowBytes = 0 } = this.#options;
    this.socket.write(webSocketFrame(frames.hello(token, resume, windowEntries, windowBytes)));
    return true;
  }

  #webSocketFrame(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE_BINARY) this.#message(payload);
    else if (opcode === OPCODE_PING) this.socket.write(webSocketFrame(payload, OPCODE_PONG));
    else if (opcode === OPCODE_CLOSE) {
      if (payload.length >= 2) this.#closeCode = payload.readUInt16BE(0);
      this.socket.end(webSocketFrame(payload, OPCODE_CLOSE));
    }
  }

  #message(payload: Buffer): void {
    const reader = new Reader(payload);
    try {
      while (!reader.isAtEnd) this.#frame(new Fields(reader.value()));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      this.#options.unreadable?.();
      this.drop();
      return;
    }
    this.#options.messageEnd?.();
  }

  #frame(frame: Fields): void {
    const ears = this.#options;
    switch (frame.int(0)) {
      case 32:
        this.isOpen = true;
        this.#welcome(frame.map(1));
        return;
      case 33:
        earFor(
          frame.bytes(2, 20),
          ears,
        )?.({
          sequence: frame.int(1),
          sender: frame.bytes(2, 20).toString("hex"),
          id: frame.bytes(3, 16).toString("hex"),
          timeMs: frame.int(4),
          payload: frame.bytes(5),
        });
        return;
      case 44:
        if (earFor(frame.bytes(2, 20), ears) !== ears.sealed) return;
        ears.sealed?.({
          sequence: frame.int(1),
          sender: frame.bytes(2, 20).toString("hex"),
          id: frame.bytes(3, 16).toString("hex"),
          timeMs: frame.int(4),
          payload: Buffer.concat([frame.bytes(6), frame.bytes(5)]),
        });
        return;
      case 34:
        ears.receipt?.(frame.int(1), frame.int(2));
        return;
      case 35:
        ears.refusal?.(frame.int(1), frame.int(2), frame.map(4));
        return;
      case 36:
        ears.gap?.({
          sequence: frame.int(1),
          count: frame.int(2),
          reason: frame.int(3),
        });
        return;
      case 37:
        ears.live?.(frame.int(1));
        return;
      case 38:
        ears.signal?.(frame.bytes(1).toString("hex"), frame.bytes(2));
        return;
      case 49:
        ears.groupSignal?.(frame.bytes(1).toString("hex"), frame.bytes(2).toString("hex"), frame.bytes(3));
        return;
      case 48:
        ears.presence?.(accountsIn(frame.bytes(1)), accountsIn(frame.bytes(2)));
        return;
      case 39:
        ears.pong?.(frame.int(1), frame.int(2));
        return;
      case 40:
        this.#rosters.get(frame.int(1))?.({
          version: frame.int(3),
          devices: frame.list(4) as number[],
        });
        this.#rosters.delete(frame.int(1));
        return;
      case 41:
        this.#errorCode = frame.int(1);
        return;
      case 42:
        this.#answers.get(frame.int(1))?.({
          code: frame.int(2),
          retryAfterMs: frame.int(3),
          body: frame.map(4),
        });
        this.#answers.delete(frame.int(1));
        return;
    }
  }
}

/** Addresses of 18 bytes, one behind the other. */
function accountsIn(bytes: Buffer): string[] {
  return Array.from({ length: bytes.length / 18 }, (_, i) => bytes.toString("hex", 18 * i, 18 * i + 18));
}

export class ConnectionEnded extends Error {
  readonly end: End;

  constructor(end: End) {
    super(`the connection ended (code ${end.code}, close code ${end.closeCode})`);
    this.end = end;
  }
}

function upgradeRequest(port: number, header?: string): string {
  return [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    "Sec-WebSocket-Protocol: interline.v1",
    ...(header === undefined ? [] : [header]),
    "\r\n",
  ].join("\r\n");
}

/** One whole frame from the node, which does not mask. */
function frameAt(
  buffer: Buffer,
  at: number,
): { readonly opcode: number; readonly payload: Buffer; readonly end: number } | undefined {
  if (buffer.length < at + 2) return undefined;
  const short = (buffer[at + 1] as number) & 0x7f;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (buffer.length < at + head) return undefined;
  const length =
    short === 126
      ? buffer.readUInt16BE(at + 2)
      : short === 127
        ? Number(buffer.readBigUInt64BE(at + 2))
        : short;
  const end = at + head + length;
  if (buffer.length < end) return undefined;
  return { opcode: (buffer[at] as number) & 0x0f, payload: buffer.subarray(at + head, end), end };
}

/** A masked frame; the mask is all zeros, which is allowed and costs nothing. */
function webSocketFrame(payload: Buffer, opcode = OPCODE_BINARY): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = 0x80 | opcode;
  if (length < 126) head[1] = 0x80 | length;
  else if (length < 65_536) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

function earFor(sender: Buffer, ears: StrangerEars): ((delivery: Delivery) => void) | undefined {
  if (sender.readUInt16BE(0) !== 0) return ears.delivery;
  return sender[2] === 0xff ? ears.sealed : ears.notice;
}

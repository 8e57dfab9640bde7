/**
 * The generator's sockets: plain TCP, with a WebSocket upgrade by hand where the
 * dialect wants one. All read into the scanner's one buffer (`onread`), so a read
 * costs no allocation.
 *
 * A written buffer must stay unchanged until the kernel has taken it. Nearly
 * always it has when `write` returns; the answer says so, and a caller that is
 * told otherwise leaves the buffer alone for good and takes a new one.
 */
import { randomBytes } from "node:crypto";
import { connect, isIP, type Socket, type TcpNetConnectOpts } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Scanner } from "./reads.js";

export interface ConnectionEvents {
  /** The upgrade, if any, is done; the connection may be written to. */
  opened(connection: number): void;
  /** The scanner has handed on everything of one read. */
  readDone(connection: number): void;
  /** Before the bytes of one read are scanned. */
  readBegun(connection: number): void;
  /** A connection that nobody closed here has gone. */
  lost(connection: number, reason: string): void;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Undefined: the server speaks its protocol over plain TCP. */
  readonly upgrade: Upgrade | undefined;
  /** Absent: plain TCP. Certificates are checked as Node checks them (NODE_EXTRA_CA_CERTS). */
  readonly isTls?: boolean;
  /** The address a connection comes from; each has ports of its own. Absent: the system's choice. */
  readonly localAddress?: (connection: number) => string;
}

export interface Upgrade {
  path(connection: number): string;
  readonly subprotocol: string | undefined;
}

const HEAD_END = "\r\n\r\n";

const phases = { closed: 0, upgrading: 1, open: 2 } as const;

export class Connections {
  readonly #scanner: Scanner;
  readonly #events: ConnectionEvents;
  readonly #sockets: (Socket | undefined)[];
  readonly #phase: Uint8Array;
  /** Connections that read nothing more; a read that was let through is the last one. */
  readonly #paused: Uint8Array;
  readonly #isTls: Uint8Array;
  /** Bytes of an upgrade answer that came in more than one read. */
  readonly #heads = new Map<number, string>();

  constructor(count: number, scanner: Scanner, events: ConnectionEvents) {
    this.#scanner = scanner;
    this.#events = events;
    this.#sockets = new Array(count).fill(undefined);
    this.#phase = new Uint8Array(count);
    this.#paused = new Uint8Array(count);
    this.#isTls = new Uint8Array(count);
  }

  open(connection: number, endpoint: Endpoint): void {
    const { host, port, localAddress, isTls = false } = endpoint;
    this.#scanner.reset(connection);
    this.#phase[connection] = phases.upgrading;
    const options: TcpNetConnectOpts = {
      host,
      port,
      noDelay: true,
      ...(localAddress && { localAddress: localAddress(connection) }),
      onread: {
        buffer: this.#scanner.memory.readBuffer,
        callback: (length) => {
          this.#read(connection, length);
          return this.#paused[connection] === 0;
        },
      },
    };
    const socket = isTls
      ? connectTls({ ...options, ...(isIP(host) === 0 && { servername: host }) }).setNoDelay()
      : connect(options);
    this.#sockets[connection] = socket;
    this.#isTls[connection] = isTls ? 1 : 0;
    socket.once(isTls ? "secureConnect" : "connect", () => this.#greet(connection, socket, endpoint));
    socket.once("error", (error) => this.#lose(connection, socket, error.message));
    socket.once("close", () => this.#lose(connection, socket, "the server closed the connection"));
  }

  /** Whether the bytes may be changed again: the kernel has taken them, or the connection was lost, as was told. */
  write(connection: number, bytes: Uint8Array): boolean {
    const socket = this.#sockets[connection];
    if (socket === undefined) return true;
    if (this.#isTls[connection] === 1) {
      socket.write(bytes.slice());
      return true;
    }
    socket.write(bytes);
    return socket.writableLength === 0;
  }

  close(connection: number): void {
    this.#phase[connection] = phases.closed;
    this.#sockets[connection]?.destroy();
    this.#sockets[connection] = undefined;
  }

  /** Reads nothing more until `resume`: what arrives stays in the kernel, and beyond that at the server. */
  pause(connection: number): void {
    this.#paused[connection] = 1;
    this.#sockets[connection]?.pause();
  }

  /** A paused connection reads one bufferful. */
  readOnce(connection: number): void {
    this.#sockets[connection]?.resume();
  }

  resume(connection: number): void {
    this.#paused[connection] = 0;
    this.#sockets[connection]?.resume();
  }

  isOpen(connection: number): boolean {
    return this.#phase[connection] === phases.open;
  }

  #greet(connection: number, socket: Socket, endpoint: Endpoint): void {
    if (endpoint.upgrade !== undefined) {
      socket.write(upgradeRequest(connection, endpoint, endpoint.upgrade));
      return;
    }
    if (this.#sockets[connection] !== socket) return;
    this.#phase[connection] = phases.open;
    this.#events.opened(connection);
  }

  #read(connection: number, length: number): void {
    if (this.#phase[connection] === phases.open) {
      this.#events.readBegun(connection);
      this.#scanner.scan(connection, length);
      this.#events.readDone(connection);
    } else if (this.#phase[connection] === phases.upgrading) this.#readHead(connection, length);
  }

  #readHead(connection: number, length: number): void {
    const before = this.#heads.get(connection) ?? "";
    const text = before + this.#scanner.memory.readBuffer.toString("latin1", 0, length);
    const end = text.indexOf(HEAD_END);
    if (end < 0) {
      this.#heads.set(connection, text);
      return;
    }
    this.#heads.delete(connection);
    if (!text.startsWith("HTTP/1.1 101")) {
      const status = text.slice(0, text.indexOf("\r\n"));
      this.close(connection);
      this.#events.lost(connection, `the server refused the upgrade: ${status}`);
      return;
    }
    this.#phase[connection] = phases.open;
    this.#events.opened(connection);
    this.#events.readBegun(connection);
    this.#scanner.scan(connection, length, end + HEAD_END.length - before.length);
    this.#events.readDone(connection);
  }

  #lose(connection: number, socket: Socket, reason: string): void {
    if (this.#sockets[connection] !== socket) return;
    this.close(connection);
    this.#events.lost(connection, reason);
  }
}

function upgradeRequest(connection: number, { host, port }: Endpoint, upgrade: Upgrade): string {
  const lines = [
    `GET ${upgrade.path(connection)} HTTP/1.1`,
    `Host: ${host.includes(":") ? `[${host}]` : host}:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    "Sec-WebSocket-Version: 13",
  ];
  if (upgrade.subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${upgrade.subprotocol}`);
  return lines.join("\r\n") + HEAD_END;
}

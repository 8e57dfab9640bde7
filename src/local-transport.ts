/**
 * A device attached inside the node's own process: the client SDK's transport without a socket. The frames are the
 * same ones; hello's token is not looked at, because whoever holds the node may speak for any device.
 */
import type { Transport, TransportSocket } from "./client/client.js";
import type { Connection } from "./path/path.js";
import { CodedError } from "./wire/coded-error.js";
import { type CodeName, closeCode } from "./wire/codes.js";
import { decodeHello } from "./wire/hello.js";
import { encodeError } from "./wire/server-frame-writer.js";

/** What a local device needs of the node. */
export interface LocalDoor {
  enter(
    connection: Connection,
    hello: { resume: number; windowEntries: number; windowBytes: number },
  ): Promise<{ slot: number } | { refused: CodeName; retryAfterMs: number }>;
  receive(slot: number, message: Uint8Array): void;
  detach(slot: number, connection: Connection): void;
}

const TOKEN_BYTES_MAX = 4096;

export function localTransport(door: LocalDoor): Transport {
  return { connect: () => new LocalSocket(door) };
}

class LocalSocket implements TransportSocket {
  onopen: (() => void) | undefined;
  onmessage: ((bytes: Uint8Array) => void) | undefined;
  onclose: ((code: number, reason: string) => void) | undefined;
  /** What is out is bounded by the window that hello asked for. */
  readonly bufferedAmount = 0;
  readonly #door: LocalDoor;
  /** The path's side: what it sends is copied, and handed over after the turn. */
  readonly #toClient: Connection = {
    send: (bytes) => {
      if (this.#isClosed) return 2;
      this.#handOver(bytes.slice());
      return 1;
    },
    end: (code, retryAfterMs) => {
      if (this.#isClosed) return;
      this.#handOver(encodeError(code, retryAfterMs));
      this.#close(closeCode(code), code);
    },
  };
  #slot = -1;
  #saidHello = false;
  #isClosed = false;
  /** The client has closed it, and hears nothing more. The node ends it behind what it has sent. */
  #isLeft = false;

  constructor(door: LocalDoor) {
    this.#door = door;
    queueMicrotask(() => this.onopen?.());
  }

  send(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#slot >= 0) this.#door.receive(this.#slot, bytes);
    else if (!this.#saidHello) void this.#signIn(bytes);
  }

  close(code: number, reason: string): void {
    this.#isLeft = true;
    this.#close(code, reason);
  }

  #close(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#slot >= 0) this.#door.detach(this.#slot, this.#toClient);
    queueMicrotask(() => this.onclose?.(code, reason));
  }

  #handOver(bytes: Uint8Array): void {
    queueMicrotask(() => {
      if (!this.#isLeft) this.onmessage?.(bytes);
    });
  }

  async #signIn(bytes: Uint8Array): Promise<void> {
    this.#saidHello = true;
    try {
      const hello = decodeHello(bytes, TOKEN_BYTES_MAX);
      const entered = await this.#door.enter(this.#toClient, hello);
      if ("refused" in entered) this.#toClient.end(entered.refused, entered.retryAfterMs);
      else if (this.#isClosed) this.#door.detach(entered.slot, this.#toClient);
      else this.#slot = entered.slot;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#toClient.end(error.code, error.retryAfterMs);
    }
  }
}

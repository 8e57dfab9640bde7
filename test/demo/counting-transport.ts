/**
 * A transport that counts the envelopes it carries in, repetitions included.
 *
 * After a crash the node and the senders repeat what may not have arrived, and the
 * client recognises what it has. Only here, below the client, can be seen
 * how often that happened: that nothing was shown twice would mean little if
 * nothing had come twice.
 */
import type { Transport, TransportSocket } from "../../src/client/client.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";

export function countingTransport(base: Transport, onEnvelope: () => void): Transport {
  return { connect: (url, subprotocol) => new CountingSocket(base.connect(url, subprotocol), onEnvelope) };
}

class CountingSocket implements TransportSocket {
  onopen: TransportSocket["onopen"];
  onmessage: TransportSocket["onmessage"];
  onclose: TransportSocket["onclose"];
  readonly #socket: TransportSocket;

  constructor(socket: TransportSocket, onEnvelope: () => void) {
    this.#socket = socket;
    socket.onopen = () => this.onopen?.();
    socket.onclose = (code, reason) => this.onclose?.(code, reason);
    socket.onmessage = (bytes) => {
      for (const { kind } of decodeServerMessage(bytes)) if (kind === "deliver") onEnvelope();
      this.onmessage?.(bytes);
    };
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

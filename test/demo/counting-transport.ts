/**
 * A transport that counts the envelopes it carries, out and in, repetitions included.
 *
 * After a crash the senders repeat what has no receipt, the node answers what it
 * has from its memory and delivers the rest, and the client recognises what it
 * was shown. Only here, below the client, can be seen how often that happened: that
 * nothing was shown twice would mean little if nothing had come twice.
 */
import type { Transport, TransportSocket } from "../../src/client/client.js";
import { limits } from "../../src/rules/limits.js";
import { decodeClientMessage } from "../../src/wire/client-frames.js";
import { isNode } from "../../src/wire/notices.js";
import { isSealed } from "../../src/wire/sealed.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";

export interface EnvelopeCounter {
  readonly carriedOut: () => void;
  readonly carriedIn: () => void;
}

export function countingTransport(base: Transport, counter: EnvelopeCounter): Transport {
  return { connect: (url, subprotocol) => new CountingSocket(base.connect(url, subprotocol), counter) };
}

class CountingSocket implements TransportSocket {
  onopen: TransportSocket["onopen"];
  onmessage: TransportSocket["onmessage"];
  onclose: TransportSocket["onclose"];
  readonly #socket: TransportSocket;
  readonly #counter: EnvelopeCounter;

  constructor(socket: TransportSocket, counter: EnvelopeCounter) {
    this.#socket = socket;
    this.#counter = counter;
    socket.onopen = () => this.onopen?.();
    socket.onclose = (code, reason) => this.onclose?.(code, reason);
    socket.onmessage = (bytes) => {
      for (const frame of decodeServerMessage(bytes)) {
        const isEnvelope = frame.kind === "deliver" || frame.kind === "groupDeliver";
        if (isEnvelope && !isNode(frame.sender) && !isSealed(frame.sender)) counter.carriedIn();
      }
      this.onmessage?.(bytes);
    };
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    for (const { kind } of decodeClientMessage(bytes, limits))
      if (kind === "send" || kind === "groupSend") this.#counter.carriedOut();
    this.#socket.send(bytes);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

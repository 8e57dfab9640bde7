/**
 * The limit of everything that collects: a relay (relay-server.ts) that keeps what
 * one turn of the event loop brings, and then sends each socket that gets anything
 * one message with all of it. Its clients pack too: what one of them sends at once is one message.
 */
import { type RelaySocket, serveRelay, targetOf } from "./relay-server.js";

/** More than any turn of the benchmark brings for one target. */
const TURN_BYTES_MAX = 64 * 1024;

interface Outbox {
  /** Undefined: has left. */
  socket: RelaySocket | undefined;
  /** What this turn has brought for it, in the first `used` bytes. */
  readonly bytes: Uint8Array;
  used: number;
}

/** By target that has ever connected. */
const outboxes: Outbox[] = [];
let filled: Outbox[] = [];

serveRelay(() => ({
  opened(socket, index) {
    outboxes[index] = { socket, bytes: new Uint8Array(TURN_BYTES_MAX), used: 0 };
  },
  closed(index) {
    const outbox = outboxes[index];
    if (outbox !== undefined) outbox.socket = undefined;
  },
  received(message, { envelopeBytes }) {
    for (let at = 0; at < message.byteLength; at += envelopeBytes) {
      const outbox = outboxes[targetOf(message, at)];
      if (outbox !== undefined) put(outbox, new Uint8Array(message, at, envelopeBytes));
    }
  },
}));

function put(outbox: Outbox, envelope: Uint8Array): void {
  if (filled.length === 0) setImmediate(sendAll);
  if (outbox.used === 0) filled.push(outbox);
  outbox.bytes.set(envelope, outbox.used);
  outbox.used += envelope.length;
}

function sendAll(): void {
  const now = filled;
  filled = [];
  for (const outbox of now) {
    outbox.socket?.send(outbox.bytes.subarray(0, outbox.used), true);
    outbox.used = 0;
  }
}

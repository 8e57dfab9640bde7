/**
 * The limit of everything that collects: a relay (relay-server.ts) that keeps what
 * one turn of the event loop brings, and then writes once to each socket that gets
 * anything. As with all relays a WebSocket message is one envelope, where Interline
 * packs several into one: with many under way a node could cost less than this.
 */
import { type RelaySocket, serveRelay } from "./relay-server.js";

/** More than any turn of the benchmark brings. */
const TURN_BYTES_MAX = 64 * 1024 * 1024;

const sockets: (RelaySocket | undefined)[] = [];
/** By target that has ever connected, what this turn brought for it: from, to, from, to … in `bytes`. */
const waiting: number[][] = [];
const bytes = new Uint8Array(TURN_BYTES_MAX);
let used = 0;
let targets: number[] = [];

serveRelay(() => ({
  opened(socket, index) {
    sockets[index] = socket;
    waiting[index] = [];
  },
  closed(index) {
    sockets[index] = undefined;
  },
  received(message, target) {
    const places = waiting[target];
    if (places === undefined) return;
    if (targets.length === 0) setImmediate(writeAll);
    if (places.length === 0) targets.push(target);
    bytes.set(new Uint8Array(message), used);
    places.push(used, used + message.byteLength);
    used += message.byteLength;
  },
}));

function writeAll(): void {
  const now = targets;
  targets = [];
  for (const target of now) {
    const places = waiting[target]!;
    write(sockets[target], places);
    places.length = 0;
  }
  used = 0;
}

function write(socket: RelaySocket | undefined, places: readonly number[]): void {
  if (places.length === 2) socket?.send(bytes.subarray(places[0], places[1]), true);
  else
    socket?.cork(() => {
      for (let i = 0; i < places.length; i += 2) socket.send(bytes.subarray(places[i], places[i + 1]), true);
    });
}

/**
 * The limit of everything that answers each message by itself: the bare relay, which also sends each message's sender
 * as many bytes as a receipt has. They say nothing.
 */
import { ANSWER_BYTES } from "../generator/relay-dialect.js";
import { type RelaySocket, serveRelay, targetOf } from "./relay-server.js";

/** Undefined: has left. */
const sockets: (RelaySocket | undefined)[] = [];
const answer = new Uint8Array(ANSWER_BYTES);

serveRelay(() => ({
  opened(socket, index) {
    sockets[index] = socket;
  },
  closed(index) {
    sockets[index] = undefined;
  },
  received(message, from) {
    sockets[targetOf(message)]?.send(message, true);
    from.send(answer, true);
  },
}));

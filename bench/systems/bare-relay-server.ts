/**
 * The limit to compare with: a relay (relay-server.ts) that does nothing else. One
 * native send per message, inside the handler. No sign-in, no ids, no order, no
 * receipt, nothing kept.
 */
import { type RelaySocket, serveRelay, targetOf } from "./relay-server.js";

const sockets: RelaySocket[] = [];

serveRelay(() => ({
  opened(socket, index) {
    sockets[index] = socket;
  },
  received(message) {
    sockets[targetOf(message)]!.send(message, true);
  },
}));

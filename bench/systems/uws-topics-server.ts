/**
 * The limit of fan-out with this stack: a relay (relay-server.ts) that publishes a
 * message to the topic of its target, which is the target's index and to which
 * the target has subscribed. uWebSockets.js collects what a topic is sent and
 * writes it at the end of the event loop's turn.
 */
import { serveRelay, targetOf } from "./relay-server.js";

serveRelay((app) => ({
  opened(socket, index) {
    socket.subscribe(String(index));
  },
  received(message) {
    app.publish(String(targetOf(message)), message, true);
  },
}));

/**
 * The limit of fan-out with this stack: the bare relay (bare-relay-server.ts), but
 * a message is published to the topic of its target, which is the target's index
 * and to which the target has subscribed. uWebSockets.js collects what a topic is
 * sent and writes it at the end of the event loop's turn.
 */
import * as uWS from "uWebSockets.js";
import { announceReady, answerRequests } from "../process/requests.js";
import { takeSnapshot } from "./server-telemetry.js";

const MESSAGE_BYTES_MAX = 1024 * 1024;

interface Place {
  readonly topic: string;
}

const app = uWS.App();

app
  .ws<Place>("/*", {
    maxPayloadLength: MESSAGE_BYTES_MAX,
    maxBackpressure: 64 * MESSAGE_BYTES_MAX,
    idleTimeout: 0,
    upgrade(response, request, context) {
      response.upgrade<Place>(
        { topic: request.getUrl().slice(1) },
        request.getHeader("sec-websocket-key"),
        request.getHeader("sec-websocket-protocol"),
        request.getHeader("sec-websocket-extensions"),
        context,
      );
    },
    open(ws) {
      ws.subscribe(ws.getUserData().topic);
    },
    message(_ws, message) {
      const target = new DataView(message).getUint32(0, true);
      app.publish(String(target), message, true);
    },
  })
  .listen("127.0.0.1", 0, (socket) => {
    if (!socket) throw new Error("the server could not listen");
    answerRequests({ snapshot: takeSnapshot });
    announceReady({ port: uWS.us_socket_local_port(socket as unknown as uWS.us_socket) });
  });

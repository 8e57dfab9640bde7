/**
 * The limit to compare with: a uWebSockets.js server that does nothing but
 * relay. A message carries its target's index in its first four bytes (little
 * endian) and is sent on as it is, one native send per message, inside the
 * handler. No sign-in, no ids, no order, no receipt, nothing kept.
 *
 * A client says its own index in the path it asks for: `GET /17`.
 */
import * as uWS from "uWebSockets.js";
import { announceReady, answerRequests } from "../process/requests.js";
import { takeSnapshot } from "./server-telemetry.js";

const MESSAGE_BYTES_MAX = 1024 * 1024;

interface Place {
  readonly index: number;
}

const sockets: uWS.WebSocket<Place>[] = [];

uWS
  .App()
  .ws<Place>("/*", {
    maxPayloadLength: MESSAGE_BYTES_MAX,
    maxBackpressure: 64 * MESSAGE_BYTES_MAX,
    idleTimeout: 0,
    upgrade(response, request, context) {
      response.upgrade<Place>(
        { index: Number(request.getUrl().slice(1)) },
        request.getHeader("sec-websocket-key"),
        request.getHeader("sec-websocket-protocol"),
        request.getHeader("sec-websocket-extensions"),
        context,
      );
    },
    open(ws) {
      sockets[ws.getUserData().index] = ws;
    },
    message(_ws, message) {
      const target = new DataView(message).getUint32(0, true);
      sockets[target]!.send(message, true);
    },
  })
  .listen("127.0.0.1", 0, (socket) => {
    if (!socket) throw new Error("the relay could not listen");
    answerRequests({ snapshot: takeSnapshot });
    announceReady({ port: uWS.us_socket_local_port(socket as unknown as uWS.us_socket) });
  });

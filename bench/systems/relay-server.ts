/**
 * What the relays have in common: a uWebSockets.js server without sign-in. A
 * client says its own index in the path it asks for (`GET /17`); a message carries
 * its target's index in its first four bytes (little endian) and is passed on as
 * it is. How is what the relays differ in.
 */
import * as uWS from "uWebSockets.js";
import { announceReady, answerRequests } from "../process/requests.js";
import { takeSnapshot } from "./server-telemetry.js";

const MESSAGE_BYTES_MAX = 1024 * 1024;

interface Place {
  readonly index: number;
}

export type RelaySocket = uWS.WebSocket<Place>;

export interface Relay {
  opened(socket: RelaySocket, index: number): void;
  /** The socket must not be used any more; default: whoever is sent to stays to the end. */
  closed?(index: number): void;
  /** The message is gone when this has returned. */
  received(message: ArrayBuffer, target: number): void;
}

export function serveRelay(relayOn: (app: uWS.TemplatedApp) => Relay): void {
  const app = uWS.App();
  const relay = relayOn(app);
  app
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
      open(socket) {
        relay.opened(socket, socket.getUserData().index);
      },
      close(socket) {
        relay.closed?.(socket.getUserData().index);
      },
      message(_socket, message) {
        relay.received(message, new DataView(message).getUint32(0, true));
      },
    })
    .listen("127.0.0.1", 0, (socket) => {
      if (!socket) throw new Error("the relay could not listen");
      answerRequests({ snapshot: takeSnapshot });
      announceReady({ port: uWS.us_socket_local_port(socket as unknown as uWS.us_socket) });
    });
}

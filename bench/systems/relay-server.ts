/**
 * What the relays have in common: a uWebSockets.js server without sign-in. A
 * client says its own index and the length of its envelopes in the path it asks for
 * (`GET /17/256`); an envelope carries its target's index in its first four bytes (little endian)
 * and is passed on as it is. How is what the relays differ in.
 */
import * as uWS from "uWebSockets.js";
import { announceReady, answerRequests } from "../process/requests.js";
import { takeSnapshot } from "./server-telemetry.js";

const MESSAGE_BYTES_MAX = 1024 * 1024;

interface Place {
  readonly index: number;
  readonly envelopeBytes: number;
}

/** The addon copies what was given at the upgrade onto the socket. */
export type RelaySocket = uWS.WebSocket<Place> & Place;

export interface Relay {
  opened(socket: RelaySocket, index: number): void;
  /** The socket must not be used any more; default: whoever is sent to stays to the end. */
  closed?(index: number): void;
  /** The message, of one envelope or of several one after the other, is gone when this has returned. */
  received(message: ArrayBuffer, from: RelaySocket): void;
}

export function targetOf(envelope: ArrayBuffer, at = 0): number {
  return new DataView(envelope).getUint32(at, true);
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
        const [, index, envelopeBytes] = request.getUrl().split("/");
        response.upgrade<Place>(
          { index: Number(index), envelopeBytes: Number(envelopeBytes) },
          request.getHeader("sec-websocket-key"),
          request.getHeader("sec-websocket-protocol"),
          request.getHeader("sec-websocket-extensions"),
          context,
        );
      },
      open(socket) {
        relay.opened(socket as RelaySocket, socket.getUserData().index);
      },
      close(socket) {
        relay.closed?.(socket.getUserData().index);
      },
      message(socket, message) {
        relay.received(message, socket as RelaySocket);
      },
    })
    .listen("127.0.0.1", 0, (socket) => {
      if (!socket) throw new Error("the relay could not listen");
      answerRequests({ snapshot: takeSnapshot });
      announceReady({ port: uWS.us_socket_local_port(socket as unknown as uWS.us_socket) });
    });
}

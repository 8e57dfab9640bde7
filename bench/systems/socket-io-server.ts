/**
 * A Socket.IO server as one would write it: a client says its name when it
 * connects; `send` names a target, is passed on to it as `deliver`, and is
 * acknowledged. The websocket transport alone, default engine, nothing kept.
 *
 * Socket.IO is no dependency of this package: it is taken from the directory named
 * by the first argument, where bench/peers/install.sh has put it.
 */
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { announceReady, answerRequests } from "../process/requests.js";
import { takeSnapshot } from "./server-telemetry.js";

/** As much of Socket.IO's types as is used here. */
interface SocketIo {
  readonly Server: new (
    http: ReturnType<typeof createServer>,
    options: { readonly transports: readonly string[]; readonly serveClient: boolean },
  ) => { on(event: "connection", listener: (socket: ServerSocket) => void): void };
}

interface ServerSocket {
  readonly handshake: { readonly auth: { readonly name?: string } };
  on(event: "send", listener: (target: string, payload: Uint8Array, acknowledge: () => void) => void): void;
  emit(event: "deliver", payload: Uint8Array): void;
}

const [modulesDirectory = ""] = process.argv.slice(2);
const requireFrom = createRequire(join(modulesDirectory, "package.json"));
const { Server } = requireFrom("socket.io") as SocketIo;

const http = createServer();
const server = new Server(http, { transports: ["websocket"], serveClient: false });
const sockets = new Map<string, ServerSocket>();

server.on("connection", (socket) => {
  sockets.set(socket.handshake.auth.name ?? "", socket);
  socket.on("send", (target, payload, acknowledge) => {
    sockets.get(target)?.emit("deliver", payload);
    acknowledge();
  });
});

http.listen(0, "127.0.0.1", () => {
  answerRequests({ snapshot: takeSnapshot });
  announceReady({ port: (http.address() as AddressInfo).port });
});

/** Socket.IO (socket-io-server.ts) with the websocket transport alone. */
import { startNodeServer } from "./node-server.js";
import { missingPackage, type Peer, peersDirectory } from "./peer.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions } from "./system.js";

export const socketIo: Peer = {
  name: "socket.io",
  durability: "none",
  guarantee:
    "passed on in order to a device that is connected, at most once; the receipt says that the server has had " +
    "the message; nothing kept, nothing for a device that is away",
  missing: () => missingPackage("socket.io", "socket.io"),
  async start(options: StartOptions) {
    const module = new URL("./socket-io-server.js", import.meta.url);
    const { child, ready } = await startNodeServer(module, options, [peersDirectory()]);
    return {
      port: ready.port,
      pid: child.pid,
      dialectFor: async () => ({ name: "socket.io" }),
      snapshot: (options) => child.request<ServerSnapshot>("snapshot", options),
      stop: () => child.kill(),
      kill: () => child.kill(),
    };
  },
};

/** Aedes, a broker in JavaScript (aedes-server.ts), with its own persistence in memory. */
import { startNodeServer } from "./node-server.js";
import { configuration, missingPackage, type Peer, peersDirectory } from "./peer.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions } from "./system.js";

export const aedes: Peer = {
  name: "aedes",
  durability: "memory",
  guarantee:
    "MQTT QoS 1: a receipt when the broker has it in memory; kept for a device that is away, at least once, " +
    "in order; gone when the broker is",
  missing: () => missingPackage("aedes", "aedes"),
  async start(options: StartOptions) {
    const module = new URL("./aedes-server.js", import.meta.url);
    const settings = configuration("aedes.json", {});
    const { child, ready } = await startNodeServer(module, options, [peersDirectory(), settings]);
    return {
      port: ready.port,
      pid: child.pid,
      dialectFor: async () => ({ name: "mqtt" }),
      snapshot: (options) => child.request<ServerSnapshot>("snapshot", options),
      stop: () => child.kill(),
      kill: () => child.kill(),
    };
  },
};

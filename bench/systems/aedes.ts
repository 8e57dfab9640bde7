/** Aedes, a broker in JavaScript (aedes-server.ts), with its own persistence in memory. */
import { Child } from "../process/child.js";
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
  async start({ core, exposeGc = false }: StartOptions) {
    const { child, ready } = await Child.start<{ port: number }>({
      module: new URL("./aedes-server.js", import.meta.url),
      args: [peersDirectory(), configuration("aedes.json", {})],
      nodeFlags: exposeGc ? ["--expose-gc"] : [],
      core,
    });
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

/** A relay of our own in a process of its own (relay-server.ts): nothing is signed in, receipted or kept. */
import type { RelayManners } from "../generator/relay-dialect.js";
import { startNodeServer } from "./node-server.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions, System } from "./system.js";

/** `module`: the server's. */
export function relay(name: string, module: URL, manners: RelayManners = {}): System {
  return {
    name,
    durability: "none",
    guarantee: "nothing: no sign-in, no ids, no receipt, nothing kept",
    async start(options: StartOptions) {
      const { child, ready } = await startNodeServer(module, options);
      return {
        port: ready.port,
        pid: child.pid,
        dialectFor: async () => ({ name: "relay", manners }),
        snapshot: (options) => child.request<ServerSnapshot>("snapshot", options),
        stop: () => child.kill(),
        kill: () => child.kill(),
      };
    },
  };
}

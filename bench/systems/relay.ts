/** A relay of our own in a process of its own (relay-server.ts): nothing is signed in, receipted or kept. */
import { startNodeServer } from "./node-server.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions, System } from "./system.js";

/** `module`: the server's; `packs`: it is sent, and sends, several envelopes in one message. */
export function relay(name: string, module: URL, packs = false): System {
  return {
    name,
    durability: "none",
    guarantee: "nothing: no sign-in, no ids, no receipt, nothing kept",
    async start(options: StartOptions) {
      const { child, ready } = await startNodeServer(module, options);
      return {
        port: ready.port,
        pid: child.pid,
        dialectFor: async () => ({ name: "relay", packs }),
        snapshot: (options) => child.request<ServerSnapshot>("snapshot", options),
        stop: () => child.kill(),
        kill: () => child.kill(),
      };
    },
  };
}

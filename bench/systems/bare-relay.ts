/** The bare uWebSockets.js relay (bare-relay-server.ts): the limit everything is compared with. */
import { Child } from "../process/child.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions, System } from "./system.js";

export const bareRelay: System = {
  name: "bare-relay",
  durability: "none",
  guarantee: "nothing: no sign-in, no ids, no receipt, nothing kept",
  async start({ core, exposeGc = false }: StartOptions) {
    const { child, ready } = await Child.start<{ port: number }>({
      module: new URL("./bare-relay-server.js", import.meta.url),
      nodeFlags: exposeGc ? ["--expose-gc"] : [],
      core,
    });
    return {
      port: ready.port,
      pid: child.pid,
      dialectFor: async () => ({ name: "relay" }),
      snapshot: (options) => child.request<ServerSnapshot>("snapshot", options),
      stop: () => child.kill(),
      kill: () => child.kill(),
    };
  },
};

/** uWebSockets.js publishing to a topic per device (uws-topics-server.ts): the limit for fan-out. */
import { Child } from "../process/child.js";
import type { Peer } from "./peer.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions } from "./system.js";

export const uwsTopics: Peer = {
  name: "uws-topics",
  durability: "none",
  guarantee: "nothing: no sign-in, no ids, no receipt, nothing kept",
  /** A dependency of this package. */
  missing: () => undefined,
  async start({ core, exposeGc = false }: StartOptions) {
    const { child, ready } = await Child.start<{ port: number }>({
      module: new URL("./uws-topics-server.js", import.meta.url),
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

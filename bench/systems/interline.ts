/** Interline itself (interline-server.ts): every receipt waits for the flush to disk. */
import type { SignIn, Windows } from "../generator/interline-dialect.js";
import type { GroupName } from "../generator/sized-sends.js";
import { startNodeServer } from "./node-server.js";
import type { ServerSnapshot } from "./server-telemetry.js";
import type { StartOptions, System } from "./system.js";

/** What a device of the benchmark takes unacked: beyond what any workload keeps in flight. */
export const deviceWindows: Windows = { entries: 1024, bytes: 512 * 1024 };

export const interline: System = {
  name: "interline",
  durability: "disk",
  guarantee:
    "a receipt after the flush to disk; once and in order to each device, kept until the device has acked it",
  async start(options: StartOptions) {
    const module = new URL("./interline-server.js", import.meta.url);
    const { child, ready } = await startNodeServer(module, options, [options.directory]);
    return {
      port: ready.port,
      pid: child.pid,
      async dialectFor(devices) {
        const signIns = await child.request<SignIn[]>("mint", { accounts: devices });
        return { name: "interline", signIns, windows: deviceWindows };
      },
      groupsOf: (groups) => child.request<GroupName[]>("groups", groups),
      snapshot: (options) => child.request<ServerSnapshot>("snapshot", options),
      async stop() {
        await child.request("stop");
        await child.kill();
      },
      kill: () => child.kill(),
    };
  },
};

/** Core NATS, a server in Go, as bench/peers/nats.conf sets it up. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, Program } from "../process/program.js";
import { configuration, installedProgram, missingProgram, type Peer, runningProgram } from "./peer.js";
import type { StartOptions } from "./system.js";

export const nats: Peer = {
  name: "nats",
  durability: "none",
  guarantee:
    "passed on in order to a device that is connected, at most once; no receipt, nothing kept, " +
    "nothing for a device that is away",
  missing: () => missingProgram("nats", "nats-server"),
  async start({ core, directory }: StartOptions) {
    const port = await freePort();
    const file = join(directory, "nats.conf");
    await writeFile(file, configuration("nats.conf", { PORT: port }));
    const program = await Program.start({
      file: installedProgram("nats-server"),
      args: ["-c", file],
      core,
      port,
    });
    return { ...runningProgram(program, port), dialectFor: async () => ({ name: "nats" }) };
  },
};

/** Eclipse Mosquitto, a broker in C with one thread, as bench/peers/mosquitto.conf sets it up. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, Program } from "../process/program.js";
import { configuration, installedProgram, missingProgram, type Peer, runningProgram } from "./peer.js";
import type { StartOptions } from "./system.js";

export const mosquitto: Peer = {
  name: "mosquitto",
  durability: "memory",
  guarantee:
    "MQTT QoS 1: a receipt when the broker has it in memory; kept for a device that is away, at least once, " +
    "in order; gone when the broker is",
  missing: () => missingProgram("mosquitto", "mosquitto"),
  async start({ core, directory }: StartOptions) {
    const port = await freePort();
    const file = join(directory, "mosquitto.conf");
    await writeFile(file, configuration("mosquitto.conf", { PORT: port }));
    const program = await Program.start({
      file: installedProgram("mosquitto"),
      args: ["-c", file],
      core,
      port,
    });
    return { ...runningProgram(program, port), dialectFor: async () => ({ name: "mqtt" }) };
  },
};

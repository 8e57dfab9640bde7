/** NATS JetStream as bench/peers/jetstream.conf sets it up: one stream in a file, a consumer per device. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, Program } from "../process/program.js";
import { createConsumers } from "./jetstream-setup.js";
import { configuration, installedProgram, missingProgram, type Peer, runningProgram } from "./peer.js";
import type { StartOptions } from "./system.js";

export const jetstream: Peer = {
  name: "jetstream",
  durability: "memory",
  guarantee:
    "a receipt when the message is written to the stream's file, which is flushed every two minutes: it outlives " +
    "the server's process, not the machine; kept until the device has acked it, at least once, in order but for what " +
    "is delivered again",
  missing: () => missingProgram("nats", "nats-server"),
  async start({ core, directory }: StartOptions) {
    const port = await freePort();
    const file = join(directory, "jetstream.conf");
    await writeFile(file, configuration("jetstream.conf", { PORT: port, DIRECTORY: directory }));
    const program = await Program.start({
      file: installedProgram("nats-server"),
      args: ["-c", file],
      core,
      port,
    });
    return {
      ...runningProgram(program, port),
      async dialectFor(devices) {
        await createConsumers({ port, devices });
        return { name: "jetstream" };
      },
    };
  },
};

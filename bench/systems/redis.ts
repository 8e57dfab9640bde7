/**
 * Redis Streams as bench/peers/redis.conf sets it up, twice: with its log of
 * commands flushed once a second, and before every reply.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Durability, durabilities } from "../../src/wire/protocol.js";
import { freePort, Program } from "../process/program.js";
import { configuration, installedProgram, missingProgram, type Peer, runningProgram } from "./peer.js";
import type { StartOptions } from "./system.js";

const DELIVERY = "in order to each device, at least once, kept until it has removed it";

export const redis: Peer = redisWith({
  name: "redis",
  flush: "everysec",
  durability: "memory",
  guarantee: `a receipt when Redis has it in memory; a crash of the machine loses a second or two; ${DELIVERY}`,
});

export const redisSync: Peer = redisWith({
  name: "redis-sync",
  flush: "always",
  durability: "disk",
  guarantee: `a receipt after the flush to disk; ${DELIVERY}`,
});

function redisWith(options: {
  readonly name: string;
  readonly flush: "everysec" | "always";
  readonly durability: Durability;
  readonly guarantee: string;
}): Peer {
  const { name, flush, durability, guarantee } = options;
  return {
    name,
    durability,
    guarantee,
    missing: () => missingProgram("redis", "redis-server"),
    async start({ core, directory }: StartOptions) {
      const port = await freePort();
      const file = join(directory, "redis.conf");
      const values = { PORT: port, DIRECTORY: directory, FLUSH: flush };
      await writeFile(file, configuration("redis.conf", values));
      const program = await Program.start({
        file: installedProgram("redis-server"),
        args: [file],
        core,
        port,
      });
      return {
        ...runningProgram(program, port),
        dialectFor: async () => ({ name: "redis", durability: durabilities[durability] }),
      };
    },
  };
}

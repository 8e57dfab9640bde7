/**
 * ejabberd, an XMPP server in Erlang, as bench/peers/ejabberd.yml sets it up. The
 * Erlang machine is started here and not by `ejabberdctl`, which changes the user,
 * wants a node name, and starts a name server that outlives it.
 */
import { readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { XmppDomain } from "../generator/xmpp-dialect.js";
import { freePort, Program } from "../process/program.js";
import { configuration, installedProgram, missingProgram, type Peer, runningProgram } from "./peer.js";
import type { StartOptions } from "./system.js";
import { registerDevices } from "./xmpp-registration.js";

const START_TIMEOUT_MS = 60_000;
const LIBRARIES = "/usr/lib";

/** More processes than 1,000 connections need, and no spinning while a scheduler waits. */
const MACHINE_FLAGS = ["+P", "250000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"];

const domain: XmppDomain = { domain: "localhost", password: "secret" };

export const ejabberd: Peer = {
  name: "ejabberd",
  durability: "none",
  guarantee:
    "XMPP with stream management: kept until the device has acked it, stored for one that is away, at least " +
    "once, in order while it stays; the sender gets no receipt",
  missing: () => missingProgram("ejabberd", "ejabberdctl"),
  async start({ core, directory }: StartOptions) {
    const port = await freePort();
    const file = join(directory, "ejabberd.yml");
    const database = join(directory, "database");
    await mkdir(database, { recursive: true });
    await writeFile(file, configuration("ejabberd.yml", { PORT: port }));
    const program = await Program.start({
      file: installedProgram("erl"),
      args: [...MACHINE_FLAGS, "-noinput", "-mnesia", "dir", JSON.stringify(database), "-s", "ejabberd"],
      environment: {
        ERL_LIBS: librariesFolder(),
        EJABBERD_CONFIG_PATH: file,
        EJABBERD_LOG_PATH: join(directory, "ejabberd.log"),
        ERL_CRASH_DUMP: join(directory, "crash.dump"),
        HOME: directory,
      },
      core,
      port,
      readyTimeoutMs: START_TIMEOUT_MS,
    });
    return {
      ...runningProgram(program, port),
      async dialectFor(devices) {
        await registerDevices({ port, devices, domain });
        return { name: "xmpp", domain };
      },
    };
  },
};

/** Debian keeps Erlang's applications in the folder of the machine's architecture, or in /usr/lib itself. */
function librariesFolder(): string {
  const holds = (folder: string) => {
    try {
      return readdirSync(folder).some((name) => name.startsWith("ejabberd-"));
    } catch {
      return false;
    }
  };
  const folders = [LIBRARIES, ...readdirSync(LIBRARIES).map((name) => join(LIBRARIES, name))];
  const found = folders.find(holds);
  if (found === undefined) throw new Error("ejabberd's Erlang applications are not where Debian puts them");
  return found;
}

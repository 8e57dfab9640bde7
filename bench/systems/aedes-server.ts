/**
 * The measured Aedes broker, in a process of its own. It is no dependency of this
 * project: the first argument names the folder that bench/peers/install.sh put it
 * in, the second is the broker's options as JSON.
 */
import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { announceReady, answerRequests } from "../process/requests.js";
import { takeSnapshot } from "./server-telemetry.js";

/** The part of the package that is used here. */
interface AedesPackage {
  readonly Aedes: {
    createBroker(options: unknown): Promise<{ handle(socket: Socket): void }>;
  };
}

const BACKLOG = 511;

const [folder = "", options = "{}"] = process.argv.slice(2);
const entry = createRequire(join(folder, "package.json")).resolve("aedes");
const { Aedes } = (await import(pathToFileURL(entry).href)) as AedesPackage;
const broker = await Aedes.createBroker(JSON.parse(options));

const server = createServer({ noDelay: true }, (socket) => broker.handle(socket));
server.listen({ host: "127.0.0.1", port: 0, backlog: BACKLOG }, () => {
  answerRequests({ snapshot: takeSnapshot });
  announceReady({ port: (server.address() as AddressInfo).port });
});

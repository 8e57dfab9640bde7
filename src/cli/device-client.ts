/**
 * The client behind `send`, `listen` and `transfer`: which device it is, with what token,
 * at which node. A token is given, or minted from the development brands of the
 * data directory afresh for every attempt.
 */
import { type Command, Option } from "commander";
import { type Client, createClient, type InterlineError } from "../client/client.js";
import type { Config } from "../config.js";
import { DevelopmentBrands } from "../directory/development-brands.js";
import { limits } from "../rules/limits.js";
import type { WelcomeBody } from "../wire/protocol.js";
import { BrandNames, configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import { type CliContext, CliError, exitCodes, wholeNumber } from "./output.js";

const TOKEN_TTL_MS = 3_600_000;
/** A node that does not answer by then is said not to be there, however long the verb itself may take. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface DeviceFlags extends DirectoryFlags {
  readonly url?: string;
  readonly token?: string;
  readonly brand?: string;
  readonly account?: string;
  readonly device: number;
  /** For all that the verb does; reaching the node is a part of it. */
  readonly timeout?: number;
}

/** Adds the options that say which device it is and where the node is. */
export function withDeviceOptions(command: Command): Command {
  return command
    .option("-b, --brand <name>", "the device's brand, by name or number")
    .option("-a, --account <account>", "the device's account")
    .option("-n, --device <number>", "the device's number", wholeNumber(1, limits.deviceNumberMax), 1)
    .addOption(
      new Option(
        "--token <token>",
        "a token from the brand's issuer, in place of brand, account and device",
      ).env("INTERLINE_TOKEN"),
    )
    .addOption(new Option("-u, --url <url>", "the node (that of the configuration)").env("INTERLINE_URL"))
    .addOption(dataOption())
    .addOption(configOption());
}

export interface DeviceClient {
  readonly client: Client;
  readonly names: BrandNames;
  readonly welcome: WelcomeBody;
}

/**
 * Connects; rejects when the first attempt fails. Later cuts are mended by the client itself. What must listen before
 * anything arrives is begun by `prepare`.
 */
export async function connectDevice(
  flags: DeviceFlags,
  context: CliContext,
  prepare: (client: Client) => Promise<void> = async () => {},
): Promise<DeviceClient> {
  const config = configFor(flags, context);
  const token = tokenSource(flags, config);
  const url = nodeUrl(flags.url ?? urlOf(config));
  const connectTimeoutMs = Math.min(flags.timeout ?? CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS);
  const client = createClient({ url, token, connectTimeoutMs });
  try {
    await prepare(client);
    const welcome = await firstWelcome(client, url);
    return { client, names: BrandNames.of(config), welcome };
  } catch (error) {
    await client.close();
    throw error;
  }
}

function nodeUrl(text: string): string {
  if (/^wss?:\/\//i.test(text) && URL.canParse(text)) return text;
  throw new CliError(
    `"${text}" is no node's address: expected ws://host:port or wss://host:port`,
    exitCodes.usage,
  );
}

/** Where a node of this configuration is reached from this machine. */
export function urlOf({ host, port, tls }: Pick<Config, "host" | "port" | "tls">): string {
  const anyHost: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  const name = anyHost[host] ?? host;
  return `${tls === undefined ? "ws" : "wss"}://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function tokenSource(flags: DeviceFlags, config: Config): () => string | Promise<string> {
  const { token, brand, account, device } = flags;
  if (token !== undefined) return () => token;
  if (brand === undefined || account === undefined) {
    throw new CliError("say who you are: --brand and --account, or --token", exitCodes.usage);
  }
  if (config.brands !== undefined) {
    throw new CliError("brands are configured: get a token from the brand's issuer and give it with --token");
  }
  const brands = developmentBrandsIn(config.dataDirectory);
  return () => brands.mint({ brand, account, device, ttlMs: TOKEN_TTL_MS });
}

/** Those that a node has made there. Made here they would be keys that no running node knows. */
export function developmentBrandsIn(dataDirectory: string): DevelopmentBrands {
  const brands = DevelopmentBrands.find(dataDirectory);
  if (brands !== undefined) return brands;
  throw new CliError(
    `there are no development brands in ${dataDirectory}: start the node first, or name its directory with --data-directory`,
  );
}

function firstWelcome(client: Client, url: string): Promise<WelcomeBody> {
  return new Promise((resolve, reject) => {
    const remove = client.on("disconnected", ({ error }) => reject(explain(error, url)));
    client
      .connect()
      .then(resolve, (error) => reject(explain(error, url)))
      .finally(remove);
  });
}

/** The client says what happened; which node was meant, and what to do, is known here. */
function explain(error: InterlineError, url: string): Error {
  if (error.code === "connectionLost" || error.code === "connectTimeout") {
    const why = error.message.trim().replace(/\s*\n\s*/g, " ");
    return new CliError(`no node answers at ${url}: is one running there? (${why})`);
  }
  const cause = error.code === "tokenUnavailable" ? error.cause : undefined;
  return cause instanceof Error ? cause : error;
}

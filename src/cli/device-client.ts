/**
 * The client behind every verb that speaks as a device: which device it is, with what token,
 * at which node. A token is given, or minted from the development brands of the
 * data directory afresh for every attempt.
 */
import { Command, Option } from "commander";
import {
  type Client,
  createClient,
  createSealedClient,
  InterlineError,
  type SealedClient,
} from "../client/client.js";
import type { Config } from "../config.js";
import { DevelopmentBrands } from "../directory/development-brands.js";
import { limits } from "../rules/limits.js";
import type { WelcomeBody } from "../wire/protocol.js";
import { isSealed } from "../wire/sealed.js";
import { BrandNames, configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import { type CliContext, CliError, exitCodes, Output, timeoutMs, wholeNumber } from "./output.js";

const TOKEN_TTL_MS = 3_600_000;
/** A node that does not answer by then is said not to be there, however long the verb itself may take. */
const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 30_000;

/** Where the node is, and with what to sign in. */
export interface NodeFlags extends DirectoryFlags {
  readonly url?: string;
  readonly token?: string;
  /** For all that the verb does; reaching the node is a part of it. */
  readonly timeout?: number;
}

export interface DeviceFlags extends NodeFlags {
  readonly brand?: string;
  readonly account?: string;
  readonly device: number;
}

/** Of verbs that ask something and end with the answer. */
export interface AskFlags extends DeviceFlags {
  readonly timeout: number;
  readonly json?: boolean;
}

/** Adds the options that say which device it is and where the node is. */
export function withDeviceOptions(command: Command): Command {
  return command
    .option("-b, --brand <name>", "the device's brand, by name or number")
    .option("-a, --account <account>", "the device's account")
    .option("-n, --device <number>", "the device's number", wholeNumber(1, limits.deviceNumberMax), 1)
    .option("--token <token>", "a token of the brand's issuer, in place of those three (INTERLINE_TOKEN)")
    .option("-u, --url <url>", "the node: ws:// or wss:// (INTERLINE_URL, that of the configuration)")
    .addOption(dataOption())
    .addOption(configOption());
}

export const answerTimeoutOption = () =>
  new Option("--timeout <time>", "give up when there is no answer after this time")
    .argParser(timeoutMs)
    .default(ANSWER_TIMEOUT_MS, `${ANSWER_TIMEOUT_MS / 1000}s`);

/** A verb that asks something as a device: what it takes besides stands before the device's options. */
export function askVerb(
  name: string,
  { summary, more, examples }: { summary: string; more?: string; examples: readonly string[] },
  own: (command: Command) => Command = (command) => command,
): Command {
  const sentence = `${summary[0]?.toUpperCase()}${summary.slice(1)}.`;
  const command = new Command(name)
    .summary(summary)
    .description(more === undefined ? sentence : `${sentence}\n${more}`);
  return withDeviceOptions(own(command))
    .addOption(answerTimeoutOption())
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExamples:${examples.map((example) => `\n  interline ${example}`).join("")}`);
}

export interface DeviceClient {
  readonly client: Client;
  readonly names: BrandNames;
  readonly welcome: WelcomeBody;
}

export interface ConnectOptions {
  /** Begins what must listen before anything arrives. */
  readonly prepare?: (client: Client, names: BrandNames) => void | Promise<void>;
  /** Nothing that is queued for the device is taken: that is for `listen`. */
  readonly takesNothing?: boolean;
}

/** Connects; rejects when the first attempt fails. Later cuts are mended by the client itself. */
export async function connectDevice(
  flags: DeviceFlags,
  context: CliContext,
  { prepare, takesNothing = false }: ConnectOptions = {},
): Promise<DeviceClient> {
  const config = configFor(flags, context);
  const names = BrandNames.of(config);
  const token = tokenSource(flags, config, names, context);
  const where = placeOf(flags, config, context);
  const client = createClient({ ...where, token, acks: takesNothing ? "none" : "auto" });
  try {
    await prepare?.(client, names);
    const welcome = await firstWelcome(client, where.url);
    return { client, names, welcome };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/**
 * Asks something as a device, and leaves. `unanswered` is what is told when there is no answer in time: the client would
 * go on trying for ever, and a person at a terminal would not know.
 */
export async function asDevice(
  flags: AskFlags,
  context: CliContext,
  ask: (device: DeviceClient & { readonly out: Output }) => Promise<void>,
  unanswered = "no answer",
): Promise<void> {
  const device = await connectDevice(flags, context, { takesNothing: true });
  try {
    await inTime(ask({ ...device, out: new Output(context, flags) }), flags.timeout, unanswered);
  } finally {
    await device.client.close();
  }
}

export async function inTime<T>(work: Promise<T>, timeoutMs: number, unanswered: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new CliError(`${unanswered} after ${timeoutMs / 1000} s`);
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a refusal means here, in place of the registry's general sentence. */
export async function meaning<T>(
  meanings: { readonly [Code in InterlineError["code"]]?: string },
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const text = error instanceof InterlineError ? meanings[error.code] : undefined;
    if (text === undefined) throw error;
    throw new CliError(text, exitCodes.failed, { code: (error as InterlineError).code });
  }
}

/** Which node, and how long to wait for it. */
function placeOf(
  flags: NodeFlags,
  config: Config,
  { environment }: CliContext,
): { readonly url: string; readonly connectTimeoutMs: number; readonly welcomeTimeoutMs?: number } {
  return {
    url: nodeUrl(flags.url ?? environment.INTERLINE_URL ?? urlOf(config)),
    connectTimeoutMs: Math.min(flags.timeout ?? CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS),
    ...(flags.timeout !== undefined && { welcomeTimeoutMs: flags.timeout }),
  };
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

function tokenSource(
  flags: DeviceFlags,
  config: Config,
  names: BrandNames,
  { environment }: CliContext,
): () => string | Promise<string> {
  const { token = environment.INTERLINE_TOKEN, account, device } = flags;
  if (token !== undefined) return () => token;
  if (flags.brand === undefined || account === undefined) {
    throw new CliError("say who you are: --brand and --account, or --token", exitCodes.usage);
  }
  const brands = mintingBrands(config);
  const brand = names.brand(names.numberOf(flags.brand));
  return () => brands.mint({ brand, account, device, ttlMs: TOKEN_TTL_MS });
}

/**
 * Connects as nobody, with a token that names no account. Whoever gives a token that does would be named by it, so it
 * is not used: the node would know who sends what follows.
 */
export async function connectSealed(
  flags: NodeFlags & { readonly brand?: string; readonly account?: string },
  context: CliContext,
): Promise<{ readonly client: SealedClient; readonly names: BrandNames; readonly welcome: WelcomeBody }> {
  const config = configFor(flags, context);
  const names = BrandNames.of(config);
  const token = sealedTokenSource(flags, config, names, context);
  const where = placeOf(flags, config, context);
  const client = createSealedClient({ ...where, token });
  try {
    const welcome = await firstWelcome(client, where.url);
    if (isSealed(welcome.device)) return { client, names, welcome };
    throw new CliError(
      'this token names who sends: a sealed send wants one that names nobody ("interline token --anonymous")',
    );
  } catch (error) {
    await client.close();
    throw error;
  }
}

function sealedTokenSource(
  flags: NodeFlags & { readonly brand?: string; readonly account?: string },
  config: Config,
  names: BrandNames,
  { environment }: CliContext,
): () => string | Promise<string> {
  const { token = environment.INTERLINE_TOKEN } = flags;
  if (flags.account !== undefined) {
    throw new CliError("a sealed envelope names no sender: leave --account out", exitCodes.usage);
  }
  if (token !== undefined) return () => token;
  if (flags.brand === undefined) {
    throw new CliError("say of which brand a token is to be: --brand, or --token", exitCodes.usage);
  }
  const brands = mintingBrands(config);
  const brand = names.brand(names.numberOf(flags.brand));
  return () => brands.mintAnonymous({ brand, ttlMs: TOKEN_TTL_MS });
}

/** The development brands, where there are no others. */
export function mintingBrands(config: Config): DevelopmentBrands {
  if (config.brands === undefined) return developmentBrandsIn(config.dataDirectory);
  throw new CliError("brands are configured: get a token from the brand's issuer and give it with --token");
}

/** Those that a node has made there. Made here they would be keys that no running node knows. */
export function developmentBrandsIn(dataDirectory: string): DevelopmentBrands {
  const brands = DevelopmentBrands.find(dataDirectory);
  if (brands !== undefined) return brands;
  throw new CliError(
    `there are no development brands in ${dataDirectory}: start the node first, or name its directory with --data-directory`,
  );
}

function firstWelcome(
  client: Pick<Client, "connect"> & {
    on(name: "disconnected", listener: (event: { error: InterlineError }) => void): () => void;
  },
  url: string,
): Promise<WelcomeBody> {
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

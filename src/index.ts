/**
 * What an embedder imports: `createNode` starts a node inside this process.
 *
 *   const node = await createNode({ dataDirectory: "./data", listen: false });
 *   const alice = node.attach({ brand: "whatsapp", account: "alice", device: 1 });
 *   await alice.connect();
 *
 * Without `brands` a development set with keys of its own is made in the data directory, and `mintToken` signs for it.
 */
import { type DeviceAddress, deviceAddress } from "./base/address.js";
import { systemClock } from "./base/clock.js";
import {
  type Client,
  type ClientOptions,
  createClient,
  createSealedClient,
  type SealedClient,
  type SealedClientOptions,
} from "./client/client.js";
import type { LogLevel } from "./config.js";
import { accountIdFor, DevelopmentBrands } from "./directory/development-brands.js";
import { type BrandSettings, SignIn } from "./directory/sign-in.js";
import { type Limits, RunningNode } from "./node.js";
import { createLog } from "./ops/log.js";
import { BuiltInSender, type PushSettings } from "./push/senders.js";
import type { Crossing } from "./rules/brands.js";
import { limits } from "./rules/limits.js";
import type { PushSender } from "./rules/push.js";
import type { SignedIn, SignedInService } from "./rules/sign-in.js";
import { CodedError } from "./wire/coded-error.js";
import type { CodeName } from "./wire/codes.js";

export {
  type AccountAddress,
  accountAddress,
  accountOf,
  type DeviceAddress,
  deviceAddress,
  formatAddress,
  parseAddress,
} from "./base/address.js";
export type { BrandSettings } from "./directory/sign-in.js";
export type { Limits } from "./node.js";
export type { PushSettings, VapidSettings, WebhookSettings, WebPushSettings } from "./push/senders.js";
export type { Crossing } from "./rules/brands.js";
export type { PushKind, PushOutcome, PushSender, PushTarget, WakeUp } from "./rules/push.js";
export type { SignedIn, SignedInDevice, SignedInService, SignedInUnidentified } from "./rules/sign-in.js";
export { CodedError } from "./wire/coded-error.js";
export { type CodeName, codes } from "./wire/codes.js";

/** Where the embedding application has its say. None of them is called per envelope. */
export interface NodeHooks {
  /** Brings your own sign-in: which device does this token speak for, or which brand lets somebody in without a name? Throw CodedError `tokenInvalid` or `tokenExpired`. */
  readonly signIn?: (token: string) => Promise<SignedIn>;
  /** … and of your brands' back ends, for `admin`. */
  readonly signInService?: (token: string) => Promise<SignedInService>;
  /** Asked for every ordered pair of brands at start, instead of `crossing`. */
  readonly mayCross?: (from: string, to: string) => boolean;
  readonly connected?: (device: DeviceAddress) => void;
  readonly disconnected?: (device: DeviceAddress) => void;
  /** Entries went to the queue on disk of a device that has not acked them, whether it is connected or not. */
  readonly queued?: (device: DeviceAddress, entries: number) => void;
  readonly refused?: (code: CodeName) => void;
  /** Something on disk is damaged; it is left out and the rest goes on. */
  readonly corrupted?: (table: string, detail: string) => void;
}

export interface NodeOptions {
  readonly dataDirectory: string;
  /** False for no port of its own: only devices of this process. */
  readonly listen?: boolean;
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** A port of its own for the brands' back ends (docs/openapi.yaml), never to be public; none without. */
  readonly admin?: { readonly host?: string; readonly port: number };
  readonly brands?: readonly BrandSettings[];
  readonly crossing?: Crossing;
  /** How devices that are away are woken: settings of what is built in, or a sender of your own. Nobody is woken without. */
  readonly push?: PushSettings | PushSender;
  /** Overrides of rules/limits.ts. */
  readonly limits?: Partial<Limits>;
  /** `trace` to `error`, to stderr; `silent` without. */
  readonly logLevel?: LogLevel;
  /** A line for people instead of JSON. */
  readonly isLogReadable?: boolean;
  readonly hooks?: NodeHooks;
}

/** A device by names: the account as 32 hex digits, a UUID, or (development) any name. */
export interface DeviceName {
  readonly brand: string;
  readonly account: string;
  readonly device: number;
}

export interface InterlineNode {
  /** `ws://host:port`; undefined without a port. */
  readonly url: string | undefined;
  readonly port: number | undefined;
  /** `http://host:port` of the admin API; undefined without. */
  readonly adminUrl: string | undefined;
  /** Resolves with the reason when the node cannot go on (its storage failed); never otherwise. */
  readonly failed: Promise<Error>;
  readonly brands: readonly { readonly number: number; readonly name: string }[];
  /** The address of a device; throws CodedError `badConfiguration` for an unknown brand. */
  address(name: DeviceName): DeviceAddress;
  /** A client for a device of this process: the SDK without a socket and without a token. Call connect() on it. */
  attach(name: DeviceName, options?: Partial<Omit<ClientOptions, "url" | "token" | "transport">>): Client;
  /** A client of this process that sends sealed envelopes for somebody of a brand who is not named. Call connect() on it. */
  attachSealed(
    brand: string,
    options?: Partial<Omit<SealedClientOptions, "url" | "token" | "transport">>,
  ): SealedClient;
  /** A token of the development brands, valid for `ttlMs` (an hour). */
  mintToken(name: DeviceName & { readonly ttlMs?: number }): Promise<string>;
  /** A token of the development brands with which a connection speaks for nobody. */
  mintAnonymousToken(request: { readonly brand: string; readonly ttlMs?: number }): Promise<string>;
  /** Counters since start, and what the store says of itself. */
  stats(): NodeStats;
  /** Takes no new connection, finishes what was accepted, tells every device to come back later, and closes. */
  stop(): Promise<void>;
}

export type NodeStats = ReturnType<RunningNode["stats"]>;

const TOKEN_TTL_MS = 3_600_000;

const optionNames: Readonly<Record<keyof NodeOptions, true>> = {
  dataDirectory: true,
  listen: true,
  host: true,
  port: true,
  tls: true,
  admin: true,
  brands: true,
  crossing: true,
  push: true,
  limits: true,
  logLevel: true,
  isLogReadable: true,
  hooks: true,
};

/** For those whom no compiler tells: a mistyped option would leave a default in force without a word. */
function checkOptions(options: NodeOptions): void {
  const wrong = (detail: string) => new CodedError("badConfiguration", { detail, fatal: true });
  if (typeof options?.dataDirectory !== "string" || options.dataDirectory === "")
    throw wrong("createNode needs { dataDirectory: <path> }");
  const unknown = Object.keys(options).find((name) => !(name in optionNames));
  if (unknown !== undefined)
    throw wrong(`no option ${unknown}: there are ${Object.keys(optionNames).join(", ")}`);
  for (const [name, value] of Object.entries(options.limits ?? {})) {
    if (!(name in limits)) throw wrong(`no limit ${name}: they are named in docs/operations.md`);
    if (!Number.isFinite(value)) throw wrong(`limit ${name} is a number`);
  }
}

/** Throws CodedError `badConfiguration` for options that cannot be meant, and whatever keeps the node from starting. */
export async function createNode(options: NodeOptions): Promise<InterlineNode> {
  checkOptions(options);
  const development =
    options.brands === undefined ? DevelopmentBrands.open(options.dataDirectory) : undefined;
  const brands = options.brands ?? development?.settings() ?? [];
  const { hooks = {} } = options;
  const issuers = hooks.signIn === undefined ? await SignIn.open(brands) : undefined;
  const log = createLog({ level: options.logLevel ?? "silent", isReadable: options.isLogReadable ?? false });
  const running = await RunningNode.start({
    dataDirectory: options.dataDirectory,
    brands,
    crossing: hooks.mayCross === undefined ? (options.crossing ?? "open") : pairs(brands, hooks.mayCross),
    limits: { ...limits, ...options.limits },
    signIn: hooks.signIn ?? ((token) => (issuers as SignIn).signIn(token)),
    signInService: hooks.signInService ?? signInServiceOf(issuers),
    removalMs: (brand) => issuers?.removalMs(brand) ?? systemClock.wallMs(),
    admin: options.admin && { host: "127.0.0.1", ...options.admin },
    ...(issuers && {
      signInStats: () => ({
        faults: issuers.faults(),
        keyReadings: issuers.keyReadings(),
        signaturesVerified: issuers.signaturesVerified(),
      }),
    }),
    listen: listenOf(options),
    push: senderOf(options.push),
    events: eventsOf(hooks),
    onCorruption: hooks.corrupted ?? (() => {}),
    log,
  });
  return new EmbeddedNode(running, brands, development);
}

/** Who brings their own sign-in of devices has no issuers that could vouch for a back end. */
function signInServiceOf(issuers: SignIn | undefined): (token: string) => Promise<SignedInService> {
  return async (token) => {
    if (issuers === undefined) throw new CodedError("tokenInvalid");
    return issuers.signInService(token);
  };
}

function listenOf({ listen = true, host = "127.0.0.1", port = 7400, tls }: NodeOptions) {
  if (!listen) return undefined;
  return tls === undefined ? { host, port } : { host, port, tls };
}

function senderOf(push: PushSettings | PushSender | undefined): PushSender | undefined {
  return push === undefined || "send" in push ? push : new BuiltInSender(push);
}

function pairs(brands: readonly BrandSettings[], mayCross: (from: string, to: string) => boolean): Crossing {
  const all = brands.flatMap((from) => brands.map((to) => ({ from: from.name, to: to.name })));
  return all.filter(({ from, to }) => mayCross(from, to));
}

function eventsOf({ connected, disconnected, queued, refused }: NodeHooks) {
  return {
    ...(connected && { connected }),
    ...(disconnected && { disconnected }),
    ...(queued && { queued }),
    ...(refused && { refused }),
  };
}

class EmbeddedNode implements InterlineNode {
  readonly failed: Promise<Error>;
  readonly #running: RunningNode;
  readonly #development: DevelopmentBrands | undefined;
  readonly brands: readonly BrandSettings[];

  constructor(
    running: RunningNode,
    brands: readonly BrandSettings[],
    development: DevelopmentBrands | undefined,
  ) {
    this.#running = running;
    this.#development = development;
    this.brands = brands;
    this.failed = running.failed;
  }

  get url(): string | undefined {
    return this.#running.edge?.url;
  }

  get port(): number | undefined {
    return this.#running.edge?.port;
  }

  get adminUrl(): string | undefined {
    return this.#running.admin?.url;
  }

  address({ brand, account, device }: DeviceName): DeviceAddress {
    return deviceAddress({ brand: this.#brand(brand).number, account: accountIdFor(account), device });
  }

  attach(
    name: DeviceName,
    options: Partial<Omit<ClientOptions, "url" | "token" | "transport">> = {},
  ): Client {
    const transport = this.#running.transport({ device: this.address(name) });
    return createClient({ ...options, url: "interline:local", token: () => "", transport });
  }

  attachSealed(
    brand: string,
    options: Partial<Omit<SealedClientOptions, "url" | "token" | "transport">> = {},
  ): SealedClient {
    const transport = this.#running.transport({ brand: this.#brand(brand).number });
    return createSealedClient({ ...options, url: "interline:local", token: () => "", transport });
  }

  #brand(name: string): BrandSettings {
    const found = this.brands.find((brand) => brand.name === name);
    if (found !== undefined) return found;
    throw new CodedError("badConfiguration", { detail: `no brand is named "${name}"` });
  }

  async mintToken({
    ttlMs = TOKEN_TTL_MS,
    ...name
  }: DeviceName & { readonly ttlMs?: number }): Promise<string> {
    return this.#mint.mint({ ...name, ttlMs });
  }

  async mintAnonymousToken({
    brand,
    ttlMs = TOKEN_TTL_MS,
  }: {
    readonly brand: string;
    readonly ttlMs?: number;
  }): Promise<string> {
    return this.#mint.mintAnonymous({ brand, ttlMs });
  }

  get #mint(): DevelopmentBrands {
    if (this.#development !== undefined) return this.#development;
    const detail = "tokens of configured brands come from their issuers";
    throw new CodedError("badConfiguration", { detail });
  }

  stats(): NodeStats {
    return this.#running.stats();
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }
}

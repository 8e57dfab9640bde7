/**
 * The configuration: what may be set, what each setting is without being set,
 * and which of several sources wins.
 *
 *   command line  over  INTERLINE_… variables  over  the file  over  defaults
 *
 * The file is JSON, named by --config or INTERLINE_CONFIG, else `interline.json`
 * in the working directory if there is one. Paths in it are relative to it;
 * paths from elsewhere to the working directory.
 *
 * Invariants. An unknown key is an error, and so is a value of the wrong shape:
 * each is named by its path, with what is expected there, and all are listed at
 * once. Values are never quoted in a message: a key may be among them.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import type { BrandSettings } from "./directory/sign-in.js";
import type { PushSettings } from "./push/senders.js";
import type { Crossing } from "./rules/brands.js";
import { configurable } from "./rules/configurable.js";
import { limits } from "./rules/limits.js";
import { webhookFault } from "./rules/push.js";
import {
  ANONYMOUS_AUDIENCE,
  ANONYMOUS_TOKEN_TYPE,
  deviceRegistrations,
  keyUrlFault,
  SERVICE_AUDIENCE,
  SERVICE_TOKEN_TYPE,
  signatureAlgorithms,
} from "./rules/sign-in.js";
import { CodedError } from "./wire/coded-error.js";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface Config {
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Absent: no admin API. */
  readonly admin?: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
  /** Absent: the development brands. */
  readonly brands?: readonly BrandSettings[];
  readonly crossing: Crossing;
  /** Absent: nobody is woken. */
  readonly push?: PushSettings;
  readonly limits: { readonly [Name in keyof typeof configurable]?: number };
  /** The file that was read, if any. */
  readonly file?: string;
}

/** What the command line gave; undefined where it said nothing. */
export interface Flags {
  readonly config?: string | undefined;
  readonly dataDirectory?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

const FILE_NAME = "interline.json";
const DEFAULTS = {
  dataDirectory: "./interline-data",
  host: "127.0.0.1",
  port: 7400,
  logLevel: "info",
} as const;

/** Throws CodedError `badConfiguration` that lists everything that is wrong. */
export function loadConfig(
  flags: Flags = {},
  environment: NodeJS.ProcessEnv = process.env,
  workingDirectory: string = process.cwd(),
): Config {
  const file = findFile(flags, environment, workingDirectory);
  const fromFile = file === undefined ? {} : parse(file, settingsSchema, readJson(file));
  const base = file === undefined ? workingDirectory : dirname(file);
  const near = parse("the command line and the environment", nearSchema, nearSettings(flags, environment));
  const { tls: nearTls, dataDirectory: nearDirectory, ...nearRest } = near;
  const tls = nearTls === undefined ? withPaths(fromFile.tls, base) : withPaths(nearTls, workingDirectory);
  return {
    ...DEFAULTS,
    crossing: "open",
    limits: {},
    ...fromFile,
    ...nearRest,
    dataDirectory:
      nearDirectory === undefined && fromFile.dataDirectory !== undefined
        ? resolve(base, fromFile.dataDirectory)
        : resolve(workingDirectory, nearDirectory ?? DEFAULTS.dataDirectory),
    ...(tls === undefined ? {} : { tls }),
    ...(fromFile.brands === undefined
      ? {}
      : { brands: fromFile.brands.map((brand) => withKeyPath(brand, base)) }),
    ...(file === undefined ? {} : { file }),
  };
}

const text = z.string("expected a text that is not empty").min(1, "expected a text that is not empty");
const portSchema = z
  .int("expected a port number, 0 to 65535")
  .min(0)
  .max(65_535, "expected a port number, 0 to 65535");
const tlsSchema = z.strictObject({ certFile: text, keyFile: text }, "expected { certFile, keyFile }");
const adminSchema = z.strictObject(
  { host: text.default("127.0.0.1"), port: portSchema },
  "expected { host, port }",
);
const levelSchema = z.enum(logLevels, `expected one of ${logLevels.join(", ")}`);

const keysSchema = z.union(
  [
    z.strictObject({ jwks: z.looseObject({ keys: z.array(z.looseObject({})) }) }),
    z.strictObject({ file: text }),
    z.strictObject({ url: text }),
  ],
  "expected { jwks: { keys: […] } }, { file: path } or { url: address }",
);

const brandSchema = z.strictObject(
  {
    number: z
      .int("expected a whole number, 1 to 65535")
      .min(1, "expected 1 to 65535")
      .max(65_535, "expected 1 to 65535"),
    name: z
      .string("expected a text")
      .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "expected at most 32 of a-z, 0-9 and -"),
    issuer: text,
    audience: text.default("interline"),
    tokenType: text.default("interline+jwt"),
    algorithms: z
      .array(z.enum(signatureAlgorithms, `expected one of ${signatureAlgorithms.join(", ")}`))
      .min(1, "expected at least one algorithm")
      .default(["EdDSA"]),
    serviceAudience: text.default(SERVICE_AUDIENCE),
    serviceTokenType: text.default(SERVICE_TOKEN_TYPE),
    anonymousAudience: text.default(ANONYMOUS_AUDIENCE),
    anonymousTokenType: text.default(ANONYMOUS_TOKEN_TYPE),
    deviceRegistration: z
      .enum(deviceRegistrations, `expected one of ${deviceRegistrations.join(", ")}`)
      .default("atSignIn"),
    keys: keysSchema,
  },
  "expected a brand: { number, name, issuer, keys, … }",
);

const crossingSchema = z.union(
  [z.literal("open"), z.array(z.strictObject({ from: text, to: text }))],
  'expected "open" or a list of { from: brand, to: brand }',
);

const vapidFields = {
  subject: z
    .string("expected mailto:… or https://…")
    .regex(/^(mailto:|https:\/\/)./, "expected mailto:… or https://…"),
  publicKey: text,
  privateKey: text,
};

const pushSchema = z.strictObject(
  {
    webPush: z
      .strictObject(
        {
          ...vapidFields,
          brands: z
            .array(z.strictObject({ brand: text, ...vapidFields }), "expected a list of brands' keys")
            .exactOptional(),
          hosts: z.array(text, "expected a list of host names").exactOptional(),
          allowPrivateEndpoints: z.boolean("expected true or false").exactOptional(),
        },
        "expected { subject, publicKey, privateKey, … }",
      )
      .exactOptional(),
    webhooks: z
      .array(
        z.strictObject({
          brand: text,
          url: text,
          secret: text,
        }),
        "expected a list of { brand, url, secret }",
      )
      .exactOptional(),
  },
  "expected { webPush, webhooks }",
);

const limitsSchema = z.strictObject(
  Object.fromEntries(
    Object.entries(configurable).map(([name, { min, max }]) => {
      const expected = `expected a whole number, ${min} to ${max}`;
      return [name, z.int(expected).min(min, expected).max(max, expected).exactOptional()];
    }),
  ),
  "expected an object of limits",
);

const settingsSchema = z
  .strictObject(
    {
      dataDirectory: text.exactOptional(),
      host: text.exactOptional(),
      port: portSchema.exactOptional(),
      tls: tlsSchema.exactOptional(),
      admin: adminSchema.exactOptional(),
      logLevel: levelSchema.exactOptional(),
      brands: z
        .array(brandSchema, "expected a list of brands")
        .min(1, "expected at least one brand")
        .exactOptional(),
      crossing: crossingSchema.exactOptional(),
      push: pushSchema.exactOptional(),
      limits: limitsSchema.exactOptional(),
    },
    "expected an object of settings",
  )
  .superRefine((settings, context) => {
    const { brands = [], crossing = "open", push = {} } = settings;
    for (const { path, message } of [...relations(brands, crossing), ...pushRelations(brands, push)])
      context.addIssue({ code: "custom", path, message });
  });

/** What the command line and the environment may set. */
const nearSchema = z.strictObject({
  dataDirectory: text.exactOptional(),
  host: text.exactOptional(),
  port: portSchema.exactOptional(),
  tls: z
    .strictObject({
      certFile: z.string("a key without a certificate: expected both"),
      keyFile: z.string("a certificate without a key: expected both"),
    })
    .exactOptional(),
  logLevel: levelSchema.exactOptional(),
});

/** What no single field can say. */
function* relations(
  brands: readonly z.infer<typeof brandSchema>[],
  crossing: Crossing,
): Generator<{ path: (string | number)[]; message: string }> {
  if (brands.length > limits.brandsMax)
    yield { path: ["brands"], message: `expected at most ${limits.brandsMax} brands` };
  for (const field of ["number", "name", "issuer"] as const) {
    const seen = new Set<unknown>();
    for (const [index, brand] of brands.entries()) {
      const path = ["brands", index, field];
      if (seen.has(brand[field])) yield { path, message: `another brand has the same ${field}` };
      seen.add(brand[field]);
    }
  }
  for (const [index, { tokenType, serviceTokenType, anonymousTokenType }] of brands.entries()) {
    if (tokenType === serviceTokenType)
      yield { path: ["brands", index, "serviceTokenType"], message: "devices' tokens have the same type" };
    if (tokenType === anonymousTokenType || serviceTokenType === anonymousTokenType)
      yield { path: ["brands", index, "anonymousTokenType"], message: "other tokens have the same type" };
  }
  for (const [index, { keys }] of brands.entries()) {
    const fault = "url" in keys ? keyUrlFault(keys.url) : undefined;
    if (fault !== undefined) yield { path: ["brands", index, "keys", "url"], message: fault };
  }
  if (crossing === "open" || brands.length === 0) return;
  const names = new Set(brands.map((brand) => brand.name));
  for (const [index, pair] of crossing.entries()) {
    for (const end of ["from", "to"] as const) {
      if (!names.has(pair[end])) yield { path: ["crossing", index, end], message: "no brand has this name" };
    }
  }
}

function* pushRelations(
  brands: readonly { readonly name: string }[],
  { webPush, webhooks = [] }: PushSettings,
): Generator<{ path: (string | number)[]; message: string }> {
  const names = new Set(brands.map(({ name }) => name));
  const lists = [
    { at: ["push", "webPush", "brands"], entries: webPush?.brands ?? [] },
    { at: ["push", "webhooks"], entries: webhooks },
  ];
  for (const { at, entries } of lists) {
    const seen = new Set<string>();
    for (const [index, { brand }] of entries.entries()) {
      const path = [...at, index, "brand"];
      if (brands.length > 0 && !names.has(brand)) yield { path, message: "no brand has this name" };
      if (seen.has(brand)) yield { path, message: "another entry is of the same brand" };
      seen.add(brand);
    }
  }
  for (const [index, { url, secret }] of webhooks.entries()) {
    const fault = webhookFault(url, secret);
    if (fault !== undefined) yield { path: ["push", "webhooks", index], message: fault };
  }
}

function findFile(
  flags: Flags,
  environment: NodeJS.ProcessEnv,
  workingDirectory: string,
): string | undefined {
  const named = flags.config ?? environment.INTERLINE_CONFIG;
  if (named !== undefined && named !== "") return resolve(workingDirectory, named);
  const usual = resolve(workingDirectory, FILE_NAME);
  return existsSync(usual) ? usual : undefined;
}

function readJson(file: string): unknown {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "is not there" : "cannot be read";
    throw new CodedError("badConfiguration", { detail: `${file} ${reason}`, cause, fatal: true });
  }
  try {
    return JSON.parse(content);
  } catch (error) {
    const offset = /position (\d+)/.exec((error as Error).message)?.[1];
    const line = offset === undefined ? "" : `, line ${content.slice(0, Number(offset)).split("\n").length}`;
    throw new CodedError("badConfiguration", { detail: `${file} is not JSON${line}`, fatal: true });
  }
}

function nearSettings(flags: Flags, environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const pick = (flag: string | undefined, variable: string) => flag ?? (environment[variable] || undefined);
  const certFile = pick(flags.tlsCert, "INTERLINE_TLS_CERT_FILE");
  const keyFile = pick(flags.tlsKey, "INTERLINE_TLS_KEY_FILE");
  const port = pick(flags.port, "INTERLINE_PORT");
  const settings = {
    dataDirectory: pick(flags.dataDirectory, "INTERLINE_DATA_DIRECTORY"),
    host: pick(flags.host, "INTERLINE_HOST"),
    port: port === undefined ? undefined : /^\d+$/.test(port) ? Number(port) : port,
    tls: certFile === undefined && keyFile === undefined ? undefined : { certFile, keyFile },
    logLevel: pick(flags.logLevel, "INTERLINE_LOG_LEVEL"),
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function withPaths(tls: Config["tls"], base: string): Config["tls"] {
  if (tls === undefined) return undefined;
  return { certFile: resolve(base, tls.certFile), keyFile: resolve(base, tls.keyFile) };
}

function withKeyPath(brand: BrandSettings, base: string): BrandSettings {
  return "file" in brand.keys ? { ...brand, keys: { file: resolve(base, brand.keys.file) } } : brand;
}

function parse<Schema extends z.ZodType>(source: string, schema: Schema, value: unknown): z.infer<Schema> {
  const outcome = schema.safeParse(value);
  if (outcome.success) return outcome.data;
  const lines = outcome.error.issues.flatMap(explain).map((line) => `\n  ${line}`);
  throw new CodedError("badConfiguration", { detail: source + lines.join(""), fatal: true });
}

function explain(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.reduce<string>(
    (whole, step) =>
      typeof step === "number"
        ? `${whole}[${step}]`
        : whole === ""
          ? String(step)
          : `${whole}.${String(step)}`,
    "",
  );
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${path === "" ? "" : `${path}.`}${key}: no such setting`);
  }
  return [path === "" ? issue.message : `${path}: ${issue.message}`];
}

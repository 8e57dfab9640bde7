/** The admin API (docs/openapi.yaml) as the verbs of `interline account` ask it: where it is, with what token, and what an answer means. */
import { Command } from "commander";
import type { Config } from "../config.js";
import { type CodeName, codeName } from "../wire/codes.js";
import {
  BrandNames,
  brandsOf,
  configFor,
  configOption,
  type DirectoryFlags,
  dataOption,
} from "./brand-names.js";
import { answerTimeoutOption, mintingBrands } from "./device-client.js";
import { type CliContext, CliError, exitCodes, Output } from "./output.js";

export interface AdminFlags extends DirectoryFlags {
  readonly adminUrl?: string;
  readonly token?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

interface Asked {
  readonly method: "GET" | "PUT" | "DELETE";
  /** Behind `/v1`. */
  readonly path: string;
  readonly body?: object;
  /** In place of the API's own sentence. */
  readonly meanings?: { readonly [Code in CodeName]?: string };
}

interface AdminClient {
  readonly names: BrandNames;
  readonly out: Output;
  /** As the back end of this brand. */
  readonly ask: (brand: number, asked: Asked) => Promise<{ readonly status: number; readonly body: object }>;
}

const TOKEN_TTL_MS = 60_000;

export function adminVerb(
  name: string,
  { summary, examples }: { readonly summary: string; readonly examples: readonly string[] },
  own: (command: Command) => Command,
): Command {
  return own(new Command(name))
    .summary(summary)
    .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    .option("--admin-url <url>", "the admin API (INTERLINE_ADMIN_URL, that of the configuration)")
    .option("--token <token>", "of the brand's back end; without, one of a development brand is made")
    .addOption(dataOption())
    .addOption(configOption())
    .addOption(answerTimeoutOption())
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExamples:${examples.map((example) => `\n  interline ${example}`).join("")}`);
}

export async function asBackEnd(
  flags: AdminFlags,
  context: CliContext,
  work: (client: AdminClient) => Promise<void>,
): Promise<void> {
  const config = configFor(flags, context);
  const names = BrandNames.of(config);
  const url = adminUrl(flags.adminUrl ?? context.environment.INTERLINE_ADMIN_URL, config);
  await work({
    ...{ names, out: new Output(context, flags) },
    ask: async (brand, { method, path, body, meanings = {} }) => {
      const token = flags.token ?? (await minted(names.brand(brand), config));
      checkBrand(token, brand, config, names);
      const response = await reach(`${url}/v1${path}`, {
        ...{ method, signal: AbortSignal.timeout(flags.timeout) },
        headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
      });
      return readAnswer(response, meanings);
    },
  });
}

function minted(brand: string, config: Config): Promise<string> {
  return mintingBrands(config).mintService({ brand, ttlMs: TOKEN_TTL_MS });
}

function adminUrl(given: string | undefined, { admin }: Config): string {
  if (given === undefined && (admin === undefined || admin.port === 0)) {
    throw new CliError(
      "say where the admin API is: --admin-url http://host:port (none is in the configuration)",
      exitCodes.usage,
    );
  }
  const text =
    given ?? `http://${admin?.host.includes(":") ? `[${admin.host}]` : admin?.host}:${admin?.port}`;
  if (/^https?:\/\//i.test(text) && URL.canParse(text)) return text.replace(/\/+$/, "");
  throw new CliError(`"${text}" is no address of an admin API: expected http://host:port`, exitCodes.usage);
}

/** The API goes by the token's brand alone: one of another brand than was named would change somebody else's account. */
function checkBrand(token: string, brand: number, config: Config, names: BrandNames): void {
  const ofToken = brandsOf(config).find(({ issuer }) => issuer === issuerOf(token));
  if (ofToken === undefined || ofToken.number === brand) return;
  throw new CliError(
    `the token is of the back end of ${ofToken.name}, and the account of ${names.brand(brand)}`,
    exitCodes.usage,
  );
}

function issuerOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).iss;
  } catch {
    return undefined;
  }
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    throw new CliError(`no admin API answers at ${new URL(url).origin}: is it configured there? (${why})`);
  }
}

async function readAnswer(
  response: Response,
  meanings: { readonly [Code in CodeName]?: string },
): Promise<{ readonly status: number; readonly body: object }> {
  const text = await response.text();
  const body = parsed(text);
  if (response.ok && body !== undefined) return { status: response.status, body };
  const { code = 0, title, detail } = (body ?? {}) as { code?: number; title?: string; detail?: string };
  const name = codeName(code);
  const meant = name && meanings[name];
  const said =
    title === undefined ? `the admin API answered with status ${response.status}` : (detail ?? title);
  throw new CliError(meant ?? said, exitCodes.failed, { ...(name && { code: name }) });
}

/** undefined for what is no object, as of a server that is something else. */
function parsed(text: string): object | undefined {
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

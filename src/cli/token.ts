/**
 * `interline token`: mints a token of the development brands, for a device or for a brand's own back end, with or without
 * a node running.
 */
import { Command, Option } from "commander";
import { limits } from "../rules/limits.js";
import { ADMIN_SCOPE, ANONYMOUS_SCOPE } from "../rules/sign-in.js";
import { configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import { developmentBrandsIn } from "./device-client.js";
import { type CliContext, CliError, durationMs, exitCodes, Output, wholeNumber } from "./output.js";

interface TokenFlags extends DirectoryFlags {
  readonly brand: string;
  readonly account?: string;
  readonly device?: number;
  readonly service?: boolean;
  readonly anonymous?: boolean;
  readonly ttl: number;
  readonly json?: boolean;
}

export function tokenCommand(context: CliContext): Command {
  return new Command("token")
    .summary("print a token of the development brands")
    .description(
      "Prints a token that signs a device in to a node with development brands (those a node makes in its data directory when none are configured), or one with which a brand's own back end asks the admin API.\n" +
        "An account is 32 hex digits, a UUID, or any other name, which stands for an id made of it.",
    )
    .requiredOption("-b, --brand <name>", "brand: whatsapp, instagram or messenger")
    .option("-a, --account <account>", "account of the device")
    .option("-n, --device <number>", "device number (1)", wholeNumber(1, limits.deviceNumberMax))
    .addOption(
      new Option("-s, --service", "for the brand's back end: no device").conflicts(["account", "device"]),
    )
    .addOption(
      new Option("--anonymous", "for sending sealed envelopes: names nobody").conflicts([
        "account",
        "device",
        "service",
      ]),
    )
    .addOption(
      new Option("--ttl <time>", "how long it is valid").argParser(durationMs).default(3_600_000, "1h"),
    )
    .addOption(dataOption())
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  interline token --brand whatsapp --account alice\n  interline token -b messenger -a 00112233445566778899aabbccddeeff --device 2 --ttl 7d --json\n  interline token --brand whatsapp --service\n  interline token --brand instagram --anonymous",
    )
    .action((flags: TokenFlags) => run(flags, context));
}

async function run(flags: TokenFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  const { brand, account, device = 1, service = false, anonymous = false, ttl: ttlMs } = flags;
  if (account === undefined && !service && !anonymous) {
    throw new CliError("say whom the token is for: --account, --service, or --anonymous", exitCodes.usage);
  }
  const config = configFor(flags, context);
  if (config.brands !== undefined) {
    throw new CliError("brands are configured: their tokens come from their own issuers");
  }
  const brands = developmentBrandsIn(config.dataDirectory);
  const names = brands.settings().map(({ name }) => name);
  if (!names.includes(brand)) {
    throw new CliError(`no development brand "${brand}": there are ${names.join(", ")}`, exitCodes.usage);
  }
  const token = anonymous
    ? await brands.mintAnonymous({ brand, ttlMs })
    : account === undefined
      ? await brands.mintService({ brand, ttlMs })
      : await brands.mint({ brand, account, device, ttlMs });
  out.line(token);
  const bearer = account !== undefined ? { device } : { scope: anonymous ? ANONYMOUS_SCOPE : ADMIN_SCOPE };
  out.json({ ok: true, token, brand, ...bearer, expiresAtMs: Date.now() + ttlMs });
}

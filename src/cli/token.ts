/** `interline token`: mints a token of the development brands, with or without a node running. */
import { Command } from "commander";
import { DevelopmentBrands } from "../directory/development-brands.js";
import { limits } from "../rules/limits.js";
import { configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import { type CliContext, CliError, durationMs, exitCodes, Output, wholeNumber } from "./output.js";

interface TokenFlags extends DirectoryFlags {
  readonly brand: string;
  readonly account: string;
  readonly device: number;
  readonly ttl: number;
  readonly json?: boolean;
}

export function tokenCommand(context: CliContext): Command {
  return new Command("token")
    .summary("print a token for a device of the development brands")
    .description(
      "Prints a token that signs a device in to a node with development brands (those a node makes in its data directory when none are configured).\n" +
        "An account is 32 hex digits, a UUID, or any other name, which stands for an id made of it.",
    )
    .requiredOption("-b, --brand <name>", "brand: whatsapp, instagram or messenger")
    .requiredOption("-a, --account <account>", "account")
    .option("-n, --device <number>", "device number", wholeNumber(1, limits.deviceNumberMax), 1)
    .option("--ttl <time>", "how long it is valid", durationMs, 3_600_000)
    .addOption(dataOption())
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  interline token --brand whatsapp --account alice\n  interline token --brand messenger --account 00112233445566778899aabbccddeeff --device 2 --ttl 7d --json",
    )
    .action((flags: TokenFlags) => run(flags, context));
}

async function run(flags: TokenFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  const config = configFor(flags, context);
  if (config.brands !== undefined) {
    throw new CliError("brands are configured: their tokens come from their own issuers");
  }
  const brands = DevelopmentBrands.open(config.dataDirectory);
  const { brand, account, device, ttl } = flags;
  const names = brands.settings().map(({ name }) => name);
  if (!names.includes(brand)) {
    throw new CliError(`no development brand "${brand}": there are ${names.join(", ")}`, exitCodes.usage);
  }
  const token = await brands.mint({ brand, account, device, ttlMs: ttl });
  out.line(token);
  out.json({ ok: true, token, brand, device, expiresAtMs: Date.now() + ttl });
}

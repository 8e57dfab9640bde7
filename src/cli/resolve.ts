/** `interline resolve`: whose a name is, and which devices the account has. */
import type { Command } from "commander";
import type { BrandNames } from "./brand-names.js";
import { type AskFlags, asDevice, askVerb, meaning } from "./device-client.js";
import { type CliContext, CliError, exitCodes } from "./output.js";
import { tellRoster } from "./roster.js";

const WHO = "-b whatsapp -a alice";

export function resolveCommand(context: CliContext): Command {
  return askVerb(
    "resolve",
    {
      summary: "find the account of a name that a brand has given",
      more: "The brand's own back end gives names (interline account name). What is printed can be given to --to.",
      examples: [`resolve ${WHO} instagram/bob.b`, `resolve ${WHO} instagram/bob.b --json`],
    },
    (command) => command.argument("<brand/name>", "the brand, and the name as it gave it"),
  ).action((text: string, flags: AskFlags) =>
    asDevice(flags, context, async ({ client, names, out }) => {
      const { brand, name } = brandName(text, names);
      const asked = { brand, name: new TextEncoder().encode(name) };
      const notFound = `nobody who can be reached from here has the name ${text}`;
      tellRoster(out, names, await meaning({ notFound }, client.accounts.resolve(asked)));
    }),
  );
}

/** `brand/name`, of which the name may have slashes, too. */
export function brandName(
  text: string,
  names: BrandNames,
): { readonly brand: number; readonly name: string } {
  const [, brand, name] = /^([^/]+)\/(.+)$/s.exec(text) ?? [];
  if (brand !== undefined && name !== undefined) return { brand: names.numberOf(brand), name };
  throw new CliError(`"${text}" is no name: expected brand/name`, exitCodes.usage);
}

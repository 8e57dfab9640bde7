/** `interline roster`: which devices an account has, as whoever sends to it has to know. */
import type { Command } from "commander";
import type { Roster } from "../client/client.js";
import type { BrandNames } from "./brand-names.js";
import { type AskFlags, asDevice, askVerb } from "./device-client.js";
import { type CliContext, counted, type Output } from "./output.js";

const WHO = "-b whatsapp -a alice";

export function rosterCommand(context: CliContext): Command {
  return askVerb(
    "roster",
    {
      summary: "print which devices an account has",
      more: "An account that nobody has ever signed in to has version 0 and no devices.",
      examples: [`roster ${WHO} instagram/bob`, `roster ${WHO} instagram/bob --json`],
    },
    (command) => command.argument("<brand/account>", "the account"),
  ).action((text: string, flags: AskFlags) =>
    asDevice(flags, context, async ({ client, names, out }) => {
      tellRoster(out, names, await client.roster(names.account(text)));
    }),
  );
}

export function tellRoster(out: Output, names: BrandNames, { account, version, devices }: Roster): void {
  const address = names.format(account);
  out.line(address);
  out.note(`version ${version}, ${counted(devices.length, "device")}: ${devices.join(" ") || "none"}`);
  out.json({ ok: true, account: address, version, devices });
}

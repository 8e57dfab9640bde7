/** `interline contact`: what the account agrees to with others. What both sides have agreed to passes, in both directions. */
import { Command } from "commander";
import type { AgreementScope } from "../client/client.js";
import { type AskFlags, asDevice, askVerb, meaning } from "./device-client.js";
import { type CliContext, table } from "./output.js";

interface ScopeFlags extends AskFlags {
  readonly signals?: boolean;
  readonly presence?: boolean;
}

const WHO = "-b whatsapp -a alice";

export function contactCommand(context: CliContext): Command {
  const command = new Command("contact")
    .summary("agree to signals and presence with others")
    .description(
      "Signals (interline signal) and presence (interline listen --presence) pass between two accounts when both have agreed to it. What the other side has agreed to is not told. Signals to a group need no agreement.",
    );
  for (const verb of [listVerb, allowVerb, withdrawVerb]) command.addCommand(verb(context));
  return command;
}

function listVerb(context: CliContext): Command {
  return askVerb("list", {
    summary: "print what this account has agreed to, and with whom",
    examples: [`contact list ${WHO}`, `contact list ${WHO} --json`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, names, out }) => {
      const agreements = (await client.contacts.list()).map(({ account, signals, presence }) => ({
        ...{ account: names.format(account), signals, presence },
      }));
      const rows = agreements.map(({ account, ...scopes }) => [account, namesOf(scopes).join(" and ")]);
      for (const line of table(["account", "agreed to"], rows)) out.line(line);
      out.json({ ok: true, agreements });
    }),
  );
}

function allowVerb(context: CliContext): Command {
  return askVerb(
    "allow",
    {
      summary: "agree to signals and presence with an account",
      examples: [`contact allow ${WHO} instagram/bob`, `contact allow ${WHO} instagram/bob --signals`],
    },
    withScope,
  ).action((text: string, flags: ScopeFlags) => change("allow", text, flags, context));
}

function withdrawVerb(context: CliContext): Command {
  return askVerb(
    "withdraw",
    {
      summary: "take an agreement back: nothing passes from then on",
      examples: [`contact withdraw ${WHO} instagram/bob`, `contact withdraw ${WHO} instagram/bob --presence`],
    },
    withScope,
  ).action((text: string, flags: ScopeFlags) => change("withdraw", text, flags, context));
}

function withScope(command: Command): Command {
  return command
    .argument("<brand/account>", "the other account")
    .option("--signals", "signals only")
    .option("--presence", "presence only");
}

function change(
  verb: "allow" | "withdraw",
  text: string,
  flags: ScopeFlags,
  context: CliContext,
): Promise<void> {
  const scopes = namesOf(flags);
  const [scope] = scopes.length === 1 ? scopes : [];
  return asDevice(flags, context, async ({ client, names, out }) => {
    const account = names.account(text);
    const address = names.format(account);
    const badRequest = `an account needs no agreement with itself (${address})`;
    await meaning({ badRequest }, client.contacts[verb](account, scope));
    out.line(`${scope ?? "signals and presence"}: ${verb === "allow" ? "agreed" : "taken back"}`);
    if (verb === "allow") out.note(`it passes once ${address} has agreed to it as well`);
    out.json({ ok: true, account: address, [verb]: scope === undefined ? ["signals", "presence"] : scopes });
  });
}

function namesOf(flags: { readonly signals?: boolean; readonly presence?: boolean }): AgreementScope[] {
  return (["signals", "presence"] as const).filter((scope) => flags[scope]);
}

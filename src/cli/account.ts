/** `interline account`: a brand's accounts, their devices, and the names it gives them, as its own back end. */
import { Command } from "commander";
import type { AccountAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { type AdminFlags, adminVerb, asBackEnd } from "./admin-client.js";
import { deviceNumberArgument } from "./brand-names.js";
import type { CliContext } from "./output.js";
import { brandName } from "./resolve.js";

export function accountCommand(context: CliContext): Command {
  const command = new Command("account")
    .summary("register and remove accounts and devices, as a brand's back end")
    .description(
      "A brand's accounts, their devices and the names it gives them, over the node's admin API. Where devices register themselves at sign-in an account comes with the first of them.",
    );
  const verbs = [registerVerb, showVerb, removeVerb, addDeviceVerb, removeDeviceVerb, nameVerb, unnameVerb];
  for (const verb of verbs) command.addCommand(verb(context));
  return command;
}

function registerVerb(context: CliContext): Command {
  const texts = {
    summary: "register an account, without devices",
    examples: [
      "account register instagram/bob",
      "account register instagram/00112233445566778899aabbccddeeff --json",
    ],
  };
  return adminVerb("register", texts, accountArgument).action((text: string, flags: AdminFlags) =>
    asBackEnd(flags, context, async ({ names, out, ask }) => {
      const account = names.account(text);
      const { status, body } = await ask(brandOf(account), { method: "PUT", path: pathOf(account) });
      const isNew = status === 201;
      out.line(names.format(account));
      out.note(isNew ? "registered" : "it was registered before");
      out.json({ ok: true, isNew, ...body, account: names.format(account) });
    }),
  );
}

function showVerb(context: CliContext): Command {
  const texts = {
    summary: "print an account's devices",
    examples: ["account show instagram/bob", "account show instagram/bob --json"],
  };
  return adminVerb("show", texts, accountArgument).action((text: string, flags: AdminFlags) =>
    asBackEnd(flags, context, async ({ names, out, ask }) => {
      const account = names.account(text);
      const meanings = { notFound: `${names.format(account)} is not registered` };
      const { body } = await ask(brandOf(account), { method: "GET", path: pathOf(account), meanings });
      const { version, devices } = body as { version: number; devices: readonly number[] };
      out.line(`${names.format(account)}: version ${version}, devices: ${devices.join(" ") || "none"}`);
      out.json({ ok: true, ...body, account: names.format(account) });
    }),
  );
}

function removeVerb(context: CliContext): Command {
  const texts = {
    summary: "remove an account with its devices, queues, names and agreements",
    examples: ["account remove instagram/bob"],
  };
  return adminVerb("remove", texts, accountArgument).action((text: string, flags: AdminFlags) =>
    asBackEnd(flags, context, async ({ names, out, ask }) => {
      const account = names.account(text);
      const meanings = { notFound: `${names.format(account)} is not registered` };
      await ask(brandOf(account), { method: "DELETE", path: pathOf(account), meanings });
      out.line(`${names.format(account)}: removed`);
      out.json({ ok: true, account: names.format(account) });
    }),
  );
}

function addDeviceVerb(context: CliContext): Command {
  const texts = {
    summary: "register a device ahead of its first sign-in",
    examples: ["account add-device instagram/bob 2"],
  };
  return adminVerb("add-device", texts, deviceArguments).action(
    (text: string, device: number, flags: AdminFlags) =>
      asBackEnd(flags, context, async ({ names, out, ask }) => {
        const account = names.account(text);
        const meanings = { notFound: isNotRegistered(names.format(account)) };
        const asked = { method: "PUT", path: devicePath(account, device), meanings } as const;
        const { status, body } = await ask(brandOf(account), asked);
        const isNew = status === 201;
        out.line(`${names.format(account)}: device ${device}`);
        out.note(isNew ? "registered" : "it was registered before");
        out.json({ ok: true, isNew, ...body, account: names.format(account) });
      }),
  );
}

function removeDeviceVerb(context: CliContext): Command {
  const texts = {
    summary: "remove a device: its connection and its queue go at once",
    examples: ["account remove-device instagram/bob 2"],
  };
  return adminVerb("remove-device", texts, deviceArguments).action(
    (text: string, device: number, flags: AdminFlags) =>
      asBackEnd(flags, context, async ({ names, out, ask }) => {
        const account = names.account(text);
        const meanings = {
          notFound: `${names.format(account)} has no device ${device}: "interline account show" prints those it has`,
        };
        await ask(brandOf(account), { method: "DELETE", path: devicePath(account, device), meanings });
        out.line(`${names.format(account)}: device ${device} removed`);
        out.json({ ok: true, account: names.format(account), device });
      }),
  );
}

function nameVerb(context: CliContext): Command {
  const texts = {
    summary: "give an account a name, by which others find it (interline resolve)",
    examples: ["account name instagram/bob bob.b"],
  };
  const own = (command: Command) =>
    accountArgument(command).argument("<name>", "any text that no other account of the brand has");
  return adminVerb("name", texts, own).action((text: string, name: string, flags: AdminFlags) =>
    asBackEnd(flags, context, async ({ names, out, ask }) => {
      const account = names.account(text);
      const body = { account: toHex(account.subarray(2)) };
      const meanings = { notFound: isNotRegistered(names.format(account)) };
      await ask(brandOf(account), { method: "PUT", path: namePath(name), body, meanings });
      const whole = `${names.brand(brandOf(account))}/${name}`;
      out.line(`${whole} is ${names.format(account)}`);
      out.json({ ok: true, name: whole, account: names.format(account) });
    }),
  );
}

function unnameVerb(context: CliContext): Command {
  const texts = { summary: "take a name back", examples: ["account unname instagram/bob.b"] };
  const own = (command: Command) => command.argument("<brand/name>", "the name");
  return adminVerb("unname", texts, own).action((text: string, flags: AdminFlags) =>
    asBackEnd(flags, context, async ({ names, out, ask }) => {
      const { brand, name } = brandName(text, names);
      const meanings = { notFound: `nobody has the name ${text}` };
      await ask(brand, { method: "DELETE", path: namePath(name), meanings });
      out.line(`${text}: taken back`);
      out.json({ ok: true, name: text });
    }),
  );
}

const isNotRegistered = (account: string): string =>
  `${account} is not registered: "interline account register" does that`;
const accountArgument = (command: Command): Command => command.argument("<brand/account>", "the account");
const brandOf = (account: AccountAddress): number => ((account[0] as number) << 8) | (account[1] as number);
const pathOf = (account: AccountAddress): string => `/accounts/${toHex(account.subarray(2))}`;
const devicePath = (account: AccountAddress, device: number): string =>
  `${pathOf(account)}/devices/${device}`;
const deviceArguments = (command: Command): Command => deviceNumberArgument(accountArgument(command));
const namePath = (name: string): string => `/names/${Buffer.from(name).toString("base64url")}`;

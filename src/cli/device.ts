/** `interline device`: the devices of the account that signs in. None of them is primary: each may add and remove any other. */
import { Command } from "commander";
import type { OwnDevices } from "../client/client.js";
import { deviceNumber, deviceNumberArgument } from "./brand-names.js";
import { type AskFlags, asDevice, askVerb, meaning } from "./device-client.js";
import { type CliContext, counted, type Output } from "./output.js";

const WHO = "-b whatsapp -a alice";

export function deviceCommand(context: CliContext): Command {
  const command = new Command("device")
    .summary("list, add and remove the account's devices")
    .description("The devices of the account that signs in; --device says which of them asks.");
  for (const verb of [listVerb, addVerb, removeVerb]) command.addCommand(verb(context));
  return command;
}

function listVerb(context: CliContext): Command {
  return askVerb("list", {
    summary: "print the numbers of the account's devices",
    examples: [`device list ${WHO}`, `device list ${WHO} --json`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, welcome, out }) => {
      const own = await client.devices.list();
      const self = deviceNumber(welcome.device);
      for (const device of own.devices) out.line(`${device}${device === self ? "  this one" : ""}`);
      out.json({ ok: true, ...own });
    }),
  );
}

function addVerb(context: CliContext): Command {
  return askVerb(
    "add",
    {
      summary: "register a device ahead of its first sign-in",
      more: "Needed where the brand's configuration lets in only devices that were registered.",
      examples: [`device add ${WHO} 2`],
    },
    deviceNumberArgument,
  ).action((number: number, flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => tell(out, await client.devices.add(number))),
  );
}

function removeVerb(context: CliContext): Command {
  return askVerb(
    "remove",
    {
      summary: "remove another device: its connection and its queue go at once",
      more: "Tokens that it had until now sign it in no more.",
      examples: [`device remove ${WHO} 2`],
    },
    deviceNumberArgument,
  ).action((number: number, flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => {
      const meanings = {
        notFound: `the account has no device ${number}: "interline device list" prints those it has`,
        notAllowed: "a device does not remove itself: ask with another one (--device)",
      };
      tell(out, await meaning(meanings, client.devices.remove(number)));
    }),
  );
}

function tell(out: Output, { version, devices }: OwnDevices): void {
  out.line(`version ${version}, ${counted(devices.length, "device")}: ${devices.join(" ")}`);
  out.json({ ok: true, version, devices });
}

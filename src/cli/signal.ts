/** `interline signal`: tells devices that are connected something that is never stored, such as that somebody is typing. */
import { Command } from "commander";
import { accountOf } from "../base/address.js";
import {
  type AskFlags,
  answerTimeoutOption,
  asDevice,
  type DeviceClient,
  withDeviceOptions,
} from "./device-client.js";
import { type CliContext, CliError, counted } from "./output.js";
import { type PayloadFlags, payloadOf, withPayloadOptions } from "./payload.js";
import {
  checkRecipients,
  groupNamed,
  type RecipientFlags,
  rostersWithDevices,
  withRecipientOptions,
} from "./recipients.js";

interface SignalFlags extends AskFlags, RecipientFlags, PayloadFlags {}

export function signalCommand(context: CliContext): Command {
  const command = withPayloadOptions(withRecipientOptions(new Command("signal")))
    .summary("tell connected devices something that is never stored")
    .description(
      "Sends a signal (typing, read: what it says is the apps' own) to the devices of accounts with which both sides have agreed to signals (interline contact), or of a group's members. It reaches those that are connected, or is dropped; nobody is told which.",
    )
    .addOption(answerTimeoutOption());
  return withDeviceOptions(command)
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  interline signal -b whatsapp -a alice --to instagram/bob --text typing\n  interline signal -b whatsapp -a alice --group whatsapp/3f2a9c01 --text typing",
    )
    .action((flags: SignalFlags) => run(flags, context));
}

function run(flags: SignalFlags, context: CliContext): Promise<void> {
  checkRecipients(flags);
  const payload = payloadOf(flags);
  return asDevice(flags, context, async (device) => {
    const { client, welcome, out } = device;
    const { request, whom, to } =
      flags.group === undefined
        ? await forAccounts(device, flags.to ?? [], payload)
        : await forGroup(device, flags.group, payload);
    if (!client.signal(request)) throw new CliError("not sent: the connection to the node was lost");
    // By the time that this is answered the node has read the signal.
    await client.roster(accountOf(welcome.device));
    out.line(`sent to ${whom}: those that are connected and entitled to it have it`);
    out.json({ ok: true, bytes: payload.length, ...to });
  });
}

async function forAccounts({ client, names }: DeviceClient, texts: readonly string[], payload: Uint8Array) {
  const rosters = await rostersWithDevices(client, names.accounts(texts), names);
  const devicesOf = (devices: readonly number[]) => devices.map((device) => ({ device, payload }));
  return {
    request: { to: rosters.map(({ account, devices }) => ({ account, devices: devicesOf(devices) })) },
    whom: counted(rosters.flatMap(({ devices }) => devices).length, "device"),
    to: { accounts: rosters.map(({ account, devices }) => ({ account: names.format(account), devices })) },
  };
}

async function forGroup(device: DeviceClient, text: string, payload: Uint8Array) {
  const group = await groupNamed(text, device);
  return {
    request: { group, payload },
    whom: "the group's devices",
    to: { group: device.names.format(group) },
  };
}

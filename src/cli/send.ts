/**
 * `interline send`: one envelope to one or more accounts, or to a group. To accounts it asks for every roster first and
 * covers each device, the sender's own others included. If a roster changes meanwhile the node refuses the send whole, and
 * it is made anew for the roster of now, under the same id.
 */
import { Command, Option } from "commander";
import { type AccountAddress, accountOf } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { SendRequest } from "../client/client.js";
import { deviceNumber } from "./brand-names.js";
import { type AskFlags, asDevice, type DeviceClient, meaning, withDeviceOptions } from "./device-client.js";
import { type CliContext, CliError, counted, type Output, timeoutMs } from "./output.js";
import { type PayloadFlags, payloadOf, withPayloadOptions } from "./payload.js";
import {
  checkRecipients,
  checkSize,
  groupNamed,
  type RecipientFlags,
  rostersWithDevices,
  withRecipientOptions,
} from "./recipients.js";
import { NO_RECEIPT, sendSealed, tellReceipt } from "./send-sealed.js";

interface SendFlags extends AskFlags, RecipientFlags, PayloadFlags {
  readonly sealed?: boolean;
  readonly deliveryToken?: readonly string[];
}

interface Sending extends DeviceClient {
  readonly out: Output;
  readonly payload: Uint8Array;
}

type Covered = SendRequest["to"];

export function sendCommand(context: CliContext): Command {
  const command = withPayloadOptions(withRecipientOptions(new Command("send")))
    .summary("send bytes to accounts or to a group")
    .description(
      "Sends one envelope to every device of one or more accounts (and to the sender's own other devices), or of a group's members, and waits for the receipt.\n" +
        "The payload goes as it is: the engine does not encrypt, that is what the apps at both ends do.",
    )
    .addOption(
      new Option(
        "--sealed",
        "to accounts, without telling the node who sends; of yourself only --brand",
      ).conflicts("group"),
    )
    .option("--delivery-token <hex...>", "with --sealed: of each account, in the order of --to")
    .addOption(
      new Option("--timeout <time>", "give up when there is no receipt after this time")
        .argParser(timeoutMs)
        .default(30_000, "30s"),
    );
  return withDeviceOptions(command)
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      '\nExamples:\n  interline send --brand whatsapp --account alice --to instagram/bob --text "hello"\n  interline send -b whatsapp -a alice -t instagram/bob -t messenger/carol --file letter.bin --json\n  interline send -b whatsapp -a alice --group whatsapp/3f2a9c01 --text "hello, all"\n  interline send -b whatsapp --sealed --delivery-token 5f0e… -t instagram/bob --text "guess who"',
    )
    .action((flags: SendFlags) => run(flags, context));
}

function run(flags: SendFlags, context: CliContext): Promise<void> {
  checkRecipients(flags);
  const payload = payloadOf(flags);
  if (flags.sealed || flags.deliveryToken !== undefined) return sendSealed(flags, payload, context);
  return asDevice(
    flags,
    context,
    (device) => {
      checkSize(payload, device.welcome);
      const sending = { ...device, payload };
      return flags.group === undefined
        ? sendToAccounts(sending, flags.to ?? [])
        : sendToGroup(sending, flags.group);
    },
    NO_RECEIPT,
  );
}

async function sendToAccounts(sending: Sending, texts: readonly string[]): Promise<void> {
  const { client, names, out, payload } = sending;
  const targets = names.accounts(texts);
  let to = await cover(sending, targets);
  const renew = async (): Promise<Covered> => {
    to = await cover(sending, targets);
    return to;
  };
  const receipt = await client.send({ to, renew });
  const accounts = to.map(({ account, devices }) => ({
    account: names.format(account as AccountAddress),
    devices: devices.map(({ device }) => device),
  }));
  const count = accounts.reduce((sum, { devices }) => sum + devices.length, 0);
  out.line(`accepted for ${counted(count, "device")} (durability: ${receipt.durability})`);
  tellReceipt(out, receipt, payload, { accounts });
}

async function sendToGroup(sending: Sending, text: string): Promise<void> {
  const { client, names, out, payload } = sending;
  const group = await groupNamed(text, sending);
  const address = names.format(group);
  const work = async () => {
    let roster = await client.groups.get(group);
    const { version } = roster;
    const receipt = await client.sendToGroup({
      ...{ group, version, shared: payload },
      renew: (now) => {
        roster = now;
        return { shared: payload };
      },
    });
    return { roster, receipt };
  };
  const none = `there is no group ${address}, or this account is no member of it`;
  const { roster, receipt } = await meaning({ notFound: none, groupUnknown: none }, work());
  const members = roster.members.length;
  out.line(
    `accepted for ${counted(members, "member")}, version ${roster.version} (durability: ${receipt.durability})`,
  );
  tellReceipt(out, receipt, payload, { group: address, version: roster.version, members });
}

/** Every device that the rosters list, but the sending one. */
async function cover(
  { client, names, welcome, payload }: Sending,
  targets: readonly AccountAddress[],
): Promise<Covered> {
  const own = accountOf(welcome.device);
  const accounts = [...targets.filter((account) => !equalBytes(account, own)), own];
  const rosters = await rostersWithDevices(client, accounts, names);
  const covered = rosters.map(({ account, version, devices }) => ({
    account,
    version,
    devices: devices
      .filter((device) => !(equalBytes(account, own) && device === deviceNumber(welcome.device)))
      .map((device) => ({ device, payload })),
  }));
  const to = covered.filter(({ devices }) => devices.length > 0);
  if (to.length > 0) return to;
  throw new CliError(`${names.format(own)} has no other device to send to`);
}

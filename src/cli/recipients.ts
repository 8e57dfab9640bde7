/** Whom `send` and `signal` are for: accounts with all their devices, or a group. */
import { type Command, Option } from "commander";
import { type AccountAddress, accountAddress } from "../base/address.js";
import { fromHex, toHex } from "../base/bytes.js";
import type { Client, Roster } from "../client/client.js";
import type { WelcomeBody } from "../wire/protocol.js";
import type { BrandNames } from "./brand-names.js";
import type { DeviceClient } from "./device-client.js";
import { CliError, exitCodes } from "./output.js";

export interface RecipientFlags {
  readonly to?: readonly string[];
  readonly group?: string;
}

/** As many digits of a group's id as a line for people has. */
const SHORT_ID_DIGITS = 8;
const ID_DIGITS = 32;

export function withRecipientOptions(command: Command): Command {
  return command
    .option("-t, --to <brand/account...>", "an account; may be given several times")
    .addOption(new Option("-g, --group <brand/id>", "a group, instead of accounts").conflicts("to"));
}

/** Before anything is connected: what was said names somebody. */
export function checkRecipients({ to, group }: RecipientFlags): void {
  if (to === undefined && group === undefined) {
    throw new CliError("say whom it is for: --to, or --group", exitCodes.usage);
  }
}

/** The registry's sentence for it names no number. */
export function checkSize({ length }: Uint8Array, { payloadBytesMax }: WelcomeBody): void {
  if (length <= payloadBytesMax) return;
  const text = `the payload has ${length} bytes, and at most ${payloadBytesMax} pass (payloadBytesMax)`;
  throw new CliError(text, exitCodes.failed, { code: "payloadTooLarge" });
}

/** The accounts' rosters. An account without a device is an error: nobody would get it. */
export async function rostersWithDevices(
  client: Client,
  accounts: readonly AccountAddress[],
  names: BrandNames,
): Promise<Roster[]> {
  const rosters = await Promise.all(accounts.map((account) => client.roster(account)));
  const empty = rosters.find(({ devices }) => devices.length === 0);
  if (empty === undefined) return rosters;
  throw new CliError(
    `${names.format(empty.account)} has no device to send to: one signs in with "interline listen" first`,
  );
}

/** A group by its address, or by so many digits of its id as tell it from the account's other groups. */
export async function groupNamed(
  text: string,
  { client, names }: Pick<DeviceClient, "client" | "names">,
): Promise<AccountAddress> {
  const [, brand, digits = ""] = /^([^/]+)\/([0-9a-f]{4,32})$/.exec(text) ?? [];
  if (brand === undefined) {
    throw new CliError(
      `"${text}" is no group: expected brand/id, as "interline group list" prints it`,
      exitCodes.usage,
    );
  }
  const number = names.numberOf(brand);
  if (digits.length === ID_DIGITS) return accountAddress(number, fromHex(digits) as Uint8Array);
  const start = toHex(Uint8Array.of(number >> 8, number & 0xff)) + digits;
  const meant = (await client.groups.list()).filter((group) => toHex(group).startsWith(start));
  if (meant.length === 1) return meant[0] as AccountAddress;
  throw new CliError(
    meant.length === 0
      ? `no group of this account begins with ${text}: "interline group list" prints them`
      : `${meant.length} groups of this account begin with ${text}: give more of the id`,
  );
}

/** For lines that hold other things too; `groupNamed` takes it. */
export function shortGroup(group: AccountAddress, names: BrandNames): string {
  return names.format(group).slice(0, SHORT_ID_DIGITS - ID_DIGITS);
}

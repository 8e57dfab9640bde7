/** How a send's list of devices differs from an account's roster. */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress, type DeviceAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { RosterDifference } from "../wire/protocol.js";

interface Roster {
  readonly address: AccountAddress;
  readonly version: number;
  readonly devices: readonly { readonly number: number }[];
}

/**
 * What must change for the send to cover the account: undefined when version and devices are right. The sending
 * device is not to be listed itself, so that of its own account only the others can be missing.
 */
export function rosterDifference(
  roster: Roster,
  sender: DeviceAddress,
  listed: { readonly version: number; readonly devices: readonly number[] },
): RosterDifference | undefined {
  const isOwn = equalBytes(roster.address, sender.subarray(0, ACCOUNT_ADDRESS_BYTES));
  const self = isOwn ? ((sender[18] as number) << 8) | (sender[19] as number) : 0;
  const due = roster.devices.map((device) => device.number).filter((number) => number !== self);
  const missing = due.filter((number) => !listed.devices.includes(number));
  const surplus = listed.devices.filter((number) => !due.includes(number));
  if (missing.length === 0 && surplus.length === 0 && listed.version === roster.version) return undefined;
  return { account: roster.address, version: roster.version, missing, surplus };
}

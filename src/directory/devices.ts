/**
 * What a signed-in device may do about its account's other devices. No device is primary: each may add and remove any
 * other. Where tokens come from the brand, adding one registers its number ahead of its first sign-in.
 */
import { type AccountAddress, accountOf, type DeviceAddress, deviceNumber } from "../base/address.js";
import { limits } from "../rules/limits.js";
import type { AccountRecord, Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";
import type { Fields } from "../wire/fields.js";
import type { MsgpackMap } from "../wire/msgpack.js";
import { badRequest, type Methods } from "./requests.js";

/** `removalMs`: tokens of the brand issued up to then are refused for what is removed now. */
export function deviceMethods(
  store: Pick<Store, "readAccount" | "addDevice" | "removeDevice">,
  removalMs: (brand: number) => number,
): Methods {
  return {
    "devices.list": (caller) => rosterOf(store.readAccount(accountOf(caller))),
    "devices.add": async (caller, body) => {
      const { record } = await store.addDevice(accountOf(caller), numberIn(body));
      return rosterOf(record);
    },
    "devices.remove": async (caller, body) => {
      const number = numberIn(body);
      // Its answer could not reach it.
      if (number === deviceNumber(caller)) throw new CodedError("notAllowed");
      const account = accountOf(caller);
      const { record } = await store.removeDevice(account, number, removalMs(brandOf(account)));
      return rosterOf(record);
    },
  };
}

function rosterOf(record: AccountRecord | undefined): MsgpackMap {
  return { version: record?.version ?? 0, devices: record?.devices.map(({ number }) => number) ?? [] };
}

function numberIn(body: Fields): number {
  const number = body.uint("device", limits.deviceNumberMax);
  if (number === 0) throw badRequest("a device number is 1 to 65535");
  return number;
}

function brandOf(address: AccountAddress | DeviceAddress): number {
  return ((address[0] as number) << 8) | (address[1] as number);
}

/**
 * What a signed-in device may do about its account's other devices. No device is primary: each may add and remove any
 * other. Where tokens come from the brand, adding one registers its number ahead of its first sign-in.
 */
import {
  type AccountAddress,
  accountOf,
  brandOf,
  type DeviceAddress,
  deviceNumber,
} from "../base/address.js";
import type { Clock } from "../base/clock.js";
import { limits } from "../rules/limits.js";
import type { AccountRecord, Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";
import type { Fields } from "../wire/fields.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { RateLimiter } from "./rate-limiter.js";
import { badRequest, type Methods } from "./requests.js";

export interface DeviceParts {
  readonly store: Pick<Store, "readAccount" | "addDevice" | "removeDevice">;
  /** Tokens of the brand issued up to then are refused for what is removed now. */
  readonly removalMs: (brand: number) => number;
  readonly clock: Clock;
  readonly limits: {
    readonly rosterChangesBurst: number;
    readonly rosterChangesPerSecond: number;
    readonly changersCountedMax: number;
  };
}

export function deviceMethods({ store, removalMs, clock, limits: bounds }: DeviceParts): Methods {
  const limiter = new RateLimiter({
    ...{ burst: bounds.rosterChangesBurst, perSecond: bounds.rosterChangesPerSecond },
    ...{ countedMax: bounds.changersCountedMax, clock },
  });
  // Each change is told to the account's devices, one after the other, in a row that all accounts stand in.
  const changer = (caller: DeviceAddress): AccountAddress => {
    const account = accountOf(caller);
    limiter.take(account);
    return account;
  };
  return {
    "devices.list": (caller) => rosterOf(store.readAccount(accountOf(caller))),
    "devices.add": async (caller, body) => {
      const number = numberIn(body);
      const { record } = await store.addDevice(changer(caller), number);
      return rosterOf(record);
    },
    "devices.remove": async (caller, body) => {
      const number = numberIn(body);
      // Its answer could not reach it.
      if (number === deviceNumber(caller)) throw new CodedError("notAllowed");
      const account = changer(caller);
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

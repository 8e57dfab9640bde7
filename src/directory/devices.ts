/** What a signed-in device may ask about the devices of its own account. */
import { type AccountAddress, accountOf } from "../base/address.js";
import type { AccountRecord } from "../store/store.js";
import type { Methods } from "./requests.js";

/** What this service needs of the store. */
export interface DeviceStore {
  readAccount(address: AccountAddress): AccountRecord | undefined;
}

export function deviceMethods(store: DeviceStore): Methods {
  return {
    "devices.list": (caller) => {
      const record = store.readAccount(accountOf(caller));
      return { version: record?.version ?? 0, devices: record?.devices.map(({ number }) => number) ?? [] };
    },
  };
}

/** Other people's accounts, by the names that their brands gave them. */
import { ACCOUNT_ADDRESS_BYTES } from "../base/address.js";
import { Fields } from "../wire/fields.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import type { Ask, Roster } from "./types.js";

const DEVICES_MAX = 1024;

export class Accounts {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /**
   * The account of a name, with its roster. Rejects with `notFound` when nobody has the name or the account cannot be
   * reached from this one, and with `rateLimited`.
   */
  resolve(name: { readonly brand: number; readonly name: Uint8Array }): Promise<Roster> {
    const body = { brand: name.brand, name: name.name };
    return this.#ask({ method: "accounts.resolve", body, isRepeatable: true }, readRoster);
  }
}

function readRoster(body: MsgpackMap): Roster {
  const fields = new Fields(body, badFrame);
  return {
    account: fields.binOf("account", ACCOUNT_ADDRESS_BYTES),
    version: fields.uint("version"),
    devices: fields.uints("devices", DEVICES_MAX),
  };
}

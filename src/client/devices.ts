/** The account's own devices, as the server knows them. */
import { Fields } from "../wire/fields.js";
import { badFrame, type MsgpackMap } from "../wire/msgpack.js";
import type { Ask, OwnDevices } from "./types.js";

const DEVICES_MAX = 1024;

export class Devices {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** All devices of this account, ours among them, and the roster's version. */
  list(): Promise<OwnDevices> {
    return this.#ask({ method: "devices.list", isRepeatable: true }, readOwnDevices);
  }
}

function readOwnDevices(body: MsgpackMap): OwnDevices {
  const fields = new Fields(body, badFrame);
  return { version: fields.uint("version"), devices: fields.uints("devices", DEVICES_MAX) };
}

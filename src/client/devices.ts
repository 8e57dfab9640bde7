/** The account's own devices, as the server knows them. */
import { Fields } from "../wire/fields.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import type { Ask, OwnDevices } from "./types.js";

const DEVICES_MAX = 1024;

export class Devices {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** All devices of this account, ours among them, and the roster's version. Every change is told by the notice `roster`. */
  list(): Promise<OwnDevices> {
    return this.#ask({ method: "devices.list", isRepeatable: true }, readOwnDevices);
  }

  /** Registers a device number ahead of its first sign-in. Rejects with `tooManyDevices` or `rateLimited`. */
  add(device: number): Promise<OwnDevices> {
    return this.#ask({ method: "devices.add", body: { device }, isRepeatable: true }, readOwnDevices);
  }

  /**
   * Removes another device of the account: its connection and its queue go at once, and tokens that it had until now
   * sign it in no more. Rejects with `notFound`, `rateLimited`, or `notAllowed` for this device itself.
   */
  remove(device: number): Promise<OwnDevices> {
    return this.#ask({ method: "devices.remove", body: { device } }, readOwnDevices);
  }
}

function readOwnDevices(body: MsgpackMap): OwnDevices {
  const fields = new Fields(body, badFrame);
  return { version: fields.uint("version"), devices: fields.uints("devices", DEVICES_MAX) };
}

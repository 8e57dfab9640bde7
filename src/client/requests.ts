/** Checks what an application passes to send, and makes frames of it. Throws InterlineError `badArgument`. */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  DEVICE_ADDRESS_BYTES,
  type DeviceAddress,
  ENVELOPE_ID_BYTES,
  type EnvelopeId,
  parseAddress,
} from "../base/address.js";
import { type DevicePayload, encodeClientFrame } from "../wire/client-frames.js";
import { InterlineError } from "./errors.js";
import type { AccountLike, DeviceLike, EphemeralRequest, Payload, SendRequest } from "./types.js";

const DEVICE_NUMBER_MAX = 0xffff;
const VERSION_MAX = 0xffff_ffff;

export function sendFrameOf(request: SendRequest): { readonly id: EnvelopeId; readonly frame: Uint8Array } {
  const id = request.id?.slice() ?? crypto.getRandomValues(new Uint8Array(ENVELOPE_ID_BYTES));
  if (id.length !== ENVELOPE_ID_BYTES) throw badArgument("an envelope id has 16 bytes");
  if (request.to.length === 0) throw badArgument("a send names at least one account");
  const accounts = request.to.map(({ account, version, devices }) => {
    if (!isIntegerIn(version, 0, VERSION_MAX)) throw badArgument("a roster version is an integer");
    return { account: accountOfLike(account), version, devices: checkedDevices(devices) };
  });
  return { id, frame: encodeClientFrame({ kind: "send", id, accounts }) };
}

export function ephemeralFrameOf(request: EphemeralRequest): Uint8Array {
  const accounts = request.to.map(({ account, devices }) => ({
    account: accountOfLike(account),
    devices: checkedDevices(devices),
  }));
  return encodeClientFrame({ kind: "ephemeral", accounts });
}

export function accountOfLike(account: AccountLike): AccountAddress {
  const bytes = typeof account === "string" ? parseAddress(account) : account;
  if (bytes?.length !== ACCOUNT_ADDRESS_BYTES) {
    throw badArgument("an account is 18 bytes, or brand/account-id-in-hex");
  }
  return bytes;
}

export function deviceOfLike(device: DeviceLike): DeviceAddress {
  const bytes = typeof device === "string" ? parseAddress(device) : device;
  if (bytes?.length !== DEVICE_ADDRESS_BYTES) {
    throw badArgument("a device is 20 bytes, or brand/account-id-in-hex/device");
  }
  return bytes;
}

function checkedDevices(devices: readonly Payload[]): readonly DevicePayload[] {
  for (const { device, payload } of devices) {
    if (!isIntegerIn(device, 1, DEVICE_NUMBER_MAX)) throw badArgument("a device number is 1 to 65535");
    if (!(payload instanceof Uint8Array)) throw badArgument("a payload is a Uint8Array");
  }
  return devices;
}

function isIntegerIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

export function badArgument(text: string): InterlineError {
  return new InterlineError("badArgument", { text });
}

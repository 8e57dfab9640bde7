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
import { encodeClientFrame } from "../wire/client-frames.js";
import { GROUP_SIGNAL_BYTES_MAX } from "../wire/protocol.js";
import type { DeviceBlock, DevicePayload } from "../wire/recipients.js";
import { DELIVERY_TOKEN_BYTES, encodeSealedSend, encodeSealedSharedSend } from "../wire/sealed.js";
import { InterlineError } from "./errors.js";
import type {
  AccountLike,
  Block,
  ClientOptions,
  DeviceLike,
  GroupSendRequest,
  GroupSignalRequest,
  OwnSendRequest,
  Payload,
  SealedSendRequest,
  SealedSharedSendRequest,
  SendRequest,
  SharedSendRequest,
  SignalRequest,
} from "./types.js";

const DEVICE_NUMBER_MAX = 0xffff;
const VERSION_MAX = 0xffff_ffff;

export interface MadeSend {
  readonly id: EnvelopeId;
  readonly frame: Uint8Array;
}

export function helloFrameOf(
  token: string,
  resume: number,
  { windowEntries = 0, windowBytes = 0 }: Pick<ClientOptions, "windowEntries" | "windowBytes">,
): Uint8Array {
  return encodeClientFrame({ kind: "hello", token, resume, windowEntries, windowBytes });
}

export function sendFrameOf(request: SendRequest): MadeSend {
  const id = idOf(request.id);
  if (request.to.length === 0) throw badArgument("a send names at least one account");
  const accounts = request.to.map(({ account, version, devices }) => ({
    account: accountOfLike(account),
    version: checkedVersion(version),
    devices: checkedDevices(devices),
  }));
  return { id, frame: encodeClientFrame({ kind: "send", id, accounts }) };
}

export function sharedSendFrameOf(request: SharedSendRequest): MadeSend {
  const id = idOf(request.id);
  const shared = checkedBytes(request.shared, "a shared part");
  if (request.to.length === 0) throw badArgument("a send names at least one account");
  const accounts = request.to.map(({ account, version, devices }) => ({
    account: accountOfLike(account),
    version: checkedVersion(version),
    devices: devices.map(checkedBlock),
  }));
  return { id, frame: encodeClientFrame({ kind: "sharedSend", id, shared, accounts }) };
}

export function groupSendFrameOf(request: GroupSendRequest): MadeSend {
  const id = idOf(request.id);
  const group = accountOfLike(request.group);
  const version = checkedVersion(request.version);
  const shared = checkedBytes(request.shared, "a shared part");
  const blocks = (request.blocks ?? []).map(({ account, ...block }) => ({
    account: accountOfLike(account),
    ...checkedBlock(block),
  }));
  return { id, frame: encodeClientFrame({ kind: "groupSend", id, group, version, shared, blocks }) };
}

export function ownSendFrameOf(request: OwnSendRequest): MadeSend {
  const id = idOf(request.id);
  const { device, payload } = request;
  checkNumber(device);
  checkedBytes(payload, "a payload");
  return { id, frame: encodeClientFrame({ kind: "ownSend", id, device, payload }) };
}

export function sealedFrameOf(request: SealedSendRequest): MadeSend {
  const id = idOf(request.id);
  const deliveryToken = checkedToken(request.deliveryToken);
  const account = accountOfLike(request.account);
  const version = checkedVersion(request.version);
  const devices = checkedDevices(request.devices);
  return {
    id,
    frame: encodeSealedSend({ kind: "sealedSend", id, deliveryToken, account, version, devices }),
  };
}

export function sealedSharedFrameOf(request: SealedSharedSendRequest): MadeSend {
  const id = idOf(request.id);
  const shared = checkedBytes(request.shared, "a shared part");
  if (request.to.length === 0) throw badArgument("a send names at least one account");
  const accounts = request.to.map(({ account, deliveryToken, version, devices }) => ({
    account: accountOfLike(account),
    deliveryToken: checkedToken(deliveryToken),
    version: checkedVersion(version),
    devices: devices.map(checkedBlock),
  }));
  return { id, frame: encodeSealedSharedSend({ kind: "sealedSharedSend", id, shared, accounts }) };
}

export function checkedToken(token: Uint8Array): Uint8Array {
  if (checkedBytes(token, "a delivery token").length !== DELIVERY_TOKEN_BYTES)
    throw badArgument("a delivery token has 16 bytes");
  return token;
}

function idOf(given: Uint8Array | undefined): EnvelopeId {
  const id = given?.slice() ?? crypto.getRandomValues(new Uint8Array(ENVELOPE_ID_BYTES));
  if (id.length !== ENVELOPE_ID_BYTES) throw badArgument("an envelope id has 16 bytes");
  return id;
}

function checkedVersion(version: number): number {
  if (!isIntegerIn(version, 0, VERSION_MAX)) throw badArgument("a roster version is an integer");
  return version;
}

function checkedBlock({ device, block }: Block): DeviceBlock {
  checkNumber(device);
  return { device, block: checkedBytes(block, "a block") };
}

function checkedBytes(bytes: Uint8Array, what: string): Uint8Array {
  if (!(bytes instanceof Uint8Array)) throw badArgument(`${what} is a Uint8Array`);
  return bytes;
}

function checkNumber(device: number): void {
  if (!isIntegerIn(device, 1, DEVICE_NUMBER_MAX)) throw badArgument("a device number is 1 to 65535");
}

export function signalFrameOf(request: SignalRequest | GroupSignalRequest): Uint8Array {
  if ("group" in request) {
    const payload = checkedBytes(request.payload, "a payload");
    if (payload.length > GROUP_SIGNAL_BYTES_MAX) throw badArgument("a signal to a group has at most 4 KiB");
    return encodeClientFrame({ kind: "groupEphemeral", group: accountOfLike(request.group), payload });
  }
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
    checkNumber(device);
    checkedBytes(payload, "a payload");
  }
  return devices;
}

function isIntegerIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

export function badArgument(text: string): InterlineError {
  return new InterlineError("badArgument", { text });
}

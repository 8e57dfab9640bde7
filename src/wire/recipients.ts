/**
 * The lists that sends are made of: accounts, their devices, and what each device gets. Read and written for every kind of
 * send, of connections that name a device (client-frames.ts) and of such as do not (sealed.ts).
 *
 * Invariants. A list over a bound is refused by its count, before anything of it is read: that keeps the objects few. Nothing is
 * listed twice.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { CodedError } from "./coded-error.js";
import { badFrame, type MsgpackReader } from "./msgpack.js";
import type { MsgpackWriter } from "./msgpack-writer.js";

const DEVICE_NUMBER_MAX = 0xffff;
export const ROSTER_VERSION_MAX = 0xffff_ffff;

/** One ciphertext for one device of the account it is listed under. */
export interface DevicePayload {
  readonly device: number;
  readonly payload: Uint8Array;
}

/** An account of a send, and what its devices get. */
export interface Party<T> {
  readonly account: AccountAddress;
  /** Of the account's roster that the list was made for. */
  readonly version: number;
  readonly devices: T;
}

/** What one device gets beside the shared part: may be empty. */
export interface DeviceBlock {
  readonly device: number;
  readonly block: Uint8Array;
}

/** The bounds a send is held against; `limits` of rules/limits.ts is one of these. */
export interface SendBounds {
  readonly payloadBytesMax: number;
  readonly accountsPerSendMax: number;
  readonly devicesPerAccountMax: number;
  readonly accountsPerSharedSendMax: number;
  readonly blockBytesMax: number;
}

/** Accounts, as `readAccount` reads each. */
export function readAccounts<T extends { readonly account: AccountAddress }>(
  reader: MsgpackReader,
  accountsMax: number,
  readAccount: () => T,
): T[] {
  const count = reader.array();
  if (count > accountsMax) throw new CodedError("tooManyRecipients");
  const accounts: T[] = [];
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    const entry = readAccount();
    seen.add(toHex(entry.account));
    accounts.push(entry);
  }
  if (seen.size !== count) throw new CodedError("repeatedRecipient");
  return accounts;
}

/** Accounts under a version of their rosters, with what `readThose` reads for their devices; at least one. */
export function readParties<T>(reader: MsgpackReader, accountsMax: number, readThose: () => T): Party<T>[] {
  const parties = readAccounts(reader, accountsMax, () => {
    reader.arrayOf(3);
    const account: AccountAddress = reader.binOf(ACCOUNT_ADDRESS_BYTES);
    return { account, version: reader.uint(ROSTER_VERSION_MAX), devices: readThose() };
  });
  if (parties.length === 0) throw badFrame("a send names at least one account");
  return parties;
}

/** The ciphertexts for devices of one account. */
export function readDevices(reader: MsgpackReader, bounds: SendBounds): DevicePayload[] {
  return readEach(reader, bounds.devicesPerAccountMax, (device) => ({
    device,
    payload: readBounded(reader, bounds.payloadBytesMax),
  }));
}

/** The blocks for devices of one account. */
export function readBlocks(reader: MsgpackReader, bounds: SendBounds): DeviceBlock[] {
  return readEach(reader, bounds.devicesPerAccountMax, (device) => ({
    device,
    block: readBounded(reader, bounds.blockBytesMax),
  }));
}

/** What is said to each of some devices of one account. */
function readEach<T extends { readonly device: number }>(
  reader: MsgpackReader,
  devicesMax: number,
  readDevice: (device: number) => T,
): T[] {
  const count = reader.array();
  if (count > devicesMax) throw new CodedError("tooManyRecipients");
  const devices: T[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < count; i++) {
    reader.arrayOf(2);
    const device = readDeviceNumber(reader);
    devices.push(readDevice(device));
    seen.add(device);
  }
  if (seen.size !== count) throw new CodedError("repeatedRecipient");
  return devices;
}

export function readDeviceNumber(reader: MsgpackReader): number {
  const device = reader.uint(DEVICE_NUMBER_MAX);
  if (device === 0) throw badFrame("a device number is 1 to 65535");
  return device;
}

export function readBounded(reader: MsgpackReader, bytesMax: number): Uint8Array {
  const bytes = reader.bin();
  if (bytes.length > bytesMax) throw new CodedError("payloadTooLarge");
  return bytes;
}

export function writeParties<T>(
  writer: MsgpackWriter,
  parties: readonly Party<T>[],
  writeThose: (writer: MsgpackWriter, those: T) => void,
): void {
  writer.array(parties.length);
  for (const { account, version, devices } of parties) {
    writer.array(3);
    writer.bin(account);
    writer.uint(version);
    writeThose(writer, devices);
  }
}

export function writeDevices(writer: MsgpackWriter, devices: readonly DevicePayload[]): void {
  writer.array(devices.length);
  for (const { device, payload } of devices) {
    writer.array(2);
    writer.uint(device);
    writer.bin(payload);
  }
}

export function writeBlocks(writer: MsgpackWriter, devices: readonly DeviceBlock[]): void {
  writer.array(devices.length);
  for (const { device, block } of devices) {
    writer.array(2);
    writer.uint(device);
    writer.bin(block);
  }
}

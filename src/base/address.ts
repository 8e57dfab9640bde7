/**
 * Addresses: who an envelope is from and for.
 *
 *   account address, 18 bytes   | brand u16 BE | account id 16 |
 *   device address,  20 bytes   | brand u16 BE | account id 16 | device number u16 BE |
 *
 * The same account id in two brands is two accounts: nothing is ever looked up
 * by account id alone. As text: `brand/account-id-in-hex` and
 * `brand/account-id-in-hex/device`, with the brand's number in decimal.
 */
import { assert } from "./assert.js";
import { fromHex, toHex } from "./bytes.js";

export const ACCOUNT_ID_BYTES = 16;
export const ACCOUNT_ADDRESS_BYTES = 18;
export const DEVICE_ADDRESS_BYTES = 20;
export const ENVELOPE_ID_BYTES = 16;

declare const brandKey: unique symbol;
type Branded<T, B extends string> = T & { readonly [brandKey]?: B };

/** 18 bytes; see the drawing above. */
export type AccountAddress = Branded<Uint8Array, "AccountAddress">;
/** 20 bytes; see the drawing above. */
export type DeviceAddress = Branded<Uint8Array, "DeviceAddress">;
/** 16 bytes chosen by the sending device; names one envelope of that device. */
export type EnvelopeId = Branded<Uint8Array, "EnvelopeId">;

/** The parts of a device address. */
export interface DeviceParts {
  readonly brand: number;
  /** 16 bytes. */
  readonly account: Uint8Array;
  readonly device: number;
}

export function accountAddress(brand: number, account: Uint8Array): AccountAddress {
  assert(account.length === ACCOUNT_ID_BYTES, "an account id has 16 bytes");
  assert(Number.isInteger(brand) && brand >= 1 && brand <= 0xffff, "a brand number is 1 to 65535");
  const address = new Uint8Array(ACCOUNT_ADDRESS_BYTES);
  address[0] = brand >> 8;
  address[1] = brand & 0xff;
  address.set(account, 2);
  return address;
}

export function deviceAddress(parts: DeviceParts): DeviceAddress {
  assert(
    Number.isInteger(parts.device) && parts.device >= 1 && parts.device <= 0xffff,
    "a device number is 1 to 65535",
  );
  const address = new Uint8Array(DEVICE_ADDRESS_BYTES);
  address.set(accountAddress(parts.brand, parts.account));
  address[18] = parts.device >> 8;
  address[19] = parts.device & 0xff;
  return address;
}

export function deviceParts(address: DeviceAddress): DeviceParts {
  assert(address.length === DEVICE_ADDRESS_BYTES, "a device address has 20 bytes");
  return {
    brand: ((address[0] as number) << 8) | (address[1] as number),
    account: address.slice(2, 18),
    device: ((address[18] as number) << 8) | (address[19] as number),
  };
}

/** The number of the brand that an account or a device is of. */
export function brandOf(address: AccountAddress | DeviceAddress): number {
  return ((address[0] as number) << 8) | (address[1] as number);
}

/** The account a device belongs to; a copy. */
export function accountOf(address: DeviceAddress): AccountAddress {
  return address.slice(0, ACCOUNT_ADDRESS_BYTES);
}

/** The device of this number of an account. */
export function numberedDevice(account: AccountAddress, device: number): DeviceAddress {
  const address = new Uint8Array(DEVICE_ADDRESS_BYTES);
  address.set(account);
  address[18] = device >> 8;
  address[19] = device & 0xff;
  return address;
}

/** The number of a device within its account. */
export function deviceNumber(address: DeviceAddress): number {
  return ((address[18] as number) << 8) | (address[19] as number);
}

/** `3/00112233445566778899aabbccddeeff` or, with a device, `…/1`. */
export function formatAddress(address: AccountAddress | DeviceAddress): string {
  const brand = ((address[0] as number) << 8) | (address[1] as number);
  const account = toHex(address.subarray(2, 18));
  if (address.length === ACCOUNT_ADDRESS_BYTES) return `${brand}/${account}`;
  return `${brand}/${account}/${((address[18] as number) << 8) | (address[19] as number)}`;
}

/** Reads what formatAddress writes; undefined when the text is neither form. */
export function parseAddress(text: string): AccountAddress | DeviceAddress | undefined {
  const match = /^(\d{1,5})\/([0-9a-f]{32})(?:\/(\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const brand = Number(match[1]);
  const account = fromHex(match[2] as string);
  if (account === undefined || brand < 1 || brand > 0xffff) return undefined;
  if (match[3] === undefined) return accountAddress(brand, account);
  const device = Number(match[3]);
  if (device < 1 || device > 0xffff) return undefined;
  return deviceAddress({ brand, account, device });
}

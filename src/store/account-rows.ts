/** Rows that are about accounts: rosters, names, delivery tokens, notices owed. schema.ts draws them, and says how rows are sealed. */
import type { AccountAddress } from "../base/address.js";
import { type DeliveryTokens, TOKEN_DIGEST_BYTES } from "../rules/sealed.js";
import { isSealed, readU32, readU64, seal, writeU32, writeU64 } from "./schema.js";

const ACCOUNT_HEADER_BYTES = 16;
const ACCOUNT_DEVICE_BYTES = 8;
const NAME_HEADER_BYTES = 20;

export interface AccountRow {
  readonly version: number;
  readonly isRemoved?: boolean;
  readonly devices: readonly { readonly number: number; readonly ordinal: number }[];
}

export function encodeAccount(key: Uint8Array, account: AccountRow): Uint8Array {
  const row = new Uint8Array(ACCOUNT_HEADER_BYTES + ACCOUNT_DEVICE_BYTES * account.devices.length);
  writeU32(row, 4, account.version);
  writeU32(row, 8, account.devices.length);
  writeU32(row, 12, account.isRemoved ? 1 : 0);
  account.devices.forEach((device, i) => {
    const at = ACCOUNT_HEADER_BYTES + ACCOUNT_DEVICE_BYTES * i;
    writeU32(row, at, device.number);
    writeU32(row, at + 4, device.ordinal);
  });
  return seal(key, row);
}

export function decodeAccount(key: Uint8Array, row: Uint8Array): AccountRow | undefined {
  if (row.length < ACCOUNT_HEADER_BYTES || !isSealed(key, row)) return undefined;
  const count = readU32(row, 8);
  if (row.length !== ACCOUNT_HEADER_BYTES + ACCOUNT_DEVICE_BYTES * count) return undefined;
  const devices = Array.from({ length: count }, (_, i) => {
    const at = ACCOUNT_HEADER_BYTES + ACCOUNT_DEVICE_BYTES * i;
    return { number: readU32(row, at), ordinal: readU32(row, at + 4) };
  });
  return { version: readU32(row, 4), devices, ...(readU32(row, 12) === 1 && { isRemoved: true }) };
}

export interface NameRow {
  /** 16 bytes. */
  readonly account: Uint8Array;
  readonly name: Uint8Array;
}

export function encodeName(key: Uint8Array, { account, name }: NameRow): Uint8Array {
  const row = new Uint8Array(NAME_HEADER_BYTES + name.length);
  row.set(account, 4);
  row.set(name, NAME_HEADER_BYTES);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeName(key: Uint8Array, row: Uint8Array): NameRow | undefined {
  if (row.length < NAME_HEADER_BYTES || !isSealed(key, row)) return undefined;
  return { account: row.slice(4, NAME_HEADER_BYTES), name: row.slice(NAME_HEADER_BYTES) };
}

const DELIVERY_HEADER_BYTES = 16;
const DELIVERY_ROW_BYTES = DELIVERY_HEADER_BYTES + 2 * TOKEN_DIGEST_BYTES;

export function encodeDeliveryTokens(key: Uint8Array, tokens: DeliveryTokens): Uint8Array {
  const row = new Uint8Array(DELIVERY_ROW_BYTES);
  writeU64(row, 8, tokens.previousUntilMs);
  row.set(tokens.current, DELIVERY_HEADER_BYTES);
  row.set(tokens.previous, DELIVERY_HEADER_BYTES + TOKEN_DIGEST_BYTES);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeDeliveryTokens(key: Uint8Array, row: Uint8Array): DeliveryTokens | undefined {
  if (row.length !== DELIVERY_ROW_BYTES || !isSealed(key, row)) return undefined;
  const previousAt = DELIVERY_HEADER_BYTES + TOKEN_DIGEST_BYTES;
  return {
    current: row.slice(DELIVERY_HEADER_BYTES, previousAt),
    previous: row.slice(previousAt),
    previousUntilMs: readU64(row, 8),
  };
}

const NOTICE_HEADER_BYTES = 24;
const NOTICE_GROUP_BYTES = 24;
const OF_GROUP = 0x80;
const RECIPIENT_BYTES = 20;
/** In the place of a count of devices: all of them. */
const ALL_DEVICES = 0xffff;

export interface NoticeRow {
  readonly id: Uint8Array;
  readonly recipients: readonly {
    readonly account: AccountAddress;
    readonly devices?: readonly number[] | undefined;
  }[];
  readonly payload: Uint8Array;
  readonly group?: { readonly address: AccountAddress; readonly version: number } | undefined;
  /** 0 in a row of an earlier version. */
  readonly brand: number;
}

export function encodeNotice(key: Uint8Array, notice: NoticeRow): Uint8Array {
  const { id, recipients, payload, group, brand } = notice;
  const devicesBytes = recipients.reduce((sum, { devices = [] }) => sum + 2 * devices.length, 0);
  const recipientsAt = NOTICE_HEADER_BYTES + (group ? NOTICE_GROUP_BYTES : 0);
  const payloadAt = recipientsAt + recipients.length * RECIPIENT_BYTES + devicesBytes;
  const row = new Uint8Array(payloadAt + payload.length);
  const view = new DataView(row.buffer);
  row[4] = recipients.length;
  view.setUint16(5, brand, true);
  row[7] = group ? OF_GROUP : 0;
  row.set(id, 8);
  if (group) {
    row.set(group.address, NOTICE_HEADER_BYTES);
    writeU32(row, NOTICE_HEADER_BYTES + 20, group.version);
  }
  let at = recipientsAt;
  for (const { account, devices } of recipients) {
    row.set(account, at);
    view.setUint16(at + 18, devices?.length ?? ALL_DEVICES, true);
    at += RECIPIENT_BYTES;
    for (const number of devices ?? []) {
      view.setUint16(at, number, true);
      at += 2;
    }
  }
  row.set(payload, at);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeNotice(key: Uint8Array, row: Uint8Array): NoticeRow | undefined {
  if (row.length < NOTICE_HEADER_BYTES || !isSealed(key, row)) return undefined;
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const recipients: NoticeRow["recipients"][number][] = [];
  const isOfGroup = row[7] === OF_GROUP;
  let at = NOTICE_HEADER_BYTES + (isOfGroup ? NOTICE_GROUP_BYTES : 0);
  if (row.length < at) return undefined;
  for (let left = row[4] as number; left > 0; left--) {
    if (at + RECIPIENT_BYTES > row.length) return undefined;
    const account = row.slice(at, at + 18);
    const count = view.getUint16(at + 18, true);
    at += RECIPIENT_BYTES;
    if (count === ALL_DEVICES) recipients.push({ account });
    else {
      if (at + 2 * count > row.length) return undefined;
      const from = at;
      recipients.push({
        account,
        devices: Array.from({ length: count }, (_, i) => view.getUint16(from + 2 * i, true)),
      });
      at += 2 * count;
    }
  }
  const group = { address: row.slice(24, 42), version: isOfGroup ? readU32(row, 44) : 0 };
  return {
    id: row.slice(8, 24),
    brand: view.getUint16(5, true),
    recipients,
    payload: row.slice(at),
    ...(isOfGroup && { group }),
  };
}

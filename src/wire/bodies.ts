/**
 * The maps inside `welcome` and `refusal`, as the client reads them: known keys
 * are checked, others are ignored, because a later server may say more.
 * control.ts writes them. Throws CodedError `badFrame` and nothing else.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress, DEVICE_ADDRESS_BYTES } from "../base/address.js";
import { Fields } from "./fields.js";
import { readAccounts } from "./groups.js";
import { badFrame, DETAIL_ITEMS_MAX } from "./msgpack.js";
import type { MsgpackMap } from "./msgpack-value.js";
import { durabilities, type RosterDifference, type WelcomeBody } from "./protocol.js";

/** What a refusal says beyond its code; empty for most codes. */
export interface RefusalDetail {
  readonly rosters?: readonly RosterDifference[];
  /** Of the group, as it is now. */
  readonly group?: { readonly address: Uint8Array; readonly version: number };
  /** Of a sealed send to several: the accounts that the code is about. */
  readonly accounts?: readonly AccountAddress[];
}

export function readWelcome(body: MsgpackMap): WelcomeBody {
  const fields = new Fields(body, badFrame);
  const durability = fields.str("durability");
  if (!Object.hasOwn(durabilities, durability)) throw badFrame("welcome names no known durability");
  return {
    device: fields.binOf("device", DEVICE_ADDRESS_BYTES),
    serverTimeMs: fields.uint("serverTimeMs"),
    durability: durability as WelcomeBody["durability"],
    position: fields.uint("position"),
    dedupWindowMs: fields.uint("dedupWindowMs"),
    dedupWindowCount: fields.uint("dedupWindowCount"),
    payloadBytesMax: fields.uint("payloadBytesMax"),
    messageBytesMax: fields.uint("messageBytesMax"),
    accountsPerSendMax: fields.uint("accountsPerSendMax"),
    windowEntries: fields.uint("windowEntries"),
    windowBytes: fields.uint("windowBytes"),
    silenceMs: fields.uint("silenceMs"),
  };
}

export function readDetail(body: MsgpackMap): RefusalDetail {
  const fields = new Fields(body, badFrame);
  return {
    ...(fields.has("rosters") && { rosters: readRosters(fields) }),
    ...(fields.has("group") && { group: readGroup(fields.map("group")) }),
    ...(fields.has("accounts") && { accounts: readAbout(fields) }),
  };
}

function readRosters(fields: Fields): readonly RosterDifference[] {
  return fields.maps("rosters", DETAIL_ITEMS_MAX).map((difference) => ({
    account: difference.binOf("account", ACCOUNT_ADDRESS_BYTES),
    version: difference.uint("version"),
    missing: difference.uints("missing", DETAIL_ITEMS_MAX),
    surplus: difference.uints("surplus", DETAIL_ITEMS_MAX),
  }));
}

function readGroup(group: Fields): NonNullable<RefusalDetail["group"]> {
  return { address: group.binOf("address", ACCOUNT_ADDRESS_BYTES), version: group.uint("version") };
}

function readAbout(fields: Fields): readonly AccountAddress[] {
  const accounts = readAccounts(fields.bin("accounts", { min: 0, max: Number.MAX_SAFE_INTEGER }));
  if (accounts === undefined) throw badFrame("accounts are 18 bytes each");
  return accounts;
}

/**
 * The maps inside `welcome` and `refusal`, as the client reads them: known keys
 * are checked, others are ignored, because a later server may say more.
 * control.ts writes them. Throws CodedError `badFrame` and nothing else.
 */
import { ACCOUNT_ADDRESS_BYTES, DEVICE_ADDRESS_BYTES } from "../base/address.js";
import { badFrame, type MsgpackValue } from "./msgpack.js";
import { durabilities, type RosterDifference, type WelcomeBody } from "./protocol.js";

type Body = { readonly [key: string]: MsgpackValue };

/** What a refusal says beyond its code; empty for most codes. */
export interface RefusalDetail {
  readonly rosters?: readonly RosterDifference[];
}

export function readWelcome(body: Body): WelcomeBody {
  const { durability } = body;
  if (typeof durability !== "string" || !Object.hasOwn(durabilities, durability)) {
    throw badFrame("welcome names no known durability");
  }
  return {
    device: binIn(body, "device", DEVICE_ADDRESS_BYTES),
    serverTimeMs: uintIn(body, "serverTimeMs"),
    durability: durability as WelcomeBody["durability"],
    position: uintIn(body, "position"),
    dedupWindowMs: uintIn(body, "dedupWindowMs"),
    dedupWindowCount: uintIn(body, "dedupWindowCount"),
    payloadBytesMax: uintIn(body, "payloadBytesMax"),
    messageBytesMax: uintIn(body, "messageBytesMax"),
    accountsPerSendMax: uintIn(body, "accountsPerSendMax"),
    windowEntries: uintIn(body, "windowEntries"),
    windowBytes: uintIn(body, "windowBytes"),
    silenceMs: uintIn(body, "silenceMs"),
  };
}

export function readDetail(body: Body): RefusalDetail {
  const { rosters } = body;
  if (rosters === undefined) return {};
  if (!Array.isArray(rosters)) throw badFrame("rosters is a list");
  return { rosters: rosters.map(readDifference) };
}

function readDifference(value: MsgpackValue): RosterDifference {
  if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof Uint8Array) {
    throw badFrame("a roster difference is a map");
  }
  const body = value as Body;
  return {
    account: binIn(body, "account", ACCOUNT_ADDRESS_BYTES),
    version: uintIn(body, "version"),
    missing: numbersIn(body, "missing"),
    surplus: numbersIn(body, "surplus"),
  };
}

function uintIn(body: Body, key: string): number {
  const value = body[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw badFrame(`${key} is an unsigned integer`);
  }
  return value;
}

function binIn(body: Body, key: string, length: number): Uint8Array {
  const value = body[key];
  if (!(value instanceof Uint8Array) || value.length !== length) {
    throw badFrame(`${key} is a byte string of ${length} bytes`);
  }
  return value;
}

function numbersIn(body: Body, key: string): readonly number[] {
  const value = body[key];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "number")) {
    throw badFrame(`${key} is a list of device numbers`);
  }
  return value;
}

/**
 * Sealed envelopes: sent over a connection of nobody in particular, to whoever has shared its delivery token. What a
 * device gets is an ordinary `deliver` whose sender is the one address below, the same for all of them; who wrote it,
 * the ciphertext alone says.
 */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  DEVICE_ADDRESS_BYTES,
  type DeviceAddress,
  ENVELOPE_ID_BYTES,
  type EnvelopeId,
} from "../base/address.js";
import { type ClientFrame, decodeClientFrame, type SharedAccount } from "./client-frames.js";
import { badFrame, MsgpackReader } from "./msgpack.js";
import { MsgpackWriter } from "./msgpack-writer.js";
import { kinds } from "./protocol.js";
import {
  type DevicePayload,
  ROSTER_VERSION_MAX,
  readAccounts,
  readBlocks,
  readBounded,
  readDevices,
  type SendBounds,
  writeBlocks,
  writeDevices,
} from "./recipients.js";

/** What an account's devices share with those who may send to it without being named. Random. */
export const DELIVERY_TOKEN_BYTES = 16;

/** Stands where a sender would: brand 0, which no brand has, and an account id of ff. */
export const SEALED_ACCOUNT = new Uint8Array(ACCOUNT_ADDRESS_BYTES).fill(0xff, 2);
export const SEALED_DEVICE = new Uint8Array(DEVICE_ADDRESS_BYTES).fill(0xff, 2, ACCOUNT_ADDRESS_BYTES);

export function isSealed(sender: DeviceAddress): boolean {
  return SEALED_DEVICE.every((byte, i) => sender[i] === byte);
}

/** To one account, from a connection that speaks for nobody. */
export interface SealedSendFrame {
  readonly kind: "sealedSend";
  /** A secret of the sender: devices get another one that is made of it. */
  readonly id: EnvelopeId;
  readonly deliveryToken: Uint8Array;
  readonly account: AccountAddress;
  readonly version: number;
  readonly devices: readonly DevicePayload[];
}

/** An account of a sealed send to several, and what opens it. */
export interface SealedAccount extends SharedAccount {
  readonly deliveryToken: Uint8Array;
}

/** The same to several accounts, as one shared part and a block for each device. */
export interface SealedSharedSendFrame {
  readonly kind: "sealedSharedSend";
  /** As of a sealed send: one for the whole of it. */
  readonly id: EnvelopeId;
  readonly shared: Uint8Array;
  readonly accounts: readonly SealedAccount[];
}

export type AnySealedSendFrame = SealedSendFrame | SealedSharedSendFrame;

export function encodeSealedSend(frame: SealedSendFrame): Uint8Array {
  const writer = new MsgpackWriter();
  writer.array(6);
  writer.uint(kinds.sealedSend);
  writer.bin(frame.id);
  writer.bin(frame.deliveryToken);
  writer.bin(frame.account);
  writer.uint(frame.version);
  writeDevices(writer, frame.devices);
  return writer.take();
}

export function encodeSealedSharedSend(frame: SealedSharedSendFrame): Uint8Array {
  const writer = new MsgpackWriter();
  writer.array(4);
  writer.uint(kinds.sealedSharedSend);
  writer.bin(frame.id);
  writer.bin(frame.shared);
  writer.array(frame.accounts.length);
  for (const { account, deliveryToken, version, devices } of frame.accounts) {
    writer.array(4);
    writer.bin(account);
    writer.bin(deliveryToken);
    writer.uint(version);
    writeBlocks(writer, devices);
  }
  return writer.take();
}

/** The frame that begins at `offset`: a sealed send, or one that other connections send too. Throws like decodeClientFrame. */
export function decodeUnidentifiedFrame(
  bytes: Uint8Array,
  offset: number,
  bounds: SendBounds,
): { readonly frame: AnySealedSendFrame | ClientFrame; readonly next: number } {
  const reader = new MsgpackReader(bytes, offset);
  const count = reader.array();
  const kind = count === 0 ? 0 : reader.uint();
  if (kind === kinds.sealedSend && count === 6) {
    const frame = readSealedSend(reader, bounds);
    return { frame, next: reader.offset };
  }
  if (kind === kinds.sealedSharedSend && count === 4) {
    const frame = readSealedSharedSend(reader, bounds);
    return { frame, next: reader.offset };
  }
  return decodeClientFrame(bytes, offset, bounds);
}

function readSealedSend(reader: MsgpackReader, bounds: SendBounds): SealedSendFrame {
  return {
    kind: "sealedSend",
    id: reader.binOf(ENVELOPE_ID_BYTES),
    deliveryToken: reader.binOf(DELIVERY_TOKEN_BYTES),
    account: reader.binOf(ACCOUNT_ADDRESS_BYTES),
    version: reader.uint(ROSTER_VERSION_MAX),
    devices: readDevices(reader, bounds),
  };
}

function readSealedSharedSend(reader: MsgpackReader, bounds: SendBounds): SealedSharedSendFrame {
  const id = reader.binOf(ENVELOPE_ID_BYTES);
  const shared = readBounded(reader, bounds.payloadBytesMax);
  const accounts = readAccounts(reader, bounds.accountsPerSharedSendMax, () => {
    reader.arrayOf(4);
    return {
      account: reader.binOf(ACCOUNT_ADDRESS_BYTES),
      deliveryToken: reader.binOf(DELIVERY_TOKEN_BYTES),
      version: reader.uint(ROSTER_VERSION_MAX),
      devices: readBlocks(reader, bounds),
    };
  });
  if (accounts.length === 0) throw badFrame("a send names at least one account");
  return { kind: "sealedSharedSend", id, shared, accounts };
}

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
import {
  type ClientFrame,
  type DevicePayload,
  decodeClientFrame,
  readDevices,
  type SendBounds,
  writeDevices,
} from "./client-frames.js";
import { MsgpackReader } from "./msgpack.js";
import { MsgpackWriter } from "./msgpack-writer.js";
import { kinds } from "./protocol.js";

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

/** The frame that begins at `offset`: a sealed send, or one that other connections send too. Throws like decodeClientFrame. */
export function decodeUnidentifiedFrame(
  bytes: Uint8Array,
  offset: number,
  bounds: SendBounds,
): { readonly frame: SealedSendFrame | ClientFrame; readonly next: number } {
  const reader = new MsgpackReader(bytes, offset);
  const count = reader.array();
  if (count !== 6 || reader.uint() !== kinds.sealedSend) return decodeClientFrame(bytes, offset, bounds);
  const frame = {
    kind: "sealedSend" as const,
    id: reader.binOf(ENVELOPE_ID_BYTES),
    deliveryToken: reader.binOf(DELIVERY_TOKEN_BYTES),
    account: reader.binOf(ACCOUNT_ADDRESS_BYTES),
    version: reader.uint(0xffff_ffff),
    devices: readDevices(reader, bounds),
  };
  return { frame, next: reader.offset };
}

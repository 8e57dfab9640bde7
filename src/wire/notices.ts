/**
 * Notices: what the node itself tells devices, in order with their envelopes.
 *
 * A notice is a `deliver` frame whose sender is all zero: the node (no brand has the number 0). Its payload is a map, of
 * which `notice` says the kind and the rest is the kind's own; docs/protocol.md lists them. An unknown kind is taken
 * and passed over like any other, because a later node may say more.
 */
import { ACCOUNT_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { badFrame, MsgpackReader } from "./msgpack.js";
import type { MsgpackMap } from "./msgpack-value.js";
import { MsgpackWriter } from "./msgpack-writer.js";

/** The node's own account, as the sender of notices. */
export const NODE_ACCOUNT = new Uint8Array(ACCOUNT_ADDRESS_BYTES);

/** Whether the sender of an envelope is the node itself: then its payload is a notice. */
export function isNode(sender: DeviceAddress): boolean {
  return sender.every((byte) => byte === 0);
}

export interface NoticeBody extends MsgpackMap {
  readonly notice: string;
}

export function encodeNotice(body: NoticeBody): Uint8Array {
  const writer = new MsgpackWriter();
  writer.value(body);
  return writer.take();
}

/** Throws CodedError `badFrame`. */
export function decodeNotice(payload: Uint8Array): NoticeBody {
  const reader = new MsgpackReader(payload);
  const body = reader.body();
  if (typeof body.notice !== "string" || !reader.atEnd)
    throw badFrame("a notice is a map that says its kind");
  return body as NoticeBody;
}

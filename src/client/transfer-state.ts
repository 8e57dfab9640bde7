/**
 * What the new device's side of a transfer keeps over its own death: the application stores it, and looks into it never.
 * One msgpack map with a version; it holds the invitation's private key, so it is as secret as the device's other keys.
 */
import { DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { fromHex, toHex } from "../base/bytes.js";
import { CodedError } from "../wire/coded-error.js";
import { Fields } from "../wire/fields.js";
import { badFrame, MsgpackReader } from "../wire/msgpack.js";
import { MsgpackWriter } from "../wire/msgpack-writer.js";
import { badArgument } from "./requests.js";
import {
  DIGEST_BYTES,
  formatInvitation,
  type Invitation,
  PUBLIC_KEY_BYTES,
  parseInvitation,
  RUN_BYTES,
  type Standing,
} from "./transfer-format.js";

const VERSION = 1;
const PRIVATE_KEY_BYTES = { min: 1, max: 1024 };
const RUNS_BYTES = { min: 0, max: 64 * RUN_BYTES };

export interface ReceiverState extends Standing {
  readonly invitation: Invitation;
  /** PKCS #8. */
  readonly privateKey: Uint8Array;
  /** The old device in its newest run; undefined before the first offer. */
  readonly old:
    | { readonly device: DeviceAddress; readonly run: Uint8Array; readonly publicKey: Uint8Array }
    | undefined;
  /** Runs seen, in hex, the newest last. */
  readonly runs: readonly string[];
  readonly bytesMax: number;
  readonly isComplete: boolean;
}

export function encodeState(state: ReceiverState): Uint8Array {
  const { invitation, old, runs, isComplete, privateKey, bytesMax, next, bytes, digest } = state;
  const writer = new MsgpackWriter();
  writer.value({
    version: VERSION,
    invitation: formatInvitation(invitation),
    privateKey,
    ...(old && { old: { ...old } }),
    runs: fromHex(runs.join("")) as Uint8Array,
    bytesMax,
    next,
    bytes,
    digest,
    isComplete: isComplete ? 1 : 0,
  });
  return writer.take();
}

/** Throws InterlineError `badArgument`, or `invitationBad`. */
export function decodeState(state: Uint8Array): ReceiverState {
  try {
    return readState(new Fields(new MsgpackReader(state.slice()).body(), badFrame));
  } catch (error) {
    if (error instanceof CodedError) throw badArgument("these bytes are no state of a transfer");
    throw error;
  }
}

function readState(fields: Fields): ReceiverState {
  if (fields.uint("version") !== VERSION) throw fields.fault("a state of another version");
  const runs = toHex(fields.bin("runs", RUNS_BYTES));
  const old = fields.has("old") ? fields.map("old") : undefined;
  return {
    invitation: parseInvitation(fields.str("invitation")),
    privateKey: fields.bin("privateKey", PRIVATE_KEY_BYTES),
    old: old && {
      device: old.binOf("device", DEVICE_ADDRESS_BYTES),
      run: old.binOf("run", RUN_BYTES),
      publicKey: old.binOf("publicKey", PUBLIC_KEY_BYTES),
    },
    runs: runs.match(/.{32}/g) ?? [],
    bytesMax: fields.uint("bytesMax"),
    next: fields.uint("next"),
    bytes: fields.uint("bytes"),
    digest: fields.binOf("digest", DIGEST_BYTES),
    isComplete: fields.uint("isComplete", 1) === 1,
  };
}

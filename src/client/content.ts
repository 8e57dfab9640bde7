/**
 * What stands inside a ciphertext of EncryptedClient: the application's plaintext, or what the account's devices and those
 * of its peers tell each other for it.
 *
 *   message         | 0 | plaintext |
 *   transcript      | 1 | count u8 | count × account, 18 bytes | plaintext |
 *   delivery token  | 2 | token, 16 bytes |
 *   joint message   | 3 | count u8 | count × account, 18 bytes | plaintext |
 *
 * A transcript is what the account's own other devices get of a message: to whom it went (to nobody but them: 0). Only a
 * device of the account may send one, and never to a group, whose members' devices all get the message itself; else anybody
 * could have words shown as the reader's own. A delivery token is that of the sender's account. A joint message is one for
 * several accounts whose devices all get the same bytes, those of the sender's account too perhaps: it names the accounts,
 * without the sender's, to all of them. For a device of the sender's account it is a transcript; who is neither that nor named refuses it.
 *
 * Anything else is refused: who cannot read what a later version says must not take it for read.
 */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  accountOf,
  type DeviceAddress,
} from "../base/address.js";
import { concatBytes, equalBytes } from "../base/bytes.js";
import { DELIVERY_TOKEN_BYTES } from "../wire/sealed.js";
import { badArgument } from "./requests.js";

const MESSAGE = 0;
const TRANSCRIPT = 1;
const DELIVERY_TOKEN = 2;
const JOINT = 3;
const ACCOUNTS_MAX = 0xff;

export type Content =
  | { readonly kind: "message"; readonly plaintext: Uint8Array }
  | {
      readonly kind: "transcript" | "joint";
      readonly to: readonly AccountAddress[];
      readonly plaintext: Uint8Array;
    }
  | { readonly kind: "deliveryToken"; readonly deliveryToken: Uint8Array };

/** Throws `badArgument`. */
export function encodeContent(content: Content): Uint8Array {
  switch (content.kind) {
    case "message":
      return concatBytes([Uint8Array.of(MESSAGE), content.plaintext]);
    case "transcript":
    case "joint": {
      const { kind, to, plaintext } = content;
      if (to.length > ACCOUNTS_MAX)
        throw badArgument(`a ${kind} message names at most ${ACCOUNTS_MAX} accounts`);
      const head = Uint8Array.of(kind === "joint" ? JOINT : TRANSCRIPT, to.length);
      return concatBytes([head, ...to, plaintext]);
    }
    case "deliveryToken":
      if (content.deliveryToken.length !== DELIVERY_TOKEN_BYTES)
        throw badArgument("a delivery token has 16 bytes");
      return concatBytes([Uint8Array.of(DELIVERY_TOKEN), content.deliveryToken]);
  }
}

/** What a device has decrypted, as it may be taken from this sender. Throws. */
export function decodeContent(bytes: Uint8Array, from: Origin): Content {
  const rest = bytes.subarray(1);
  switch (bytes[0]) {
    case MESSAGE:
      return { kind: "message", plaintext: rest };
    case TRANSCRIPT:
      if (from.isGroup || !isOwn(from)) throw new Error("a transcript that is not of this account's devices");
      return { kind: "transcript", ...namingOf(rest) };
    case DELIVERY_TOKEN:
      if (from.isGroup || rest.length !== DELIVERY_TOKEN_BYTES) throw new Error("no delivery token");
      return { kind: "deliveryToken", deliveryToken: rest.slice() };
    case JOINT: {
      const { to, plaintext } = namingOf(rest);
      if (from.isGroup || !(isOwn(from) || to.some((account) => equalBytes(account, from.reader))))
        throw new Error("a joint message that does not name this account");
      return { kind: isOwn(from) ? "transcript" : "joint", to, plaintext };
    }
    default:
      throw new Error(`content of kind ${bytes[0]} is none that this version knows`);
  }
}

export interface Origin {
  readonly sender: DeviceAddress;
  /** The account that reads. */
  readonly reader: AccountAddress;
  readonly isGroup: boolean;
}

function isOwn({ sender, reader }: Origin): boolean {
  return equalBytes(accountOf(sender), reader);
}

function namingOf(bytes: Uint8Array): { to: AccountAddress[]; plaintext: Uint8Array } {
  const count = bytes[0] ?? 0;
  const headBytes = 1 + count * ACCOUNT_ADDRESS_BYTES;
  if (bytes.length < headBytes) throw new Error("a list of accounts that ends too early");
  const to = Array.from({ length: count }, (_, i) => {
    const at = 1 + i * ACCOUNT_ADDRESS_BYTES;
    return bytes.slice(at, at + ACCOUNT_ADDRESS_BYTES);
  });
  return { to, plaintext: bytes.subarray(headBytes) };
}

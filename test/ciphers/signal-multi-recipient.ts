/**
 * libsignal's sealed-sender message of the second version, taken apart into what the node hands out, and put together again.
 *
 *   libsignal's, for all        | version | recipients, each with 48 bytes of its own | ephemeral key, 32 | sealed content |
 *   shared part                 | version |                                             ephemeral key, 32 | sealed content |
 *   block                                 | 48 bytes of its own |
 *   libsignal's, for one        | version | 48 bytes of its own | ephemeral key, 32 | sealed content |
 *
 * Its recipients are service ids, whose devices have one identity key in common. Here every device has an identity of its own, so each
 * is given a service id of its own, made up for the one message; none of them leaves this file.
 */
import {
  ProtocolAddress,
  sealedSenderMultiRecipientEncrypt,
  type UnidentifiedSenderMessageContent,
} from "@signalapp/libsignal-client";
import MultiRecipientMessage from "@signalapp/libsignal-client/dist/SealedSenderMultiRecipientMessage.js";
import type { DeviceAddress } from "../../src/base/address.js";
import { concatBytes, equalBytes, toHex } from "../../src/base/bytes.js";
import { InterlineError } from "../../src/client/client.js";
import { protocolName } from "./signal-cipher.js";
import type { SignalState } from "./signal-state.js";
import { Identities, RatchetStates } from "./signal-stores.js";

type Bytes = Uint8Array<ArrayBuffer>;

const VERSION_BYTES = 1;
/** What one recipient has of its own. */
export const HEAD_BYTES = 48;

export interface Sealer {
  readonly state: SignalState;
  readonly self: DeviceAddress;
}

/** The shared part, and by address in hex what each reader gets of its own. The sealer may be a reader. Throws `keysMissing` without any other. */
export async function sealForMany(
  content: UnidentifiedSenderMessageContent,
  readers: readonly DeviceAddress[],
  sealer: Sealer,
): Promise<{ readonly shared: Uint8Array; readonly heads: ReadonlyMap<string, Uint8Array> }> {
  const labels = readers.map((_, i) => ProtocolAddress.new(serviceIdOf(i), 1));
  const { identities, ratchets } = await relabelled(readers, labels, sealer);
  const message = await sealedSenderMultiRecipientEncrypt({
    content,
    recipients: labels,
    identityStore: identities,
    sessionStore: ratchets,
  });
  const parsed = new MultiRecipientMessage(message);
  const recipients = parsed.recipientsByServiceIdString();
  const heads = new Map<string, Uint8Array>();
  let shared: Uint8Array = new Uint8Array(0);
  for (const [i, reader] of readers.entries()) {
    const one = parsed.messageForRecipient(recipients[serviceIdOf(i)] as (typeof recipients)[string]);
    heads.set(toHex(reader), one.subarray(VERSION_BYTES, VERSION_BYTES + HEAD_BYTES));
    shared = concatBytes([one.subarray(0, VERSION_BYTES), one.subarray(VERSION_BYTES + HEAD_BYTES)]);
  }
  return { shared, heads };
}

/** A shared part and a block, as libsignal reads them. */
export function joined(shared: Uint8Array, block: Uint8Array): Uint8Array {
  if (block.length < HEAD_BYTES) throw new Error("a block that opens nothing");
  return concatBytes([
    shared.subarray(0, VERSION_BYTES),
    block.subarray(0, HEAD_BYTES),
    shared.subarray(VERSION_BYTES),
  ]);
}

function serviceIdOf(index: number): string {
  return `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`;
}

/**
 * What libsignal asks for of each reader, under its label: the identity key, and a ratchet, of which it takes only the number that the other
 * side has given itself, for servers. A device has none with itself: any will do.
 */
async function relabelled(
  readers: readonly DeviceAddress[],
  labels: readonly ProtocolAddress[],
  { state, self }: Sealer,
) {
  const { identities, ratchets, identityPair, registrationId } = state;
  const other = readers.find((reader) => !equalBytes(reader, self));
  if (other === undefined) throw new InterlineError("keysMissing");
  const sessions: [string, Bytes][] = [];
  const keys: [string, Bytes][] = [];
  for (const [i, reader] of readers.entries()) {
    const label = (labels[i] as ProtocolAddress).toString();
    const isSelf = equalBytes(reader, self);
    const session = await ratchets.getSession(protocolName(isSelf ? other : reader));
    const key = isSelf ? identityPair.publicKey : await identities.getIdentity(protocolName(reader));
    if (session === null || key === null) throw new Error("a reader without a ratchet");
    sessions.push([label, session.serialize()]);
    keys.push([label, key.serialize()]);
  }
  return {
    identities: new Identities(identityPair, registrationId, keys),
    ratchets: new RatchetStates(sessions),
  };
}

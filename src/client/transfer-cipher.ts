/**
 * The keys of a transfer, with nothing but WebCrypto: ECDH on P-256, HKDF-SHA-256, AES-256-GCM.
 *
 * Both sides get from the invitation what the other needs to prove: the old device seals to the invitation's public key,
 * so that only the new one can read; and the secret, which never leaves the two devices, goes into every key, so that
 * nobody who has not seen the invitation can make a message that opens. There is one key for each direction of each run.
 *
 *   key = HKDF-SHA-256( ECDH, salt: secret,
 *                       info: "interline transfer v1" | transfer | run | sender 20 | recipient 20 | public key of new | of old )
 *   additional data = the message's head | sender 20 | recipient 20
 *
 * The digest of a blob is a chain, because WebCrypto cannot hash a stream, and so that a part of it can be compared:
 * 32 zero bytes, then for each chunk SHA-256( digest before | chunk ).
 */
import type { DeviceAddress } from "../base/address.js";
import { concatBytes } from "../base/bytes.js";
import {
  DIGEST_BYTES,
  headOf,
  type Invitation,
  type Message,
  type MessageType,
  NONCE_BYTES,
  SECRET_BYTES,
  TRANSFER_ID_BYTES,
  tampered,
} from "./transfer-format.js";

const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;
const LABEL = new TextEncoder().encode("interline transfer v1");

/** WebCrypto's, not by the DOM's name for it: Node.js's types have no such global. */
type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

export interface KeyPair {
  readonly privateKey: Key;
  /** 65 bytes, uncompressed. */
  readonly publicKey: Uint8Array;
}

export async function makeKeyPair(): Promise<KeyPair> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, true, ["deriveBits"]);
  return { privateKey, publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)) };
}

export async function exportPrivateKey(key: Key): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
}

export function importPrivateKey(bytes: Uint8Array): Promise<Key> {
  return crypto.subtle.importKey("pkcs8", owned(bytes), CURVE, true, ["deriveBits"]);
}

export async function makeInvitation(device: DeviceAddress): Promise<{
  readonly invitation: Invitation;
  readonly privateKey: Key;
}> {
  const { privateKey, publicKey } = await makeKeyPair();
  const transfer = randomBytes(TRANSFER_ID_BYTES);
  return { invitation: { device, transfer, secret: randomBytes(SECRET_BYTES), publicKey }, privateKey };
}

export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Seals to the other device, and opens what it sealed, within one run. */
export class RunCipher {
  readonly #transfer: Uint8Array;
  readonly #run: Uint8Array;
  readonly #self: DeviceAddress;
  readonly #peer: DeviceAddress;
  readonly #sealing: Key;
  readonly #opening: Key;

  private constructor(between: Between, sealing: Key, opening: Key) {
    this.#transfer = between.invitation.transfer;
    this.#run = between.run;
    this.#self = between.self;
    this.#peer = between.peer;
    this.#sealing = sealing;
    this.#opening = opening;
  }

  /** Throws `transferTampered` for a public key that is none. */
  static async derive(between: Between): Promise<RunCipher> {
    const { self, peer } = between;
    const shared = await agree(between.privateKey, between.peerPublicKey);
    const sealing = await directionKey(shared, between, self, peer);
    return new RunCipher(between, sealing, await directionKey(shared, between, peer, self));
  }

  /** The whole message; the nonce must be new for this run and direction, or the message the same. */
  async seal(
    type: MessageType,
    body: Uint8Array,
    { nonce = randomBytes(NONCE_BYTES), publicKey }: { nonce?: Uint8Array; publicKey?: Uint8Array } = {},
  ): Promise<Uint8Array> {
    const fields = { type, transfer: this.#transfer, run: this.#run, nonce };
    const head = headOf(publicKey === undefined ? fields : { ...fields, publicKey });
    const algorithm = this.#algorithm(nonce, head, this.#self, this.#peer);
    const sealed = await crypto.subtle.encrypt(algorithm, this.#sealing, owned(body));
    return concatBytes([head, new Uint8Array(sealed)]);
  }

  /** Throws `transferTampered` for what the other device did not seal just so. */
  async open({ nonce, head, sealed }: Message): Promise<Uint8Array> {
    const algorithm = this.#algorithm(nonce, head, this.#peer, this.#self);
    try {
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.#opening, owned(sealed)));
    } catch {
      throw tampered("it does not open");
    }
  }

  #algorithm(nonce: Uint8Array, head: Uint8Array, sender: DeviceAddress, recipient: DeviceAddress) {
    const additionalData = owned(concatBytes([head, sender, recipient]));
    return { name: "AES-GCM", iv: owned(nonce), additionalData };
  }
}

export interface Between {
  readonly invitation: Invitation;
  readonly run: Uint8Array;
  readonly self: DeviceAddress;
  readonly peer: DeviceAddress;
  readonly privateKey: Key;
  readonly peerPublicKey: Uint8Array;
  readonly oldPublicKey: Uint8Array;
}

async function agree(privateKey: Key, publicKey: Uint8Array): Promise<Key> {
  try {
    const theirs = await crypto.subtle.importKey("raw", owned(publicKey), CURVE, true, []);
    const bits = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, privateKey, 256);
    return await crypto.subtle.importKey("raw", bits, "HKDF", false, ["deriveKey"]);
  } catch {
    throw tampered("its public key is none");
  }
}

function directionKey(
  shared: Key,
  { invitation, run, oldPublicKey }: Between,
  sender: DeviceAddress,
  recipient: DeviceAddress,
): Promise<Key> {
  const { transfer, secret, publicKey } = invitation;
  const info = concatBytes([LABEL, transfer, run, sender, recipient, publicKey, oldPublicKey]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: owned(secret), info: owned(info) };
  const usages: KeyUsage[] = ["encrypt", "decrypt"];
  return crypto.subtle.deriveKey(derivation, shared, { name: "AES-GCM", length: 256 }, false, usages);
}

export const EMPTY_DIGEST = new Uint8Array(DIGEST_BYTES);

/** The digest of a blob that goes on with this chunk. */
export async function chainDigest(before: Uint8Array, chunk: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", owned(concatBytes([before, chunk]))));
}

/** WebCrypto's types want bytes that nobody shares. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}

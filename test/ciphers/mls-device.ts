/** What one device is in MLS, whatever it says to whom: its signature key, whom it has met, and how it reads what others say. */
import {
  type CiphersuiteImpl,
  type ClientConfig,
  type ClientState,
  decodeMlsMessage,
  defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig,
  defaultLifetimeConfig,
  defaultPaddingConfig,
  encodeMlsMessage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  type MLSMessage,
  type PrivateMessage,
  type Welcome,
} from "ts-mls";
import { decryptSenderData } from "ts-mls/privateMessage.js";
import type { DeviceAddress } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import { RepeatedPayload } from "../../src/client/encrypted-client.js";

/** X25519, AES-128-GCM, SHA-256 and Ed25519: what every MLS library has. */
const CIPHERSUITE = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
const DECRYPTED_MAX = 1024;

export class MlsDevice {
  readonly address: DeviceAddress;
  readonly suite: CiphersuiteImpl;
  readonly signatureKeys: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
  /** Signature keys by device, in hex, from when it was first seen. */
  readonly #met = new Map<string, string>();

  private constructor(
    address: DeviceAddress,
    suite: CiphersuiteImpl,
    signatureKeys: MlsDevice["signatureKeys"],
  ) {
    this.address = address;
    this.suite = suite;
    this.signatureKeys = signatureKeys;
  }

  static async create(address: DeviceAddress): Promise<MlsDevice> {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(CIPHERSUITE));
    return new MlsDevice(address, suite, await suite.signature.keygen());
  }

  config(): ClientConfig {
    return {
      keyRetentionConfig: defaultKeyRetentionConfig,
      lifetimeConfig: defaultLifetimeConfig,
      keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
      paddingConfig: defaultPaddingConfig,
      authService: {
        validateCredential: async (credential, signatureKey) => {
          if (credential.credentialType !== "basic") return false;
          const device = toHex(credential.identity);
          const known = this.#met.get(device) ?? toHex(signatureKey);
          this.#met.set(device, known);
          return known === toHex(signatureKey);
        },
      },
    };
  }

  /** The node says whose it is; the leaf that made it must be that device's. */
  async checkSender(state: ClientState, message: PrivateMessage, from: DeviceAddress): Promise<void> {
    const past = state.historicalReceiverData.get(message.epoch);
    const isNow = message.epoch === state.groupContext.epoch;
    const secret = isNow ? state.keySchedule.senderDataSecret : past?.senderDataSecret;
    if (secret === undefined) throw new Error("a message of an epoch that this device does not have");
    const sender = await decryptSenderData(message, secret, this.suite);
    const leaf = devicesIn(isNow ? state : { ratchetTree: past?.ratchetTree ?? [] }).find(
      ([index]) => index === sender?.leafIndex,
    );
    if (leaf === undefined || !equalBytes(leaf[1], from))
      throw new Error("a message that is not of the device that the node names");
  }
}

/** Hashes of what was decrypted, latest last: ts-mls forgets the keys, so that a repeat looks like damage. */
export class Decrypted {
  readonly #hashes = new Set<string>();
  readonly #device: MlsDevice;

  constructor(device: MlsDevice) {
    this.#device = device;
  }

  /** Runs the decryption of what was not decrypted before. */
  async once<T>(bytes: Uint8Array, decrypt: () => Promise<T>): Promise<T> {
    const hash = toHex(await this.#device.suite.hash.digest(bytes));
    if (this.#hashes.has(hash)) throw new RepeatedPayload("this was decrypted before");
    const plaintext = await decrypt();
    this.#hashes.add(hash);
    for (const oldest of this.#hashes) {
      if (this.#hashes.size <= DECRYPTED_MAX) break;
      this.#hashes.delete(oldest);
    }
    return plaintext;
  }
}

export function decoded(bytes: Uint8Array): MLSMessage {
  const message = decodeMlsMessage(bytes, 0);
  if (message === undefined || message[1] !== bytes.length) throw new Error("no whole MLS message");
  return message[0];
}

export function privateMessageOf(bytes: Uint8Array): PrivateMessage {
  const message = decoded(bytes);
  if (message.wireformat !== "mls_private_message") throw new Error("no private message of MLS");
  return message.privateMessage;
}

export function welcomeOf(bytes: Uint8Array): Welcome {
  const message = decoded(bytes);
  if (message.wireformat !== "mls_welcome") throw new Error("no welcome of MLS");
  return message.welcome;
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome });
}

export function encodePrivateMessage(privateMessage: PrivateMessage): Uint8Array {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
}

/** The devices of the tree's leaves, by leaf index. */
export function devicesIn({ ratchetTree }: Pick<ClientState, "ratchetTree">): [number, DeviceAddress][] {
  return ratchetTree.flatMap((node, index): [number, DeviceAddress][] => {
    if (node?.nodeType !== "leaf" || node.leaf.credential.credentialType !== "basic") return [];
    return [[index / 2, node.leaf.credential.identity as DeviceAddress]];
  });
}

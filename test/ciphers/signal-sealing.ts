/**
 * SignalCipher with libsignal's sealed sender.
 *
 *   sealed payload | libsignal sealed-sender message: sealed to the recipient's identity key | certificate | payload of SignalCipher |
 *
 * To many at once: libsignal's sealed-sender message of the second version (signal-multi-recipient.ts).
 *
 *   shared part | version u8 | ephemeral key, 32 bytes | sealed: certificate | sender-key message for these accounts |
 *   block       | what opens it for one identity key, 48 bytes | sealed payload with the sender key, if the device lacks it |
 *
 * Which sender key it is goes by the accounts that are written to, as by a group, and it is changed like a group's. This device's
 * block is real, and as long as the shortest of the others': the node must not tell it from them.
 *
 * Measured with libsignal 0.103 for n bytes of plaintext (signal-shared-sealing.test.ts holds all): shared part about n + 440 bytes, block 48;
 * with a sender key about 2,280 to a device that has not been written to, about 590 to others.
 *
 * The certificate says which device it is from and which identity key that has, is signed for the device's brand, and holds
 * for a time; the device's brand gives it out beside its tokens. Nothing of it can be read without the recipient's private
 * identity key, and no two sealed payloads have anything in common.
 *
 * Who reads it has decrypted with the ratchet of exactly that device, whose identity key is the certificate's; and the
 * certificate was signed for the brand of that device, and held when the node accepted the envelope. One
 * brand's authority cannot speak for devices of another.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  CiphertextMessageType,
  PrivateKey,
  type PublicKey,
  SenderCertificate,
  ServerCertificate,
  sealedSenderDecryptToUsmc,
  sealedSenderEncrypt,
  UnidentifiedSenderMessageContent,
} from "@signalapp/libsignal-client";
import {
  accountOf,
  DEVICE_ADDRESS_BYTES,
  type DeviceAddress,
  deviceNumber,
  deviceParts,
  formatAddress,
  parseAddress,
} from "../../src/base/address.js";
import { concatBytes, equalBytes, toHex } from "../../src/base/bytes.js";
import type { Claim, GroupCiphertext, Opened } from "../../src/client/encrypted-client.js";
import { protocolName, SignalCipher } from "./signal-cipher.js";
import { HEAD_BYTES, joined, sealForMany } from "./signal-multi-recipient.js";

/** What a device needs of the brands to seal and to open. */
export interface Certification {
  /** This device's certificate, valid now. */
  certificateFor(device: DeviceAddress, identityKey: PublicKey): SenderCertificate;
  /** Whose signatures count for devices of a brand. */
  trustRoot(brand: number): PublicKey | undefined;
}

type Bytes = Uint8Array<ArrayBuffer>;

const CONTENT_HINT_DEFAULT = 0;
const AUDIENCE_HASH_BYTES = 16;

export class SealingSignalCipher extends SignalCipher {
  readonly #certification: Certification;

  constructor(address: DeviceAddress, oneTimeKeyCount: number, certification: Certification) {
    super(address, oneTimeKeyCount);
    this.#certification = certification;
  }

  async sealTo(plaintext: Uint8Array, to: DeviceAddress, claim: Claim<"signal">): Promise<Uint8Array> {
    const message = await this.messageTo(plaintext, to, claim);
    const { identities, identityPair } = this.state;
    const certificate = this.#certification.certificateFor(this.address, identityPair.publicKey);
    const content = UnidentifiedSenderMessageContent.new(message, certificate, CONTENT_HINT_DEFAULT, null);
    return sealedSenderEncrypt(content, protocolName(to), identities);
  }

  async sealToAll(
    plaintext: Uint8Array,
    devices: readonly DeviceAddress[],
    claim: Claim<"signal">,
  ): Promise<GroupCiphertext> {
    const address = audienceOf(devices);
    const made = await this.messageToGroup(plaintext, { address, devices }, claim);
    const { identities, identityPair } = this.state;
    const certificate = this.#certification.certificateFor(this.address, identityPair.publicKey);
    const seal = (message: typeof made.message, group: Bytes | null) =>
      UnidentifiedSenderMessageContent.new(message, certificate, CONTENT_HINT_DEFAULT, group);
    const isLeftOut = (device: DeviceAddress) => made.leftOut.some((one) => equalBytes(one, device));
    const readers = devices.filter((device) => !isLeftOut(device));
    const { shared, heads } = await sealForMany(seal(made.message, address), readers, {
      state: this.state,
      self: this.address,
    });
    const keys = new Map<string, Uint8Array>();
    for (const { device, key } of made.keys)
      keys.set(toHex(device), await sealedSenderEncrypt(seal(key, null), protocolName(device), identities));
    const keyOf = (device: DeviceAddress) => keys.get(toHex(device)) ?? new Uint8Array(0);
    const fillBytes = this.fillBytesFor(
      readers.filter((device) => !equalBytes(device, this.address)).map((device) => keyOf(device).length),
    );
    const blocks = devices.map((device) => {
      const head = heads.get(toHex(device));
      const isFilled = head === undefined || equalBytes(device, this.address);
      const tail = isFilled ? randomBytes(fillBytes) : keyOf(device);
      return { device, block: concatBytes([head ?? randomBytes(HEAD_BYTES), tail]) };
    });
    return { shared, blocks, leftOut: made.leftOut, settled: made.settled };
  }

  async openSealed(payload: Uint8Array, timeMs: number, block?: Uint8Array): Promise<Opened | undefined> {
    const sealed = block === undefined ? payload : joined(payload, block);
    const { content, certificate, from } = await this.#open(sealed, timeMs);
    const { identities, identityPair } = this.state;
    // Nobody else has the key that it was sealed with.
    if (equalBytes(from, this.address) && certificate.key().equals(identityPair.publicKey)) return undefined;
    const address = content.groupId();
    const isForMany = content.msgType() === CiphertextMessageType.SenderKey && address !== null;
    if (isForMany !== (block !== undefined)) throw new Error("a message of another kind than its envelope");
    let plaintext: Uint8Array;
    if (isForMany) {
      const key = block?.subarray(HEAD_BYTES) ?? new Uint8Array(0);
      if (key.length > 0) {
        // Whose it is, the ratchet proves; the certificate that counts is the message's.
        const given = await sealedSenderDecryptToUsmc(key.slice(), identities);
        await this.takeKey(given.msgType(), given.contents(), address, from);
      }
      plaintext = await this.messageFromGroup(content.contents(), address, from);
    } else plaintext = await this.messageFrom(content.msgType(), content.contents(), from);
    if ((await identities.getIdentity(protocolName(from)))?.equals(certificate.key()) !== true)
      throw new Error("a certificate of another identity than the sender's");
    return { plaintext, from };
  }

  /** How long what only fills a block is, from how long the sender keys are in the blocks of others. */
  protected fillBytesFor(others: readonly number[]): number {
    return Math.min(...others);
  }

  /** What was sealed for this device, and whose certificate says so. */
  async #open(sealed: Uint8Array, timeMs: number) {
    const content = await sealedSenderDecryptToUsmc(sealed.slice(), this.state.identities);
    const certificate = content.senderCertificate();
    const named = parseAddress(`${certificate.senderUuid()}/${certificate.senderDeviceId()}`);
    if (named?.length !== DEVICE_ADDRESS_BYTES) throw new Error("a certificate of no device");
    const from = named as DeviceAddress;
    if (!this.isCertified(certificate, from, timeMs))
      throw new Error("a certificate that the sender's brand has not signed, or that has ended");
    return { content, certificate, from };
  }

  protected isCertified(certificate: SenderCertificate, from: DeviceAddress, timeMs: number): boolean {
    const root = this.#certification.trustRoot(deviceParts(from).brand);
    return root !== undefined && certificate.validate(root, timeMs);
  }
}

/** Stands for the accounts of the devices where a group's address would: brand 0, which no group has. */
function audienceOf(devices: readonly DeviceAddress[]): Bytes {
  const accounts = [...new Set(devices.map((device) => toHex(accountOf(device))))].sort();
  const digest = createHash("sha256").update(accounts.join("")).digest();
  return concatBytes([new Uint8Array(2), digest.subarray(0, AUDIENCE_HASH_BYTES)]).slice();
}

/** What signs for the devices of one brand: a part of its sign-in. */
export class BrandAuthority {
  readonly #root = PrivateKey.generate();
  readonly #key = PrivateKey.generate();
  readonly #certificate = ServerCertificate.new(1, this.#key.getPublicKey(), this.#root);

  get trustRoot(): PublicKey {
    return this.#root.getPublicKey();
  }

  certify(device: DeviceAddress, identityKey: PublicKey, untilMs: number): SenderCertificate {
    return SenderCertificate.new(
      formatAddress(accountOf(device)),
      null,
      deviceNumber(device),
      identityKey,
      untilMs,
      this.#certificate,
      this.#key,
    );
  }
}

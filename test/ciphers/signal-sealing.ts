/**
 * SignalCipher with libsignal's sealed sender.
 *
 *   sealed payload | libsignal sealed-sender message: sealed to the recipient's identity key | certificate | payload of SignalCipher |
 *
 * The certificate says which device it is from and which identity key that has, is signed for the device's brand, and holds
 * for a time; the device's brand gives it out beside its tokens. Nothing of it can be read without the recipient's private
 * identity key, and no two sealed payloads have anything in common.
 *
 * Who reads it has decrypted with the ratchet of exactly that device, whose identity key is the certificate's; and the
 * certificate was signed for the brand of that device, and held when the node accepted the envelope. One
 * brand's authority cannot speak for devices of another.
 */
import {
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
import type { Claim } from "../../src/client/encrypted-client.js";
import { protocolName, SignalCipher } from "./signal-cipher.js";

/** What a device needs of the brands to seal and to open. */
export interface Certification {
  /** This device's certificate, valid now. */
  certificateFor(device: DeviceAddress, identityKey: PublicKey): SenderCertificate;
  /** Whose signatures count for devices of a brand. */
  trustRoot(brand: number): PublicKey | undefined;
}

const CONTENT_HINT_DEFAULT = 0;

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

  async openSealed(
    payload: Uint8Array,
    timeMs: number,
  ): Promise<{ readonly plaintext: Uint8Array; readonly from: DeviceAddress }> {
    const { identities } = this.state;
    const content = await sealedSenderDecryptToUsmc(payload.slice(), identities);
    const certificate = content.senderCertificate();
    const named = parseAddress(`${certificate.senderUuid()}/${certificate.senderDeviceId()}`);
    if (named?.length !== DEVICE_ADDRESS_BYTES) throw new Error("a certificate of no device");
    const from = named as DeviceAddress;
    if (!this.isCertified(certificate, from, timeMs))
      throw new Error("a certificate that the sender's brand has not signed, or that has ended");
    const plaintext = await this.messageFrom(content.msgType(), content.contents(), from);
    if ((await identities.getIdentity(protocolName(from)))?.equals(certificate.key()) !== true)
      throw new Error("a certificate of another identity than the sender's");
    return { plaintext, from };
  }

  protected isCertified(certificate: SenderCertificate, from: DeviceAddress, timeMs: number): boolean {
    const root = this.#certification.trustRoot(deviceParts(from).brand);
    return root !== undefined && certificate.validate(root, timeMs);
  }
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

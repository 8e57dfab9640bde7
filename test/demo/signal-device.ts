/**
 * One device's end-to-end encryption: the Signal protocol as libsignal implements it.
 *
 * A first message to a device agrees on a key with PQXDH (X3DH with Kyber) from
 * the bundle the directory hands out; every later one turns the Double Ratchet.
 * Each device has an identity key of its own.
 *
 *   payload   | type u8 | libsignal message |      type: 2 ratchet message, 3 opening (pre-key) message
 *
 * Operations run one at a time, because each reads a ratchet state, turns it
 * and writes it back. Measured with libsignal 0.103 for n bytes of plaintext:
 * opening message about n + 1,760 bytes (1,568 of them Kyber), ratchet message
 * n + 74 to n + 107 (signal-device.test.ts holds both); 0.2 ms for either direction.
 */
import { randomInt } from "node:crypto";
import {
  CiphertextMessageType,
  ErrorCode,
  IdentityKeyPair,
  KEMKeyPair,
  KyberPreKeyRecord,
  LibSignalErrorBase,
  PreKeyRecord,
  PreKeySignalMessage,
  PrivateKey,
  ProtocolAddress,
  processPreKeyBundle,
  SignalMessage,
  SignedPreKeyRecord,
  signalDecrypt,
  signalDecryptPreKey,
  signalEncrypt,
} from "@signalapp/libsignal-client";
import { accountOf, type DeviceAddress, deviceParts, formatAddress } from "../../src/base/address.js";
import { type EncryptionAdapter, RepeatedPayload } from "./encryption-adapter.js";
import type { KeyDirectory, SignedKyberKey } from "./key-directory.js";
import { OneAtATime } from "./one-at-a-time.js";
import { Identities, KyberKeys, OneTimeKeys, RatchetStates, SignedKeys } from "./signal-stores.js";

/** libsignal's limits on its two numbers. */
const DEVICE_NUMBER_MAX = 127;
const REGISTRATION_ID_MAX = 0x3fff;

const SIGNED_KEY_ID = 1;
const LAST_RESORT_KYBER_ID = 1;
/** Ids of one-time keys start here, apart from the ids of the lasting ones. */
const FIRST_ONE_TIME_ID = 100;

export class SignalDevice implements EncryptionAdapter {
  readonly address: DeviceAddress;
  readonly #name: ProtocolAddress;
  readonly #directory: KeyDirectory;
  readonly #turns = new OneAtATime();

  readonly #identityPair = IdentityKeyPair.generate();
  readonly #registrationId = randomInt(1, REGISTRATION_ID_MAX + 1);
  readonly #identities = new Identities(this.#identityPair, this.#registrationId);
  readonly #ratchets = new RatchetStates();
  readonly #oneTimeKeys = new OneTimeKeys();
  readonly #signedKeys = new SignedKeys();
  readonly #kyberKeys = new KyberKeys(LAST_RESORT_KYBER_ID);

  private constructor(address: DeviceAddress, directory: KeyDirectory) {
    this.address = address;
    this.#name = protocolName(address);
    this.#directory = directory;
  }

  /** A new device: makes its keys and publishes their public halves. */
  static async create(options: {
    address: DeviceAddress;
    directory: KeyDirectory;
    oneTimeKeyCount: number;
  }): Promise<SignalDevice> {
    const device = new SignalDevice(options.address, options.directory);
    await device.#publishKeys(options.oneTimeKeyCount);
    return device;
  }

  /** What must never leave the device: its private identity key. */
  get secrets(): readonly Uint8Array[] {
    return [this.#identityPair.privateKey.serialize()];
  }

  encrypt(plaintext: Uint8Array, to: DeviceAddress): Promise<Uint8Array> {
    return this.#turns.run(async () => {
      const peer = protocolName(to);
      if (!this.#ratchets.has(peer)) await this.#agree(to, peer);
      const message = await signalEncrypt(
        plaintext.slice(),
        peer,
        this.#name,
        this.#ratchets,
        this.#identities,
      );
      const body = message.serialize();
      const payload = new Uint8Array(1 + body.length);
      payload[0] = message.type();
      payload.set(body, 1);
      return payload;
    });
  }

  decrypt(payload: Uint8Array, from: DeviceAddress): Promise<Uint8Array> {
    return this.#turns.run(async () => {
      try {
        return await this.#open(payload, protocolName(from));
      } catch (error) {
        if (error instanceof LibSignalErrorBase && error.code === ErrorCode.DuplicatedMessage) {
          throw new RepeatedPayload(error.message, { cause: error });
        }
        throw error;
      }
    });
  }

  #open(payload: Uint8Array, peer: ProtocolAddress): Promise<Uint8Array> {
    const body = payload.slice(1);
    switch (payload[0]) {
      case CiphertextMessageType.Whisper:
        return signalDecrypt(
          SignalMessage.deserialize(body),
          peer,
          this.#name,
          this.#ratchets,
          this.#identities,
        );
      case CiphertextMessageType.PreKey:
        return signalDecryptPreKey(
          PreKeySignalMessage.deserialize(body),
          peer,
          this.#name,
          this.#ratchets,
          this.#identities,
          this.#oneTimeKeys,
          this.#signedKeys,
          this.#kyberKeys,
        );
      default:
        throw new Error(`a payload of type ${payload[0]} is none of this encryption`);
    }
  }

  /** Agrees on a first key with the device, from the bundle the directory hands out. */
  #agree(to: DeviceAddress, peer: ProtocolAddress): Promise<void> {
    return processPreKeyBundle(this.#directory.take(to), peer, this.#name, this.#ratchets, this.#identities);
  }

  async #publishKeys(oneTimeKeyCount: number): Promise<void> {
    const signedPair = PrivateKey.generate();
    const signature = this.#identityPair.privateKey.sign(signedPair.getPublicKey().serialize());
    await this.#signedKeys.saveSignedPreKey(
      SIGNED_KEY_ID,
      SignedPreKeyRecord.new(SIGNED_KEY_ID, Date.now(), signedPair.getPublicKey(), signedPair, signature),
    );
    const oneTimeKeys = [];
    const oneTimeKyberKeys = [];
    for (let id = FIRST_ONE_TIME_ID; id < FIRST_ONE_TIME_ID + oneTimeKeyCount; id++) {
      const pair = PrivateKey.generate();
      await this.#oneTimeKeys.savePreKey(id, PreKeyRecord.new(id, pair.getPublicKey(), pair));
      oneTimeKeys.push({ id, key: pair.getPublicKey() });
      oneTimeKyberKeys.push(await this.#makeKyberKey(id));
    }
    this.#directory.publish(this.address, {
      registrationId: this.#registrationId,
      identityKey: this.#identityPair.publicKey,
      signedPreKey: { id: SIGNED_KEY_ID, key: signedPair.getPublicKey(), signature },
      lastResortKyberKey: await this.#makeKyberKey(LAST_RESORT_KYBER_ID),
      oneTimeKeys,
      oneTimeKyberKeys,
    });
  }

  async #makeKyberKey(id: number): Promise<SignedKyberKey> {
    const pair = KEMKeyPair.generate();
    const key = pair.getPublicKey();
    const signature = this.#identityPair.privateKey.sign(key.serialize());
    await this.#kyberKeys.saveKyberPreKey(id, KyberPreKeyRecord.new(id, Date.now(), pair, signature));
    return { id, key, signature };
  }
}

/** How libsignal names a device: `brand/account-id` and the device number, so that brands never meet. */
function protocolName(address: DeviceAddress): ProtocolAddress {
  const number = deviceParts(address).device;
  if (number > DEVICE_NUMBER_MAX) throw new Error("libsignal knows device numbers up to 127");
  return ProtocolAddress.new(formatAddress(accountOf(address)), number);
}

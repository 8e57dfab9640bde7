/**
 * The Signal protocol as libsignal implements it, as a cipher of the SDK.
 *
 * A first message to a device agrees on a key with PQXDH (X3DH with Kyber) from the bundle that the node's key directory
 * hands out; every later one turns the Double Ratchet. Each device has an identity key of its own. To groups a
 * device writes with a sender key, which it gives, pairwise encrypted in blocks, to each device that does not have it.
 *
 *   payload, block   | type u8 | libsignal message |     type: 2 ratchet message, 3 opening (pre-key) message
 *   its plaintext    | 0 | what the application wrote |  or  | 1 | group, 18 bytes | distribution message |
 *   shared part      | libsignal sender-key message |
 *   a key at the node: identity | public key |, its id the registration id; preKey | public key |;
 *                      signedPreKey, kyberPreKey, lastResortKyber | public key | signature, 64 bytes |
 *
 * A device of the group that holds the sender key and is no longer among the group's devices makes the sender
 * take a new one, before it encrypts anything else: what is sent after a removal is encrypted under a key that the removed
 * device never got. A sender key is bound to the one group that it was given for.
 *
 * Measured with libsignal 0.103 for n bytes of plaintext: opening message about n + 1,760 bytes (1,568 of them Kyber),
 * ratchet message n + 74 to n + 107 (signal-cipher.test.ts holds both); 0.2 ms for either direction.
 *
 * All state is in memory. Operations run one at a time, as EncryptedClient calls them.
 */
import { randomUUID } from "node:crypto";
import {
  type CiphertextMessage,
  CiphertextMessageType,
  ErrorCode,
  groupDecrypt,
  groupEncrypt,
  KEMPublicKey,
  LibSignalErrorBase,
  PreKeyBundle,
  PreKeySignalMessage,
  ProtocolAddress,
  PublicKey,
  processPreKeyBundle,
  processSenderKeyDistributionMessage,
  SenderKeyDistributionMessage,
  SenderKeyMessage,
  SignalMessage,
  signalDecrypt,
  signalDecryptPreKey,
  signalEncrypt,
} from "@signalapp/libsignal-client";
import { accountOf, type DeviceAddress, deviceNumber, formatAddress } from "../../src/base/address.js";
import { concatBytes, equalBytes, toHex } from "../../src/base/bytes.js";
import {
  InterlineError,
  type KeyStocks,
  type KeyUpload,
  type SignalBundle,
} from "../../src/client/client.js";
import {
  type Cipher,
  type Claim,
  type GroupCiphertext,
  type GroupDevices,
  type GroupEnvelope,
  type KeyTimes,
  RepeatedPayload,
} from "../../src/client/encrypted-client.js";
import { SignalKeys } from "./signal-keys.js";
import { type OwnSenderKey, SignalState } from "./signal-state.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** libsignal's limit. */
const DEVICE_NUMBER_MAX = 127;

const SIGNATURE_BYTES = 64;
const GROUP_BYTES = 18;

/** What the first byte of a pairwise plaintext says. */
const FROM_APPLICATION = 0;
const SENDER_KEY = 1;

/** Why a device of a group may have no bundle now; the others must not wait for it. */
const WITHOUT_KEYS: readonly InterlineError["code"][] = ["keysMissing", "notFound", "rateLimited"];

/** For a group: the message, and the sender key for each device that lacks it. */
interface GroupMessage {
  readonly message: CiphertextMessage;
  readonly keys: readonly { readonly device: DeviceAddress; readonly key: CiphertextMessage }[];
  readonly leftOut: readonly DeviceAddress[];
  readonly settled: (isAccepted: boolean) => void;
}

export class SignalCipher implements Cipher<"signal"> {
  readonly suite = "signal";
  readonly address: DeviceAddress;
  readonly #name: ProtocolAddress;
  readonly #oneTimeKeyCount: number;
  /** The whole of it. */
  protected readonly state: SignalState;
  readonly #keys: SignalKeys;

  /** `oneTimeKeyCount`: of each kind, at the node after every refill. A new device without `state`. */
  constructor(address: DeviceAddress, oneTimeKeyCount: number, state = SignalState.fresh()) {
    this.address = address;
    this.#name = protocolName(address);
    this.#oneTimeKeyCount = oneTimeKeyCount;
    this.state = state;
    this.#keys = new SignalKeys(state, oneTimeKeyCount);
  }

  /** With the whole state, as a thief of the device has it; what happens to the one does not touch the other. */
  copy(): SignalCipher {
    return new SignalCipher(this.address, this.#oneTimeKeyCount, this.state.copy());
  }

  /** What must never leave the device: its private identity key. */
  get secrets(): readonly Uint8Array[] {
    return [this.state.identityPair.privateKey.serialize()];
  }

  refill(stocks: KeyStocks, times: KeyTimes): Promise<KeyUpload | undefined> {
    return this.#keys.refill(stocks, times);
  }

  uploaded(keys: KeyUpload, nowMs: number): void {
    this.#keys.uploaded(keys, nowMs);
  }

  async encryptTo(plaintext: Uint8Array, to: DeviceAddress, claim: Claim<"signal">): Promise<Uint8Array> {
    return packed(await this.messageTo(plaintext, to, claim));
  }

  decryptFrom(payload: Uint8Array, from: DeviceAddress): Promise<Uint8Array> {
    return this.messageFrom(payload[0], payload.slice(1), from);
  }

  /** What encryptTo makes, as libsignal has it. */
  protected messageTo(
    plaintext: Uint8Array,
    to: DeviceAddress,
    claim: Claim<"signal">,
  ): Promise<CiphertextMessage> {
    return this.#encrypt(concatBytes([Uint8Array.of(FROM_APPLICATION), plaintext]), to, claim);
  }

  protected async messageFrom(
    type: number | undefined,
    body: Bytes,
    from: DeviceAddress,
  ): Promise<Uint8Array> {
    const plaintext = await once(() => this.#decrypt(type, body, from));
    if (plaintext[0] !== FROM_APPLICATION) throw new Error("a sender key came where a message should be");
    return plaintext.subarray(1);
  }

  async encryptToGroup(
    plaintext: Uint8Array,
    group: GroupDevices,
    claim: Claim<"signal">,
  ): Promise<GroupCiphertext> {
    const { message, keys, leftOut, settled } = await this.messageToGroup(plaintext, group, claim);
    const blocks = keys.map(({ device, key }) => ({ device, block: packed(key) }));
    return { shared: message.serialize(), blocks, leftOut, settled };
  }

  /** What encryptToGroup makes, as libsignal has it. */
  protected async messageToGroup(
    plaintext: Uint8Array,
    group: Pick<GroupDevices, "address" | "devices">,
    claim: Claim<"signal">,
  ): Promise<GroupMessage> {
    const others = group.devices.filter((device) => !equalBytes(device, this.address));
    const own = this.#senderKeyFor(group.address, new Set(others.map(formatAddress)));
    const { distributionId, holders } = own;
    const handedOut = await this.#give(
      own,
      others.filter((device) => !holders.has(formatAddress(device))),
      group.address,
      claim,
    );
    const message = await groupEncrypt(this.#name, distributionId, this.state.senderKeys, plaintext.slice());
    return {
      message,
      ...handedOut,
      settled: (isAccepted) => {
        if (isAccepted) for (const { device } of handedOut.keys) holders.add(formatAddress(device));
      },
    };
  }

  async decryptFromGroup({ address, from, shared, block }: GroupEnvelope): Promise<Uint8Array> {
    if (block.length > 0) await this.takeKey(block[0], block.slice(1), address, from);
    return this.messageFromGroup(shared.slice(), address, from);
  }

  protected async messageFromGroup(
    message: Bytes,
    address: Uint8Array,
    from: DeviceAddress,
  ): Promise<Uint8Array> {
    const key = `${formatAddress(from)} ${SenderKeyMessage.deserialize(message).distributionId()}`;
    const group = this.state.groupOfKey.get(key);
    if (group === undefined) throw new Error("this device was not given the sender key");
    if (!equalBytes(group, address)) throw new Error("the sender key was given for another group");
    return once(() => groupDecrypt(protocolName(from), this.state.senderKeys, message));
  }

  /** Another device has the number now, or its app was installed anew: nothing that the old one holds counts any more. */
  identityChanged(device: DeviceAddress): void {
    const name = protocolName(device);
    this.state.ratchets.remove(name);
    this.state.identities.remove(name);
    for (const [group, { given }] of this.state.own)
      if (given.has(formatAddress(device))) this.state.own.delete(group);
  }

  /** Whether the key must not be used any more: a device may have it that must not read on. */
  protected mustReplace(given: ReadonlySet<string>, devices: ReadonlySet<string>): boolean {
    return [...given].some((device) => !devices.has(device));
  }

  #senderKeyFor(address: Uint8Array, devices: ReadonlySet<string>): OwnSenderKey {
    const known = this.state.own.get(toHex(address));
    if (known !== undefined && !this.mustReplace(known.given, devices)) return known;
    const fresh = {
      distributionId: randomUUID(),
      holders: new Set<string>(),
      given: new Set<string>(),
    };
    this.state.own.set(toHex(address), fresh);
    return fresh;
  }

  async #give(
    { distributionId, given }: OwnSenderKey,
    devices: readonly DeviceAddress[],
    group: Uint8Array,
    claim: Claim<"signal">,
  ): Promise<Pick<GroupMessage, "keys" | "leftOut">> {
    const senderKey = await SenderKeyDistributionMessage.create(
      this.#name,
      distributionId,
      this.state.senderKeys,
    );
    const plaintext = concatBytes([Uint8Array.of(SENDER_KEY), group, senderKey.serialize()]);
    const keys = [];
    const leftOut = [];
    for (const device of devices) {
      try {
        keys.push({ device, key: await this.#encrypt(plaintext, device, claim) });
        given.add(formatAddress(device));
      } catch (error) {
        if (!(error instanceof InterlineError) || !WITHOUT_KEYS.includes(error.code)) throw error;
        leftOut.push(device);
      }
    }
    return { keys, leftOut };
  }

  /** A sender key that was given to this device; it may come again with its envelope. */
  protected async takeKey(
    type: number | undefined,
    body: Bytes,
    address: Uint8Array,
    from: DeviceAddress,
  ): Promise<void> {
    const plaintext = await once(() => this.#decrypt(type, body, from));
    const group = plaintext.slice(1, 1 + GROUP_BYTES);
    if (plaintext[0] !== SENDER_KEY || !equalBytes(group, address))
      throw new Error("a block that is no sender key of this group");
    const key = SenderKeyDistributionMessage.deserialize(plaintext.slice(1 + GROUP_BYTES));
    this.state.groupOfKey.set(`${formatAddress(from)} ${key.distributionId()}`, group);
    await processSenderKeyDistributionMessage(protocolName(from), key, this.state.senderKeys);
  }

  async #encrypt(
    plaintext: Uint8Array,
    to: DeviceAddress,
    claim: Claim<"signal">,
  ): Promise<CiphertextMessage> {
    const peer = protocolName(to);
    if (!this.state.ratchets.has(peer)) {
      const bundle = bundleOf(await claim(to), deviceNumber(to));
      await processPreKeyBundle(bundle, peer, this.#name, this.state.ratchets, this.state.identities);
    }
    const { ratchets, identities } = this.state;
    return signalEncrypt(plaintext.slice(), peer, this.#name, ratchets, identities);
  }

  #decrypt(type: number | undefined, body: Bytes, from: DeviceAddress): Promise<Bytes> {
    const peer = protocolName(from);
    switch (type) {
      case CiphertextMessageType.Whisper:
        return signalDecrypt(
          SignalMessage.deserialize(body),
          peer,
          this.#name,
          this.state.ratchets,
          this.state.identities,
        );
      case CiphertextMessageType.PreKey:
        return signalDecryptPreKey(
          PreKeySignalMessage.deserialize(body),
          peer,
          this.#name,
          this.state.ratchets,
          this.state.identities,
          this.state.oneTimeKeys,
          this.state.signedKeys,
          this.state.kyberKeys,
        );
      default:
        throw new Error(`a payload of type ${type} is none of this encryption`);
    }
  }
}

/** How libsignal names a device: `brand/account-id` and the device number, so that brands never meet. */
export function protocolName(address: DeviceAddress): ProtocolAddress {
  const number = deviceNumber(address);
  if (number > DEVICE_NUMBER_MAX) throw new Error("libsignal knows device numbers up to 127");
  return ProtocolAddress.new(formatAddress(accountOf(address)), number);
}

function packed(message: CiphertextMessage): Bytes {
  return concatBytes([Uint8Array.of(message.type()), message.serialize()]).slice();
}

function bundleOf(
  { identity, signedPreKey, preKey, kyberPreKey }: SignalBundle,
  device: number,
): PreKeyBundle {
  if (kyberPreKey === undefined) throw new InterlineError("keysMissing");
  const signed = unpacked(signedPreKey.key);
  const kyber = unpacked(kyberPreKey.key);
  return PreKeyBundle.new(
    identity.id,
    device,
    preKey?.id ?? null,
    preKey === undefined ? null : PublicKey.deserialize(preKey.key.slice()),
    signedPreKey.id,
    PublicKey.deserialize(signed.key),
    signed.signature,
    PublicKey.deserialize(identity.key.slice()),
    kyberPreKey.id,
    KEMPublicKey.deserialize(kyber.key),
    kyber.signature,
  );
}

function unpacked(bytes: Uint8Array): { key: Bytes; signature: Bytes } {
  return { key: bytes.slice(0, -SIGNATURE_BYTES), signature: bytes.slice(-SIGNATURE_BYTES) };
}

async function once(decrypt: () => Promise<Bytes>): Promise<Bytes> {
  try {
    return await decrypt();
  } catch (error) {
    if (error instanceof LibSignalErrorBase && error.code === ErrorCode.DuplicatedMessage)
      throw new RepeatedPayload(error.message, { cause: error });
    throw error;
  }
}

/**
 * MLS (RFC 9420) as ts-mls implements it, as a cipher of the SDK: groups only.
 *
 * A group's keys move with its roster. Whoever changed it commits: removes the leaves of devices that are no longer
 * among the group's devices, adds the others with key packages from the node's key directory, and sends all that as the first
 * envelope for the new version. A member joins by the welcome in its block.
 *
 *   shared part   | MLS message |      a private message: application data, or the commit of a new version
 *   block         | MLS message |      the welcome, for devices that were added; empty otherwise
 *   a key at the node: keyPackage, lastResortKeyPackage | MLS message |
 *
 * An epoch belongs to one version of the roster. One step back is kept: a node that crashes may have handed out a commit
 * that it did not accept in the end. The commit of a later version then comes for an epoch that this device has left,
 * and wins, because the node accepts one maker per version and tells of versions in order.
 *
 * Bound to devices: a leaf's credential is the device's 20-byte address, its signature key the first that was
 * seen with it; a message is refused when its leaf is not the device that the node names.
 *
 * All state is in memory. ts-mls has not been audited. Runs in browsers.
 */
import {
  type CiphersuiteImpl,
  type ClientConfig,
  type ClientState,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeMlsMessage,
  defaultCapabilities,
  defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig,
  defaultLifetime,
  defaultLifetimeConfig,
  defaultPaddingConfig,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  type KeyPackage,
  type MLSMessage,
  type PrivateKeyPackage,
  type PrivateMessage,
  type Proposal,
  processPrivateMessage,
} from "ts-mls";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { decryptSenderData } from "ts-mls/privateMessage.js";
import { type DeviceAddress, formatAddress } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import { InterlineError, type KeyStocks, type KeyUpload, type PublicKey } from "../../src/client/client.js";
import {
  type Cipher,
  type Claim,
  type GroupCiphertext,
  type GroupDevices,
  type GroupEnvelope,
  RepeatedPayload,
} from "../../src/client/encrypted-client.js";

/** X25519, AES-128-GCM, SHA-256 and Ed25519: what every MLS library has. */
const CIPHERSUITE = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
const LAST_RESORT_ID = 1;
const FIRST_ONE_TIME_ID = 100;
/** Why a device of a group may have no key package now; the others must not wait for it. */
const WITHOUT_KEYS: readonly InterlineError["code"][] = ["keysMissing", "notFound", "rateLimited"];

/** A group's keys as one version of its roster has them. */
interface Epoch {
  readonly state: ClientState;
  readonly version: number;
}

interface Group {
  /** undefined for the maker of the group until its first commit is accepted. */
  current: Epoch | undefined;
  /** Left by the latest commit that this device followed. */
  previous: Epoch | undefined;
  /** Of a commit of this device that the node has not answered yet. */
  pending: Epoch | undefined;
  /** Hashes of what was decrypted, latest last: ts-mls forgets the keys, so that a repeat looks like damage. */
  readonly decrypted: Set<string>;
}

interface OwnPackage {
  readonly id: number;
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

const DECRYPTED_MAX = 1024;

export class MlsCipher implements Cipher<"mls"> {
  readonly suite = "mls";
  readonly address: DeviceAddress;
  readonly #keyPackageCount: number;
  readonly #suite: CiphersuiteImpl;
  readonly #signatureKeys: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
  /** By reference (RFC 9420, 5.2), in hex. */
  readonly #packages = new Map<string, OwnPackage>();
  readonly #groups = new Map<string, Group>();
  /** Signature keys by device, in hex, from when it was first seen. */
  readonly #met = new Map<string, string>();
  #nextId = FIRST_ONE_TIME_ID;
  #isPublished = false;

  protected constructor(
    address: DeviceAddress,
    keyPackageCount: number,
    suite: CiphersuiteImpl,
    signatureKeys: { signKey: Uint8Array; publicKey: Uint8Array },
  ) {
    this.address = address;
    this.#keyPackageCount = keyPackageCount;
    this.#suite = suite;
    this.#signatureKeys = signatureKeys;
  }

  /** `keyPackageCount`: at the node after every refill. */
  static async create(address: DeviceAddress, keyPackageCount: number): Promise<MlsCipher> {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(CIPHERSUITE));
    return new this(address, keyPackageCount, suite, await suite.signature.keygen());
  }

  async refill({ keyPackage }: KeyStocks): Promise<KeyUpload | undefined> {
    const isFirst = !this.#isPublished;
    if (!isFirst && keyPackage.count >= this.#keyPackageCount) return undefined;
    this.#isPublished = true;
    const lastResort = isFirst ? { lastResortKeyPackage: [await this.#publish(LAST_RESORT_ID)] } : {};
    const unclaimed = [...this.#packages.values()].filter(
      ({ id }) => id > keyPackage.claimedThrough && id >= FIRST_ONE_TIME_ID,
    );
    const keys = unclaimed.map((own) => publicKey(own));
    while (keys.length < this.#keyPackageCount) keys.push(await this.#publish(this.#nextId++));
    return { ...lastResort, keyPackage: keys };
  }

  async encryptToGroup(plaintext: Uint8Array, group: GroupDevices): Promise<GroupCiphertext | undefined> {
    const known = this.#groups.get(toHex(group.address));
    if (known?.current === undefined || known.current.version !== group.version) return undefined;
    const { state, version } = known.current;
    const made = await createApplicationMessage(state, plaintext, this.#suite);
    known.current = { state: made.newState, version };
    const shared = encodeMlsMessage({
      version: "mls10",
      wireformat: "mls_private_message",
      privateMessage: made.privateMessage,
    });
    return { shared, blocks: [], leftOut: [] };
  }

  async moveGroup(group: GroupDevices, claim: Claim<"mls">): Promise<GroupCiphertext> {
    const known = this.#groupOf(group.address);
    const state = known.current?.state ?? (await this.#create(group.address));
    const wanted = new Set(group.devices.map(toHex));
    const present = new Set<string>();
    const proposals: Proposal[] = [];
    for (const [index, device] of devicesIn(state)) {
      present.add(toHex(device));
      if (this.isRemoved(device, wanted))
        proposals.push({ proposalType: "remove", remove: { removed: index } });
    }
    const joining: DeviceAddress[] = [];
    const leftOut: DeviceAddress[] = [];
    for (const device of group.devices) {
      if (present.has(toHex(device))) continue;
      const keyPackage = await this.#claimed(device, claim);
      if (keyPackage === undefined) leftOut.push(device);
      else {
        proposals.push({ proposalType: "add", add: { keyPackage } });
        joining.push(device);
      }
    }
    const made = await createCommit(
      { state, cipherSuite: this.#suite },
      { extraProposals: proposals, ratchetTreeExtension: true },
    );
    known.pending = { state: made.newState, version: group.version };
    const welcome =
      made.welcome &&
      encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome });
    return {
      shared: encodeMlsMessage(made.commit),
      blocks: joining.map((device) => ({ device, block: welcome as Uint8Array })),
      leftOut,
      settled: (isAccepted) => this.#settle(known, group.version, isAccepted),
    };
  }

  async decryptFromGroup({
    address,
    version,
    from,
    shared,
    block,
  }: GroupEnvelope): Promise<Uint8Array | undefined> {
    const known = this.#groupOf(address);
    const digest = toHex(await this.#suite.hash.digest(shared));
    if (known.decrypted.has(digest)) throw new RepeatedPayload("this was decrypted before");
    const message = privateMessageOf(shared);
    if (!equalBytes(message.groupId, address)) throw new Error("a message of another group");
    const plaintext =
      block.length > 0
        ? await this.#join(known, block, version, from)
        : await this.#process(known, message, version, from);
    known.decrypted.add(digest);
    for (const oldest of known.decrypted) {
      if (known.decrypted.size <= DECRYPTED_MAX) break;
      known.decrypted.delete(oldest);
    }
    return plaintext;
  }

  /** Whether a leaf must go: its device is none of the group's any more. */
  protected isRemoved(device: DeviceAddress, wanted: ReadonlySet<string>): boolean {
    return !wanted.has(toHex(device));
  }

  #groupOf(address: Uint8Array): Group {
    const known = this.#groups.get(toHex(address));
    if (known !== undefined) return known;
    const group: Group = {
      current: undefined,
      previous: undefined,
      pending: undefined,
      decrypted: new Set(),
    };
    this.#groups.set(toHex(address), group);
    return group;
  }

  #settle(group: Group, version: number, isAccepted: boolean): void {
    if (group.pending?.version !== version) return;
    if (isAccepted) {
      group.previous = group.current;
      group.current = group.pending;
    }
    group.pending = undefined;
  }

  async #create(address: Uint8Array): Promise<ClientState> {
    const { publicPackage, privatePackage } = await this.#makePackage();
    return createGroup(address, publicPackage, privatePackage, [], this.#suite, this.#config());
  }

  /** Only what is not yet behind this device: a welcome of an earlier version is a repeat. */
  async #join(group: Group, block: Uint8Array, version: number, from: DeviceAddress): Promise<undefined> {
    const message = decoded(block);
    if (message.wireformat !== "mls_welcome") throw new Error("a block that is no welcome");
    if (group.current !== undefined && group.current.version >= version)
      throw new RepeatedPayload("this device has joined already");
    for (const { newMember } of message.welcome.secrets) {
      const own = this.#packages.get(toHex(newMember));
      if (own === undefined) continue;
      const state = await joinGroup(
        message.welcome,
        own.publicPackage,
        own.privatePackage,
        emptyPskIndex,
        this.#suite,
        undefined,
        undefined,
        this.#config(),
      );
      if (!devicesIn(state).some(([, device]) => equalBytes(device, from)))
        throw new Error("a welcome of a device that is none of the group's");
      group.current = { state, version };
      group.previous = undefined;
      if (own.id !== LAST_RESORT_ID) this.#packages.delete(toHex(newMember));
      return undefined;
    }
    throw new Error("a welcome for none of this device's key packages");
  }

  async #process(
    group: Group,
    message: PrivateMessage,
    version: number,
    from: DeviceAddress,
  ): Promise<Uint8Array | undefined> {
    // Somebody has followed this device's own commit and the node took what he wrote: so it has the commit.
    const { pending } = group;
    const isFollowed = pending?.version === version && pending.state.groupContext.epoch === message.epoch;
    if (isFollowed) this.#settle(group, version, true);
    const { current, previous } = group;
    if (current === undefined) throw new Error("this device has not joined the group");
    const isCommit = message.contentType === "commit";
    const isBack =
      isCommit && previous?.state.groupContext.epoch === message.epoch && version > current.version;
    const base = isBack ? previous : current;
    await this.#checkSender(base.state, message, from);
    const result = await processPrivateMessage(base.state, message, emptyPskIndex, this.#suite);
    if (result.kind === "applicationMessage") {
      group.current = { state: result.newState, version: current.version };
      return result.message;
    }
    if (!isCommit) throw new Error("a proposal by itself is not of this encryption");
    group.previous = base;
    group.current = { state: result.newState, version };
    return undefined;
  }

  /** The node says whose it is; the leaf that made it must be that device's. */
  async #checkSender(state: ClientState, message: PrivateMessage, from: DeviceAddress): Promise<void> {
    const past = state.historicalReceiverData.get(message.epoch);
    const isNow = message.epoch === state.groupContext.epoch;
    const secret = isNow ? state.keySchedule.senderDataSecret : past?.senderDataSecret;
    if (secret === undefined) throw new Error("a message of an epoch that this device does not have");
    const sender = await decryptSenderData(message, secret, this.#suite);
    const leaf = devicesIn(isNow ? state : { ratchetTree: past?.ratchetTree ?? [] }).find(
      ([index]) => index === sender?.leafIndex,
    );
    if (leaf === undefined || !equalBytes(leaf[1], from))
      throw new Error("a message that is not of the device that the node names");
  }

  async #claimed(device: DeviceAddress, claim: Claim<"mls">): Promise<KeyPackage | undefined> {
    try {
      const message = decoded((await claim(device)).keyPackage.key);
      if (message.wireformat !== "mls_key_package") throw new Error("a key that is no key package");
      const { credential } = message.keyPackage.leafNode;
      if (credential.credentialType !== "basic" || !equalBytes(credential.identity, device))
        throw new Error(`a key package that is not of ${formatAddress(device)}`);
      return message.keyPackage;
    } catch (error) {
      if (error instanceof InterlineError && WITHOUT_KEYS.includes(error.code)) return undefined;
      throw error;
    }
  }

  async #makePackage(): Promise<Omit<OwnPackage, "id">> {
    return generateKeyPackageWithKey(
      { credentialType: "basic", identity: this.address },
      defaultCapabilities(),
      defaultLifetime,
      [],
      this.#signatureKeys,
      this.#suite,
    );
  }

  async #publish(id: number): Promise<PublicKey> {
    const own = { id, ...(await this.#makePackage()) };
    this.#packages.set(toHex(await makeKeyPackageRef(own.publicPackage, this.#suite.hash)), own);
    return publicKey(own);
  }

  #config(): ClientConfig {
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
}

function publicKey({ id, publicPackage }: OwnPackage): PublicKey {
  const message = { version: "mls10", wireformat: "mls_key_package", keyPackage: publicPackage } as const;
  return { id, key: encodeMlsMessage(message) };
}

function decoded(bytes: Uint8Array): MLSMessage {
  const message = decodeMlsMessage(bytes, 0);
  if (message === undefined || message[1] !== bytes.length) throw new Error("no whole MLS message");
  return message[0];
}

function privateMessageOf(bytes: Uint8Array): PrivateMessage {
  const message = decoded(bytes);
  if (message.wireformat !== "mls_private_message") throw new Error("no private message of MLS");
  return message.privateMessage;
}

/** The devices of the tree's leaves, by leaf index. */
function devicesIn({ ratchetTree }: Pick<ClientState, "ratchetTree">): [number, DeviceAddress][] {
  return ratchetTree.flatMap((node, index): [number, DeviceAddress][] => {
    if (node?.nodeType !== "leaf" || node.leaf.credential.credentialType !== "basic") return [];
    return [[index / 2, node.leaf.credential.identity as DeviceAddress]];
  });
}

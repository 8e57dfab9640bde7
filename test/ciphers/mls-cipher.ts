/**
 * MLS (RFC 9420) as ts-mls implements it, as a cipher of the SDK: groups here, single devices in
 * mls-pairs.ts, key packages in mls-packages.ts. It does not seal: the group of a private message stands there for everybody to read, so that the
 * node would know two envelopes for those of one sender.
 *
 * A group's keys move with its roster. Whoever changed it commits: removes the leaves of devices that are no longer
 * among the group's devices, adds the others with key packages from the node's key directory, and sends all that as the first
 * envelope for the new version. A member joins by the welcome in its block.
 *
 *   shared part   | MLS message |      a private message: application data, or the commit of a new version
 *   block         | MLS message |      the welcome, for devices that were added; empty otherwise
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
  type ClientState,
  createApplicationMessage,
  createCommit,
  createGroup,
  emptyPskIndex,
  encodeMlsMessage,
  type KeyPackage,
  type PrivateMessage,
  type Proposal,
  processPrivateMessage,
} from "ts-mls";
import type { DeviceAddress } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import { InterlineError, type KeyStocks, type KeyUpload } from "../../src/client/client.js";
import {
  type Cipher,
  type Claim,
  type GroupCiphertext,
  type GroupDevices,
  type GroupEnvelope,
  type KeyTimes,
  RepeatedPayload,
} from "../../src/client/encrypted-client.js";
import {
  Decrypted,
  devicesIn,
  encodePrivateMessage,
  encodeWelcome,
  MlsDevice,
  privateMessageOf,
  welcomeOf,
} from "./mls-device.js";
import { MlsPackages } from "./mls-packages.js";
import { MlsPairs } from "./mls-pairs.js";

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
  readonly decrypted: Decrypted;
}

export class MlsCipher implements Cipher<"mls"> {
  readonly suite = "mls";
  readonly address: DeviceAddress;
  readonly #device: MlsDevice;
  readonly #packages: MlsPackages;
  readonly #pairs: MlsPairs;
  readonly #groups = new Map<string, Group>();

  protected constructor(device: MlsDevice, keyPackageCount: number) {
    this.address = device.address;
    this.#device = device;
    this.#packages = new MlsPackages(device, keyPackageCount);
    this.#pairs = new MlsPairs(device, this.#packages);
  }

  /** `keyPackageCount`: at the node after every refill. */
  static async create(address: DeviceAddress, keyPackageCount: number): Promise<MlsCipher> {
    return new this(await MlsDevice.create(address), keyPackageCount);
  }

  refill(stocks: KeyStocks, times: KeyTimes): Promise<KeyUpload | undefined> {
    return this.#packages.refill(stocks, times);
  }

  uploaded(keys: KeyUpload, nowMs: number): void {
    this.#packages.uploaded(keys, nowMs);
  }

  encryptTo(plaintext: Uint8Array, to: DeviceAddress, claim: Claim<"mls">): Promise<Uint8Array> {
    return this.#pairs.encryptTo(plaintext, to, claim);
  }

  decryptFrom(payload: Uint8Array, from: DeviceAddress): Promise<Uint8Array> {
    return this.#pairs.decryptFrom(payload, from);
  }

  async encryptToGroup(plaintext: Uint8Array, group: GroupDevices): Promise<GroupCiphertext | undefined> {
    const known = this.#groups.get(toHex(group.address));
    if (known?.current === undefined || known.current.version !== group.version) return undefined;
    const { state, version } = known.current;
    const made = await createApplicationMessage(state, plaintext, this.#device.suite);
    known.current = { state: made.newState, version };
    const present = new Set(devicesIn(state).map(([, device]) => toHex(device)));
    return {
      shared: encodePrivateMessage(made.privateMessage),
      blocks: [],
      leftOut: group.devices.filter((device) => !present.has(toHex(device))),
    };
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
      { state, cipherSuite: this.#device.suite },
      { extraProposals: proposals, ratchetTreeExtension: true },
    );
    known.pending = { state: made.newState, version: group.version };
    const welcome = made.welcome && encodeWelcome(made.welcome);
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
    return known.decrypted.once(shared, async () => {
      const message = privateMessageOf(shared);
      if (!equalBytes(message.groupId, address)) throw new Error("a message of another group");
      return block.length > 0
        ? this.#join(known, block, version, from)
        : this.#process(known, message, version, from);
    });
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
      decrypted: new Decrypted(this.#device),
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
    const { publicPackage, privatePackage } = await this.#packages.make();
    const { suite } = this.#device;
    return createGroup(address, publicPackage, privatePackage, [], suite, this.#device.config());
  }

  /** Only what is not yet behind this device: a welcome of an earlier version is a repeat. */
  async #join(group: Group, block: Uint8Array, version: number, from: DeviceAddress): Promise<undefined> {
    const welcome = welcomeOf(block);
    if (group.current !== undefined && group.current.version >= version)
      throw new RepeatedPayload("this device has joined already");
    group.current = { state: await this.#packages.join(welcome, from), version };
    group.previous = undefined;
    return undefined;
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
    await this.#device.checkSender(base.state, message, from);
    const result = await processPrivateMessage(base.state, message, emptyPskIndex, this.#device.suite);
    if (result.kind === "applicationMessage") {
      group.current = { state: result.newState, version: current.version };
      return result.message;
    }
    if (!isCommit) throw new Error("a proposal by itself is not of this encryption");
    group.previous = base;
    group.current = { state: result.newState, version };
    return undefined;
  }

  async #claimed(device: DeviceAddress, claim: Claim<"mls">): Promise<KeyPackage | undefined> {
    try {
      return await this.#packages.claimed(device, claim);
    } catch (error) {
      if (error instanceof InterlineError && WITHOUT_KEYS.includes(error.code)) return undefined;
      throw error;
    }
  }
}

/**
 * MLS between two devices: what MlsCipher encrypts for a single device.
 *
 *   payload | length of the welcome u32 | welcome, MLS message | private message, MLS message |
 *
 * Who writes first makes a group of the two, which nobody else knows: a *channel*. It puts the welcome before each message, until the other
 * side has written in the channel and so is known to have it. Both may open one at the same time: a device writes in the channel
 * that it read last, and reads in all that it has. A channel is never committed to again: its messages need no order but their
 * own, and each has a key of its own, which is forgotten; but who has once seen a device's state reads on in its channels.
 */
import {
  type ClientState,
  createApplicationMessage,
  createCommit,
  createGroup,
  emptyPskIndex,
  processPrivateMessage,
} from "ts-mls";
import type { DeviceAddress } from "../../src/base/address.js";
import { concatBytes, equalBytes, toHex } from "../../src/base/bytes.js";
import type { Claim } from "../../src/client/encrypted-client.js";
import {
  Decrypted,
  devicesIn,
  encodePrivateMessage,
  encodeWelcome,
  type MlsDevice,
  privateMessageOf,
  welcomeOf,
} from "./mls-device.js";
import type { MlsPackages } from "./mls-packages.js";

/** Other than a group's address, so that none is taken for the other. */
const CHANNEL_ID_BYTES = 16;
/** With one device; the one that was used longest ago goes. */
const CHANNELS_MAX = 4;

interface Channel {
  state: ClientState;
  /** Until the other side is known to have it; empty then. */
  welcome: Uint8Array;
}

interface Pair {
  /** By group id, in hex; the one to write in is last. */
  readonly channels: Map<string, Channel>;
  readonly decrypted: Decrypted;
}

export class MlsPairs {
  readonly #device: MlsDevice;
  readonly #packages: MlsPackages;
  readonly #pairs = new Map<string, Pair>();

  constructor(device: MlsDevice, packages: MlsPackages) {
    this.#device = device;
    this.#packages = packages;
  }

  async encryptTo(plaintext: Uint8Array, to: DeviceAddress, claim: Claim<"mls">): Promise<Uint8Array> {
    const { channels } = this.#pairOf(to);
    const channel = [...channels.values()].at(-1) ?? (await this.#open(channels, to, claim));
    const made = await createApplicationMessage(channel.state, plaintext, this.#device.suite);
    channel.state = made.newState;
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, channel.welcome.length);
    return concatBytes([length, channel.welcome, encodePrivateMessage(made.privateMessage)]);
  }

  async decryptFrom(payload: Uint8Array, from: DeviceAddress): Promise<Uint8Array> {
    const { channels, decrypted } = this.#pairOf(from);
    const { welcome, message } = partsOf(payload);
    return decrypted.once(message, async () => {
      const privateMessage = privateMessageOf(message);
      if (privateMessage.groupId.length !== CHANNEL_ID_BYTES) throw new Error("a message of a group");
      const id = toHex(privateMessage.groupId);
      const channel = channels.get(id) ?? (await this.#join(channels, id, welcome, from));
      await this.#device.checkSender(channel.state, privateMessage, from);
      const { suite } = this.#device;
      const result = await processPrivateMessage(channel.state, privateMessage, emptyPskIndex, suite);
      if (result.kind !== "applicationMessage") throw new Error("a channel has messages only");
      keep(channels, id, { state: result.newState, welcome: new Uint8Array(0) });
      return result.message;
    });
  }

  #pairOf(device: DeviceAddress): Pair {
    const known = this.#pairs.get(toHex(device));
    if (known !== undefined) return known;
    const pair = { channels: new Map(), decrypted: new Decrypted(this.#device) };
    this.#pairs.set(toHex(device), pair);
    return pair;
  }

  async #open(channels: Pair["channels"], to: DeviceAddress, claim: Claim<"mls">): Promise<Channel> {
    const keyPackage = await this.#packages.claimed(to, claim);
    const { publicPackage, privatePackage } = await this.#packages.make();
    const { suite } = this.#device;
    const id = crypto.getRandomValues(new Uint8Array(CHANNEL_ID_BYTES));
    const alone = await createGroup(id, publicPackage, privatePackage, [], suite, this.#device.config());
    const { newState, welcome } = await createCommit(
      { state: alone, cipherSuite: suite },
      { extraProposals: [{ proposalType: "add", add: { keyPackage } }], ratchetTreeExtension: true },
    );
    if (welcome === undefined) throw new Error("an added device is welcomed");
    const channel = { state: newState, welcome: encodeWelcome(welcome) };
    keep(channels, toHex(id), channel);
    return channel;
  }

  async #join(
    channels: Pair["channels"],
    id: string,
    welcome: Uint8Array,
    from: DeviceAddress,
  ): Promise<Channel> {
    if (welcome.length === 0) throw new Error("this device does not have the channel");
    const state = await this.#packages.join(welcomeOf(welcome), from);
    const members = devicesIn(state).map(([, device]) => device);
    const isOfTwo =
      members.length === 2 && members.some((device) => equalBytes(device, this.#device.address));
    if (!isOfTwo || toHex(state.groupContext.groupId) !== id)
      throw new Error("a welcome to something else than a channel of the two devices");
    const channel = { state, welcome: new Uint8Array(0) };
    keep(channels, id, channel);
    return channel;
  }
}

function keep(channels: Pair["channels"], id: string, channel: Channel): void {
  channels.delete(id);
  channels.set(id, channel);
  for (const oldest of channels.keys()) {
    if (channels.size <= CHANNELS_MAX) break;
    channels.delete(oldest);
  }
}

function partsOf(payload: Uint8Array): { welcome: Uint8Array; message: Uint8Array } {
  if (payload.length < 4) throw new Error("a payload that ends too early");
  const { buffer, byteOffset } = payload;
  const end = 4 + new DataView(buffer, byteOffset).getUint32(0);
  return { welcome: payload.slice(4, end), message: payload.slice(end) };
}

/**
 * Key packages: those that one device has at the node, with their private halves, and those that it claims of others.
 *
 *   a key at the node: keyPackage, lastResortKeyPackage | MLS message |
 *
 * They are made in batches: a last resort and as many one-time packages as there are to be. A batch that is `ageMs` old
 * gets a successor, which replaces all that is left of it at the node; what is left of it here is erased `keptMs` after the node was
 * known to have the successor. A one-time package is gone once somebody has added this device with it.
 */
import {
  type ClientState,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  joinGroup,
  type KeyPackage,
  type PrivateKeyPackage,
  type Welcome,
} from "ts-mls";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { type DeviceAddress, formatAddress } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import type { KeyStocks, KeyUpload, PublicKey } from "../../src/client/client.js";
import type { Claim, KeyTimes } from "../../src/client/encrypted-client.js";
import { decoded, devicesIn, type MlsDevice } from "./mls-device.js";

interface Batch {
  /** Also the id of its last resort. */
  readonly number: number;
  readonly madeAtMs: number;
  isPublished: boolean;
  /** When the node was known to have its successor; undefined before. */
  replacedAtMs: number | undefined;
}

interface Pair {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

interface OwnPackage extends Pair {
  readonly id: number;
  readonly isLastResort: boolean;
  readonly batch: Batch;
}

export class MlsPackages {
  readonly #device: MlsDevice;
  readonly #count: number;
  /** By reference (RFC 9420, 5.2), in hex. */
  readonly #packages = new Map<string, OwnPackage>();
  /** Oldest first; the last one may not be at the node yet. */
  #batches: Batch[] = [];
  #nextId = 1;

  /** `count`: at the node after every refill. */
  constructor(device: MlsDevice, count: number) {
    this.#device = device;
    this.#count = count;
  }

  async refill({ keyPackage }: KeyStocks, times: KeyTimes): Promise<KeyUpload | undefined> {
    this.#forget(times);
    const { nowMs, ageMs } = times;
    const published = this.#batches.findLast(({ isPublished }) => isPublished);
    const isDue = published === undefined || nowMs - published.madeAtMs >= ageMs;
    if (!isDue && keyPackage.count >= this.#count) return undefined;
    const batch = isDue ? await this.#successor(nowMs) : published;
    this.#nextId = Math.max(this.#nextId, keyPackage.claimedThrough + 1);
    const ofBatch = [...this.#packages.values()].filter((own) => own.batch === batch);
    const keys = ofBatch
      .filter(({ id, isLastResort }) => !isLastResort && id > keyPackage.claimedThrough)
      .map(publicKey);
    while (keys.length < this.#count)
      keys.push(publicKey(await this.#add({ id: this.#nextId++, isLastResort: false, batch })));
    const lastResort = ofBatch.filter(({ isLastResort }) => isLastResort).map(publicKey);
    return { keyPackage: keys, ...(isDue && { lastResortKeyPackage: lastResort }) };
  }

  uploaded({ lastResortKeyPackage }: KeyUpload, nowMs: number): void {
    const number = lastResortKeyPackage?.[0]?.id;
    if (number === undefined) return;
    for (const batch of this.#batches) {
      if (batch.number === number) batch.isPublished = true;
      else if (batch.number < number) batch.replacedAtMs ??= nowMs;
    }
  }

  /** The state of a group that this device is welcomed to. */
  async join(welcome: Welcome, from: DeviceAddress): Promise<ClientState> {
    for (const { newMember } of welcome.secrets) {
      const own = this.#packages.get(toHex(newMember));
      if (own === undefined) continue;
      const { publicPackage, privatePackage } = own;
      const { suite } = this.#device;
      const config = this.#device.config();
      const state = await joinGroup(
        welcome,
        publicPackage,
        privatePackage,
        emptyPskIndex,
        suite,
        undefined,
        undefined,
        config,
      );
      if (!devicesIn(state).some(([, device]) => equalBytes(device, from)))
        throw new Error("a welcome of a device that is none of the group's");
      if (!own.isLastResort) this.#packages.delete(toHex(newMember));
      return state;
    }
    throw new Error("a welcome for none of this device's key packages");
  }

  /** Of another device. Rejects like `claim`. */
  async claimed(device: DeviceAddress, claim: Claim<"mls">): Promise<KeyPackage> {
    const message = decoded((await claim(device)).keyPackage.key);
    if (message.wireformat !== "mls_key_package") throw new Error("a key that is no key package");
    const { credential } = message.keyPackage.leafNode;
    if (credential.credentialType !== "basic" || !equalBytes(credential.identity, device))
      throw new Error(`a key package that is not of ${formatAddress(device)}`);
    return message.keyPackage;
  }

  /** One that nobody else sees: to make a group with. */
  make(): Promise<Pair> {
    const { address, signatureKeys, suite } = this.#device;
    const credential = { credentialType: "basic", identity: address } as const;
    return generateKeyPackageWithKey(
      credential,
      defaultCapabilities(),
      defaultLifetime,
      [],
      signatureKeys,
      suite,
    );
  }

  #forget({ nowMs, keptMs }: KeyTimes): void {
    const isPast = ({ replacedAtMs }: Batch): boolean =>
      replacedAtMs !== undefined && nowMs - replacedAtMs >= keptMs;
    for (const [reference, { batch }] of this.#packages) if (isPast(batch)) this.#packages.delete(reference);
    this.#batches = this.#batches.filter((batch) => !isPast(batch));
  }

  /** One that was made before, and of which the node has not said that it has it, is offered again. */
  async #successor(nowMs: number): Promise<Batch> {
    const last = this.#batches.at(-1);
    if (last !== undefined && !last.isPublished) return last;
    const number = (last?.number ?? 0) + 1;
    const batch = { number, madeAtMs: nowMs, isPublished: false, replacedAtMs: undefined };
    this.#batches.push(batch);
    await this.#add({ id: number, isLastResort: true, batch });
    return batch;
  }

  async #add(parts: Omit<OwnPackage, keyof Pair>): Promise<OwnPackage> {
    const own = { ...parts, ...(await this.make()) };
    this.#packages.set(toHex(await makeKeyPackageRef(own.publicPackage, this.#device.suite.hash)), own);
    return own;
  }
}

function publicKey({ id, publicPackage }: OwnPackage): PublicKey {
  const message = { version: "mls10", wireformat: "mls_key_package", keyPackage: publicPackage } as const;
  return { id, key: encodeMlsMessage(message) };
}

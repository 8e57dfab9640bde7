/**
 * The demonstration's key directory: devices publish public keys, whoever wants
 * to write to a device for the first time takes a pre-key bundle.
 *
 * A plain table in this program's memory. It keeps the one rule a directory
 * must keep: a one-time key is handed out at most once. When a device's
 * one-time keys are used up, its bundle has no one-time curve key and carries
 * the last-resort Kyber key, as the Signal protocol has it.
 *
 * The node has no part in it.
 */
import { type KEMPublicKey, PreKeyBundle, type PublicKey } from "@signalapp/libsignal-client";
import { type DeviceAddress, deviceParts, formatAddress } from "../../src/base/address.js";

export interface SignedCurveKey {
  readonly id: number;
  readonly key: PublicKey;
  readonly signature: Uint8Array<ArrayBuffer>;
}

export interface SignedKyberKey {
  readonly id: number;
  readonly key: KEMPublicKey;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** What one device publishes: public halves only. */
export interface PublishedKeys {
  readonly registrationId: number;
  readonly identityKey: PublicKey;
  readonly signedPreKey: SignedCurveKey;
  readonly lastResortKyberKey: SignedKyberKey;
  readonly oneTimeKeys: readonly { readonly id: number; readonly key: PublicKey }[];
  readonly oneTimeKyberKeys: readonly SignedKyberKey[];
}

interface Shelf {
  readonly keys: PublishedKeys;
  oneTimeTaken: number;
  oneTimeKyberTaken: number;
}

export class KeyDirectory {
  readonly #shelves = new Map<string, Shelf>();

  publish(device: DeviceAddress, keys: PublishedKeys): void {
    this.#shelves.set(formatAddress(device), { keys, oneTimeTaken: 0, oneTimeKyberTaken: 0 });
  }

  /** A bundle to start a conversation with the device; its one-time keys are then gone from the shelf. */
  take(device: DeviceAddress): PreKeyBundle {
    const name = formatAddress(device);
    const shelf = this.#shelves.get(name);
    if (shelf === undefined) throw new Error(`${name} has published no keys`);
    const { keys } = shelf;
    const oneTime = keys.oneTimeKeys[shelf.oneTimeTaken++];
    const kyber = keys.oneTimeKyberKeys[shelf.oneTimeKyberTaken++] ?? keys.lastResortKyberKey;
    return PreKeyBundle.new(
      keys.registrationId,
      deviceParts(device).device,
      oneTime?.id ?? null,
      oneTime?.key ?? null,
      keys.signedPreKey.id,
      keys.signedPreKey.key,
      keys.signedPreKey.signature,
      keys.identityKey,
      kyber.id,
      kyber.key,
      kyber.signature,
    );
  }
}

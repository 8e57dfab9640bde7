/**
 * The seam between a device of the demonstration and its end-to-end encryption.
 *
 *   plaintext ─▶ encrypt(to) ─▶ payload ─▶ (the node routes it) ─▶ payload ─▶ decrypt(from) ─▶ plaintext
 *
 * The node, its client library and the tally never see more than the payload's
 * bytes and the two addresses. signal-device.ts implements the seam with the
 * Signal protocol; another encryption would be another implementation.
 */
import type { DeviceAddress } from "../../src/base/address.js";

export interface EncryptionAdapter {
  /** The device whose keys this adapter holds. */
  readonly address: DeviceAddress;
  /**
   * One payload for one device. Every call moves the ratchet on, so a payload
   * must be repeated as it is, never made again, when a send is repeated.
   */
  encrypt(plaintext: Uint8Array, to: DeviceAddress): Promise<Uint8Array>;
  /** Rejects with RepeatedPayload when it was decrypted before, otherwise when it is not for this device or not intact. */
  decrypt(payload: Uint8Array, from: DeviceAddress): Promise<Uint8Array>;
}

/** This very payload was decrypted before. */
export class RepeatedPayload extends Error {
  override readonly name = "RepeatedPayload";
}

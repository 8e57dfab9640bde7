/**
 * The seam between the SDK and an application's end-to-end encryption: what an
 * encryption library is wrapped in to be used by EncryptedClient
 * (encrypted-client.ts), which calls it and does everything else: rosters,
 * claims, repeats, order.
 *
 *   plaintext ─▶ encryptTo ────── a payload for each device ─────────▶ decryptFrom ─▶ plaintext
 *   plaintext ─▶ sealTo ───────── the same, and who it is from ───────▶ openSealed ──▶ plaintext, from
 *   plaintext ─▶ sealToAll ────── one shared part, a block for each ──▶ openSealed ──▶ plaintext, from
 *   plaintext ─▶ encryptToGroup ─ one shared part, blocks ────────▶ decryptFromGroup ─▶ plaintext
 *   roster ────▶ moveGroup ────── one shared part, blocks ────────▶ decryptFromGroup ─▶ nothing to show
 *
 * Two ways to have a group's keys follow its roster, and a cipher has one of them:
 *
 *   with the messages   (Signal's sender keys) A sender sees, each time he encrypts, which devices there are: he
 *                       gives his key, in blocks, to those that do not have it, and takes a new one when a device
 *                       that has it is no longer among them. No moveGroup.
 *   with the roster     (MLS) The device that changed the roster moves the group: its commit is the first envelope
 *                       that anybody sends for the new version. The node refuses what is sent for an old one and tells
 *                       of a new one in order with the group's envelopes; and a version has one maker. So all devices
 *                       see the same commits in the same order, which MLS needs. Until the commit has come
 *                       encryptToGroup answers undefined, and EncryptedClient waits.
 *
 * Sealing is an option of a cipher. Of what it seals the node must learn nothing that tells the sender, or that two envelopes have
 * the same one; and it must prove to the recipient which device it is from. Signal's sealed sender does; a private
 * message of MLS does not, because its group stands there for everybody to read. A cipher that seals for one device may also seal
 * for many at once, as Signal's second version of it does; for one that does not, EncryptedClient sends to each account by itself.
 *
 * Keys that are handed out again and again (signed pre-keys, last resorts) grow old. refill is told how old they may get
 * (KeyTimes). A successor is made, stored, and uploaded; once `uploaded` says that the node has it, the old one
 * decrypts for `keptMs` more what was encrypted with it and is still under way, and is erased at the first refill after.
 *
 * "Plaintext" is here what EncryptedClient gives: the content of content.ts.
 *
 * What EncryptedClient promises: one call at a time per cipher; decryptions in the order of arrival; a payload is
 * encrypted once and repeated as it is. What a cipher must do by itself: keep its state (it should be stored together
 * with what was decrypted), and bind what it says to devices: `from` is what the node says, and the cipher
 * must refuse what that device did not encrypt.
 *
 * Types and one error; runs in browsers.
 */
import type { DeviceAddress } from "../base/address.js";
import type { SuiteName } from "../wire/keys.js";
import type { KeyBundles, KeyStocks, KeyUpload } from "./types.js";

export interface Cipher<Suite extends SuiteName = SuiteName> {
  /** Which of the key directory's bundles it begins conversations with. */
  readonly suite: Suite;
  /** The device whose keys it holds. */
  readonly address: DeviceAddress;
  /**
   * Called at every start, when the node says that one-time keys are few, and several times within `ageMs`: the keys to
   * upload, given what the node holds; undefined when that is enough. An upload replaces all keys of the kinds it names.
   */
  refill(stocks: KeyStocks, times: KeyTimes): Promise<KeyUpload | undefined>;
  /** The node has what refill answered. Without this call it may have it, or not: refill is asked again. */
  uploaded?(keys: KeyUpload, nowMs: number): void;
  /** One payload for one device. Absent, like decryptFrom, when the encryption knows only groups. */
  encryptTo?(plaintext: Uint8Array, to: DeviceAddress, claim: Claim<Suite>): Promise<Uint8Array>;
  /** Rejects with RepeatedPayload for what it decrypted before, with anything else for what is not for this device, not from `from` or not intact. */
  decryptFrom?(payload: Uint8Array, from: DeviceAddress): Promise<Uint8Array>;
  /** One payload for one device that does not tell the node whose it is. Absent, like openSealed, when the encryption cannot. */
  sealTo?(plaintext: Uint8Array, to: DeviceAddress, claim: Claim<Suite>): Promise<Uint8Array>;
  /**
   * One shared part for all of the devices, and a block for each of them. This device may be one, and what it gets must not be told from
   * the others' by the node, by its length either; nor need the devices that are left out. Absent when the encryption cannot.
   */
  sealToAll?(
    plaintext: Uint8Array,
    devices: readonly DeviceAddress[],
    claim: Claim<Suite>,
  ): Promise<GroupCiphertext>;
  /**
   * Rejects like decryptFrom, and when it is not proven whose it is. `timeMs` is when the node accepted it. With a block,
   * `payload` is the shared part that it came with. Undefined for what this device has sealed itself.
   */
  openSealed?(payload: Uint8Array, timeMs: number, block?: Uint8Array): Promise<Opened | undefined>;
  /** For all devices of the group except this one; undefined while moveGroup's envelope for this version has not come. */
  encryptToGroup(
    plaintext: Uint8Array,
    group: GroupDevices,
    claim: Claim<Suite>,
  ): Promise<GroupCiphertext | undefined>;
  /** Undefined when the envelope was for the cipher alone. Rejects like decryptFrom. */
  decryptFromGroup(envelope: GroupEnvelope): Promise<Uint8Array | undefined>;
  /** The envelope that moves the group's keys to exactly these devices. Called on the device that made this version. */
  moveGroup?(group: GroupDevices, claim: Claim<Suite>): Promise<GroupCiphertext>;
  /** The node says that a device, whose keys this account has claimed, has another identity key now. */
  identityChanged?(device: DeviceAddress): void;
}

/** A bundle with one-time keys that nobody else is given. Rejects as `client.keys.claim` does. */
export type Claim<Suite extends SuiteName> = (device: DeviceAddress) => Promise<KeyBundles[Suite]>;

/** Times are those of Date.now(), in milliseconds. */
export interface KeyTimes {
  readonly nowMs: number;
  /** What is handed out again and again is made anew at this age. */
  readonly ageMs: number;
  /** How long what was replaced still decrypts. */
  readonly keptMs: number;
}

/** What was sealed, and the device that it proves to be from. */
export interface Opened {
  readonly plaintext: Uint8Array;
  readonly from: DeviceAddress;
}

/** A group as one version of its roster has it. */
export interface GroupDevices {
  /** The group's address, 18 bytes. */
  readonly address: Uint8Array;
  readonly version: number;
  /** All devices of all members, this one included. */
  readonly devices: readonly DeviceAddress[];
}

export interface GroupCiphertext {
  /** What every device gets. */
  readonly shared: Uint8Array;
  /** What some get of their own beside it; of what is sealed, all of them. */
  readonly blocks: readonly { readonly device: DeviceAddress; readonly block: Uint8Array }[];
  /** Devices that cannot read it, because no keys of theirs could be had. */
  readonly leftOut: readonly DeviceAddress[];
  /** Called once: whether the node accepted the envelope. Only what was accepted has reached anybody for certain. */
  settled?(isAccepted: boolean): void;
}

export interface GroupEnvelope {
  readonly address: Uint8Array;
  /** Of the roster that it was sent for. */
  readonly version: number;
  readonly from: DeviceAddress;
  readonly shared: Uint8Array;
  /** Empty when there was none for this device. */
  readonly block: Uint8Array;
}

/** This very ciphertext was decrypted before. */
export class RepeatedPayload extends Error {
  override readonly name = "RepeatedPayload";
}

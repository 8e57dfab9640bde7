/**
 * The key directory's words: kinds of keys, the suites whose bundles are made
 * of them, and the bytes over which both ends compute a digest. A key is an id
 * and opaque bytes; nothing here or in the node looks into them.
 *
 *   kind                       how many   what it is for
 *   identity               1   one        Signal: identity key; its id is the app's own (registration id)
 *   signedPreKey           2   one        Signal: signed pre-key, signature included
 *   lastResortKyber        3   one        Signal: handed out again and again when no kyberPreKey is left
 *   lastResortKeyPackage   4   one        MLS: the same for keyPackage
 *   preKey                16   up to 100  Signal: one-time EC pre-key
 *   kyberPreKey           17   up to 100  Signal: one-time Kyber pre-key, signature included
 *   keyPackage            18   up to 100  MLS: key package
 *
 * Numbers are never reused: they are in digests and on disk.
 */
import { DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";

export const keyKinds = {
  identity: 1,
  signedPreKey: 2,
  lastResortKyber: 3,
  lastResortKeyPackage: 4,
  preKey: 16,
  kyberPreKey: 17,
  keyPackage: 18,
} as const;
export type KeyKind = keyof typeof keyKinds;
export const keyKindNames = Object.keys(keyKinds) as readonly KeyKind[];

/** Kinds whose keys are handed out once each, in the order of their ids. */
export const oneTimeKinds = ["preKey", "kyberPreKey", "keyPackage"] as const;
export type OneTimeKind = (typeof oneTimeKinds)[number];

export function isOneTime(kind: KeyKind): kind is OneTimeKind {
  return (oneTimeKinds as readonly KeyKind[]).includes(kind);
}

/** What a claim brings: everything of `needs`, one of each of `takes` as far as there is any. */
export const keySuites = {
  signal: {
    needs: ["identity", "signedPreKey"],
    takes: [{ kind: "preKey" }, { kind: "kyberPreKey", lastResort: "lastResortKyber" }],
  },
  mls: { needs: [], takes: [{ kind: "keyPackage", lastResort: "lastResortKeyPackage" }] },
} as const satisfies Record<string, KeySuite>;
export type SuiteName = keyof typeof keySuites;

export interface KeySuite {
  readonly needs: readonly KeyKind[];
  readonly takes: readonly { readonly kind: OneTimeKind; readonly lastResort?: KeyKind }[];
}

/** Kinds that belong to one identity: a new one replaces them all. */
export const identityKinds: readonly KeyKind[] = [
  "identity",
  "signedPreKey",
  "lastResortKyber",
  "preKey",
  "kyberPreKey",
];

export interface PublicKey {
  /** Of the app's own giving. Among one-time keys of a device and kind it is never used twice. */
  readonly id: number;
  readonly key: Uint8Array;
}

/** What a node holds of one kind of a device's keys. */
export interface KeyStock {
  readonly count: number;
  /** The highest id of a one-time key that was handed out; 0 when none was. */
  readonly claimedThrough: number;
}

const DIGEST_LABEL = new TextEncoder().encode("interline keys v1");

/**
 * The bytes whose SHA-256 is the digest of one kind of a device's keys, which
 * are given by rising ids:
 *
 *   "interline keys v1" | device 20 | kind u8 | count u32 | count × { id u64 | length u32 | key }
 *
 * Integers are big-endian.
 */
export function keyDigestInput(
  device: DeviceAddress,
  kind: KeyKind,
  keys: readonly PublicKey[],
): Uint8Array<ArrayBuffer> {
  assert(device.length === DEVICE_ADDRESS_BYTES, "a device address has 20 bytes");
  const headBytes = DIGEST_LABEL.length + DEVICE_ADDRESS_BYTES + 5;
  const bytes = new Uint8Array(keys.reduce((sum, { key }) => sum + 12 + key.length, headBytes));
  const view = new DataView(bytes.buffer);
  bytes.set(DIGEST_LABEL);
  bytes.set(device, DIGEST_LABEL.length);
  view.setUint8(headBytes - 5, keyKinds[kind]);
  view.setUint32(headBytes - 4, keys.length);
  let at = headBytes;
  for (const { id, key } of keys) {
    view.setBigUint64(at, BigInt(id));
    view.setUint32(at + 8, key.length);
    bytes.set(key, at + 12);
    at += 12 + key.length;
  }
  return bytes;
}

/**
 * What may be asked of the key directory: a signed-in device stores its own keys and is given those of others; a connection
 * that speaks for nobody is given those of the devices of an account whose delivery token it has.
 *
 * A token that opens nothing is answered alike, and after the same work, whether there is such an account or not; the path
 * holds that answer back (path/requests.ts). Nothing here remembers who asked.
 */
import { accountOf, brandOf, DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import type { KeyUpload } from "../rules/keys.js";
import { opens, tokenDigest } from "../rules/sealed.js";
import type { Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";
import type { Fields } from "../wire/fields.js";
import { type KeyKind, keyKindNames, keySuites, type PublicKey, type SuiteName } from "../wire/keys.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { DELIVERY_TOKEN_BYTES } from "../wire/sealed.js";
import type { Methods } from "./requests.js";

/** What this service needs of the store. */
export type KeyStore = Pick<Store, "uploadKeys" | "claimKeys" | "keyStocks" | "keyDigests">;

/** More in one list is no list of keys; what is too many of a kind is for the rules to say. */
const KEYS_READ_MAX = 1_024;
/** What a key may be at most is for the rules to say too. */
const KEY_READ_BYTES = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** `mayMeet`: whether envelopes pass from the one brand to the other, by their numbers. */
export function keyMethods(store: KeyStore, mayMeet: (from: number, to: number) => boolean): Methods {
  return {
    "keys.upload": async (caller, body) =>
      mapOf(await store.uploadKeys(caller, uploadIn(body)), (stock) => ({ ...stock })),
    "keys.claim": async (requester, body) => {
      const target: DeviceAddress = body.binOf("device", DEVICE_ADDRESS_BYTES);
      const claim = {
        requester,
        target,
        suite: suiteIn(body),
        mayMeet: mayMeet(brandOf(requester), brandOf(target)),
      };
      return claimedMap(await store.claimKeys(claim));
    },
    "keys.stock": (caller) => mapOf(store.keyStocks(caller), (stock) => ({ ...stock })),
    "keys.digest": async (caller) => {
      const digests = mapOf(await store.keyDigests(caller), (digest) => ({ ...digest }));
      return { device: caller, ...digests };
    },
  };
}

export interface SealedKeyParts {
  readonly store: Pick<Store, "claimKeys" | "deliveryTokens">;
  readonly clock: Clock;
  readonly mayMeet: (from: number, to: number) => boolean;
}

/** For connections that speak for nobody but a brand. */
export function sealedKeyMethods({ store, clock, mayMeet }: SealedKeyParts): Methods<number> {
  return {
    "keys.claim": async (brand, body) => {
      const target: DeviceAddress = body.binOf("device", DEVICE_ADDRESS_BYTES);
      const suite = suiteIn(body);
      const digest = tokenDigest(body.binOf("deliveryToken", DELIVERY_TOKEN_BYTES));
      const isOpened = opens(digest, store.deliveryTokens(accountOf(target)), clock.monotonicMs());
      if (!mayMeet(brand, brandOf(target))) throw new CodedError("brandsClosed");
      if (!isOpened) throw new CodedError("deliveryTokenRefused");
      return claimedMap(await store.claimKeys({ requester: undefined, target, suite, mayMeet: true }));
    },
  };
}

const claimedMap = (claimed: Awaited<ReturnType<Store["claimKeys"]>>): MsgpackMap =>
  mapOf(claimed, ({ id, key }) => ({ id, key }));

function uploadIn(body: Fields): KeyUpload {
  const upload: { [Kind in KeyKind]?: readonly PublicKey[] } = {};
  for (const kind of keyKindNames) {
    if (!body.has(kind)) continue;
    upload[kind] = body
      .maps(kind, KEYS_READ_MAX)
      .map((fields) => ({ id: fields.uint("id"), key: fields.bin("key", KEY_READ_BYTES) }));
  }
  return upload;
}

function suiteIn(body: Fields): SuiteName {
  const suite = body.str("suite");
  if (!Object.hasOwn(keySuites, suite))
    throw body.fault(`suite is one of ${Object.keys(keySuites).join(", ")}`);
  return suite as SuiteName;
}

/** By kind, as it goes onto the wire. */
function mapOf<T>(byKind: { readonly [Kind in KeyKind]?: T }, toMap: (value: T) => MsgpackMap): MsgpackMap {
  const kinds = keyKindNames.filter((kind) => byKind[kind] !== undefined);
  return Object.fromEntries(kinds.map((kind) => [kind, toMap(byKind[kind] as T)]));
}

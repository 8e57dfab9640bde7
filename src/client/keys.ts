/**
 * The key directory, as an encryption adapter wants it: it stores the device's
 * own public keys, claims a bundle of another device to begin a conversation,
 * and compares what the node holds with the device's own records.
 *
 * Keys are ids and opaque bytes; an adapter puts into them what its library
 * needs (a signature behind its key, for instance). Ids of one-time keys must
 * rise over the device's whole life: the node never takes one back that it has
 * handed out, and hands them out from the lowest on.
 */
import { DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import { Fields } from "../wire/fields.js";
import {
  isOneTime,
  type KeyKind,
  type KeyStock,
  keyDigestInput,
  keyKindNames,
  keySuites,
  type PublicKey,
  type SuiteName,
} from "../wire/keys.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { deviceOfLike } from "./requests.js";
import type { Ask, DeviceLike, KeyBundles, KeyDigests, KeyStocks, KeyUpload } from "./types.js";

const KEY_BYTES = { min: 1, max: 0xffff_ffff };
const DIGEST_BYTES = 32;

export class Keys {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /**
   * Puts keys in the place of all stored ones of their kinds; kinds that are left out stay as they are. One-time keys
   * that were handed out before are left out by the node, so that repeating an upload does no harm. A new identity
   * removes every other Signal key that is not uploaded with it. Resolves with what is stored now.
   */
  upload(keys: KeyUpload): Promise<KeyStocks> {
    const lists = Object.entries(keys).map(([kind, list]) => [
      kind,
      list.map(({ id, key }) => ({ id, key })),
    ]);
    return this.#ask(
      { method: "keys.upload", body: Object.fromEntries(lists), isRepeatable: true },
      readStocks,
    );
  }

  /**
   * A bundle to begin a conversation with a device, with one-time keys that nobody else is ever given. Rejects with
   * `notFound`, `keysMissing`, or `rateLimited`: by default 6 claims of one device, then one per 10 minutes.
   */
  claim<Suite extends SuiteName>(device: DeviceLike, suite: Suite): Promise<KeyBundles[Suite]> {
    const body = { device: deviceOfLike(device), suite };
    return this.#ask({ method: "keys.claim", body, isRepeatable: true }, (answer) =>
      readBundle(suite, answer),
    );
  }

  /** What the node holds of this device's keys. */
  stock(): Promise<KeyStocks> {
    return this.#ask({ method: "keys.stock", isRepeatable: true }, readStocks);
  }

  /** The same with a digest of each kind. */
  digest(): Promise<KeyDigests> {
    return this.#ask({ method: "keys.digest", isRepeatable: true }, readDigests);
  }

  /**
   * The kinds of which the node does not hold what `own` says, which lists all keys of this device that it has
   * uploaded and not replaced, handed out or not; kinds that are left out are not compared.
   */
  async differences(own: KeyUpload): Promise<readonly KeyKind[]> {
    const { device, kinds } = await this.digest();
    const differing: KeyKind[] = [];
    for (const kind of keyKindNames) {
      const listed = own[kind];
      if (listed === undefined) continue;
      const { claimedThrough, digest } = kinds[kind];
      const left = listed.filter(({ id }) => !isOneTime(kind) || id > claimedThrough);
      const expected = await sha256(
        keyDigestInput(
          device,
          kind,
          left.sort((a, b) => a.id - b.id),
        ),
      );
      if (!equalBytes(digest, expected)) differing.push(kind);
    }
    return differing;
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function readStocks(body: MsgpackMap): KeyStocks {
  return ofEachKind(body, readStock);
}

function readDigests(body: MsgpackMap): KeyDigests {
  const device: DeviceAddress = new Fields(body, badFrame).binOf("device", DEVICE_ADDRESS_BYTES).slice();
  const kinds = ofEachKind(body, (fields) => ({
    ...readStock(fields),
    digest: fields.binOf("digest", DIGEST_BYTES).slice(),
  }));
  return { device, kinds };
}

function readStock(fields: Fields): KeyStock {
  return { count: fields.uint("count"), claimedThrough: fields.uint("claimedThrough") };
}

function ofEachKind<T>(body: MsgpackMap, read: (fields: Fields) => T): { readonly [Kind in KeyKind]: T } {
  const fields = new Fields(body, badFrame);
  const entries = keyKindNames.map((kind) => [kind, read(fields.map(kind))]);
  return Object.fromEntries(entries) as { [Kind in KeyKind]: T };
}

/** The last resort comes in the place of the one-time key that it stands for. */
export function readBundle<Suite extends SuiteName>(suite: Suite, body: MsgpackMap): KeyBundles[Suite] {
  const fields = new Fields(body, badFrame);
  const bundle: { [key: string]: PublicKey | boolean } = { isLastResort: false };
  for (const kind of keySuites[suite].needs) bundle[kind] = readKey(fields.map(kind));
  for (const take of keySuites[suite].takes) {
    if (fields.has(take.kind)) bundle[take.kind] = readKey(fields.map(take.kind));
    else if ("lastResort" in take && fields.has(take.lastResort)) {
      bundle[take.kind] = readKey(fields.map(take.lastResort));
      bundle.isLastResort = true;
    }
  }
  if (suite === "mls" && bundle.keyPackage === undefined) throw badFrame("a bundle of MLS is a key package");
  return bundle as unknown as KeyBundles[Suite];
}

/** Copied: what it is a view of is a whole message. */
function readKey(fields: Fields): PublicKey {
  return { id: fields.uint("id"), key: fields.bin("key", KEY_BYTES).slice() };
}

/**
 * A brand's public keys out of a JWK set (RFC 7517), ready to verify with.
 *
 * Only what can verify one of the pinned algorithms is taken: Ed25519 for
 * EdDSA, P-256 for ES256. Symmetric keys, RSA and keys for encryption are
 * stepped over, and of a key that carries its private half only the public half
 * is read. A set with two usable keys of one id is refused: which of them is
 * meant would be chance.
 */
import { KeyObject } from "node:crypto";
import { type CryptoKey, importJWK, type JWK } from "jose";
import { limits } from "../rules/limits.js";
import type { SignatureAlgorithm } from "../rules/sign-in.js";

/** By key id; a lookup names the algorithm too. */
export class KeySet {
  readonly #keys = new Map<string, KeyObject>();

  find(algorithm: SignatureAlgorithm, keyId: string): KeyObject | undefined {
    return this.#keys.get(`${algorithm} ${keyId}`);
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Throws Error that says what is wrong with the set. */
  static async read(value: unknown): Promise<KeySet> {
    const set = new KeySet();
    const list = isObject(value) ? value.keys : undefined;
    if (!Array.isArray(list)) throw new Error('a key set is an object with a list "keys"');
    if (list.length > limits.keysPerBrandMax) {
      throw new Error(`a key set has at most ${limits.keysPerBrandMax} keys`);
    }
    for (const item of list) await set.#add(item);
    if (set.size === 0) throw new Error("the key set holds no public Ed25519 or P-256 key with a key id");
    return set;
  }

  /** Throws Error like `read`. */
  static parse(text: string): Promise<KeySet> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's own message quotes the text, which may be a key.
      throw new Error("the key set is not JSON");
    }
    return KeySet.read(value);
  }

  async #add(item: unknown): Promise<void> {
    if (!isObject(item)) throw new Error("a key is an object");
    const algorithm = algorithmOf(item);
    const keyId = item.kid;
    if (algorithm === undefined || typeof keyId !== "string" || keyId === "" || !mayVerify(item, algorithm))
      return;
    const name = `${algorithm} ${keyId}`;
    if (this.#keys.has(name)) throw new Error(`two keys have the id "${keyId}"`);
    let key: CryptoKey | Uint8Array;
    try {
      key = await importJWK(publicHalf(item), algorithm);
    } catch {
      throw new Error(`the key "${keyId}" is not a valid ${algorithm} key`);
    }
    if (key instanceof Uint8Array) throw new Error(`the key "${keyId}" is symmetric`);
    this.#keys.set(name, KeyObject.from(key));
  }
}

function algorithmOf(key: Readonly<Record<string, unknown>>): SignatureAlgorithm | undefined {
  if (key.kty === "OKP" && key.crv === "Ed25519") return "EdDSA";
  if (key.kty === "EC" && key.crv === "P-256") return "ES256";
  return undefined;
}

function mayVerify(key: Readonly<Record<string, unknown>>, algorithm: SignatureAlgorithm): boolean {
  const { alg, use, key_ops: operations } = key;
  const names = algorithm === "EdDSA" ? ["EdDSA", "Ed25519"] : [algorithm];
  if (alg !== undefined && !names.some((name) => name === alg)) return false;
  if (use !== undefined && use !== "sig") return false;
  if (operations === undefined) return true;
  return Array.isArray(operations) && (operations.includes("verify") || operations.includes("sign"));
}

function publicHalf(key: Readonly<Record<string, unknown>>): JWK {
  const half: Record<string, unknown> = { kty: key.kty, crv: key.crv, x: key.x };
  if (key.kty === "EC") half.y = key.y;
  return half as JWK;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

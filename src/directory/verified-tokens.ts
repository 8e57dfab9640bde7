/**
 * Which tokens were found to be signed by which key, so that a device that comes back with the token it had costs no second
 * verification: many come back at once when a network or a node was away for a moment.
 *
 * Invariants. Only that answer is kept, never what a token says: its key is looked up and its claims are judged every time, so
 * that a key withdrawn, a claim run out or a device removed counts at once. Tokens are kept as digests (SHA-256), from
 * which nobody can sign in. The one not seen for longest is forgotten first.
 */
import { hash, type KeyObject } from "node:crypto";

export class VerifiedTokens {
  readonly #max: number;
  readonly #keys = new Map<string, KeyObject>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Whether this very token was verified with this very key, else what `verify` says of it, which is kept if it is true. */
  isSigned(token: string, key: KeyObject, verify: () => boolean): boolean {
    const digest = hash("sha256", token, "base64");
    const known = this.#keys.get(digest);
    // A source that was read again gives the same key as another object.
    const isKnown = known !== undefined && (known === key || known.equals(key));
    if (!isKnown && !verify()) return false;
    this.#keys.delete(digest);
    this.#keys.set(digest, key);
    if (this.#keys.size > this.#max) this.#keys.delete(this.#keys.keys().next().value as string);
    return true;
  }
}

/**
 * The negative control of the token table: sign-in written a second time, in
 * the plainest way and sharing no code with the engine, with at most one
 * weakness that real systems have had. The table must find every one of them.
 */
import { createHmac, createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import type { BrandSettings } from "../../src/directory/sign-in.js";
import { NOW_S } from "./token-cases.js";

export type Weakness =
  | "finds keys by id alone"
  | "believes the key in the token"
  | "lets the token choose the algorithm"
  | "wants no expiry"
  | "asks for no audience"
  | "asks for no type"
  | "takes critical extensions"
  | "reads base64 leniently"
  | "takes any device number";

type Fields = Record<string, unknown>;
type Jwk = JsonWebKey & { kid?: string; use?: string };

export class BrokenSignIn {
  readonly #brands: readonly BrandSettings[];
  readonly #weakness: Weakness | undefined;

  constructor(brands: readonly BrandSettings[], weakness?: Weakness) {
    this.#brands = brands;
    this.#weakness = weakness;
  }

  accepts(token: string): boolean {
    try {
      return this.#accepts(token);
    } catch {
      return false;
    }
  }

  #accepts(token: string): boolean {
    const has = (weakness: Weakness) => this.#weakness === weakness;
    const parts = token.split(".");
    if (token.length > 4096 || parts.length !== 3) return false;
    if (!has("reads base64 leniently") && parts.some((part) => encoded(part) !== part)) return false;
    const [header, claims] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    const brand = this.#brands.find(({ issuer }) => issuer === claims.iss);
    if (brand === undefined) return false;
    if (!has("takes critical extensions") && ("crit" in header || "b64" in header)) return false;
    if (!has("asks for no type") && header.typ !== brand.tokenType) return false;
    if (!this.#isSigned(parts as [string, string, string], header, brand)) return false;
    if (!has("asks for no audience") && ![claims.aud].flat().some((aud) => aud === brand.audience))
      return false;
    if (
      claims.exp === undefined
        ? !has("wants no expiry")
        : !(typeof claims.exp === "number" && claims.exp > NOW_S - 5)
    ) {
      return false;
    }
    if (!Number.isFinite(claims.exp ?? 0)) return false;
    if (claims.nbf !== undefined && !(typeof claims.nbf === "number" && claims.nbf <= NOW_S + 5))
      return false;
    if (claims.iat !== undefined && !(typeof claims.iat === "number" && claims.iat <= NOW_S + 5))
      return false;
    const isDevice = Number.isInteger(claims.device) && claims.device >= 1 && claims.device <= 65_535;
    if (!has("takes any device number") && !isDevice) return false;
    const subject = /^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
    return typeof claims.sub === "string" && claims.sub.length <= 36 && subject.test(claims.sub);
  }

  #isSigned(
    [head, body, signature]: [string, string, string],
    header: Fields,
    brand: BrandSettings,
  ): boolean {
    const algorithm = header.alg;
    const bytes = Buffer.from(signature, "base64url");
    const input = `${head}.${body}`;
    const sets = this.#weakness === "finds keys by id alone" ? this.#brands : [brand];
    const candidates: Jwk[] = sets.flatMap(({ keys }) =>
      "jwks" in keys ? (keys.jwks as { keys: Jwk[] }).keys : [],
    );
    if (this.#weakness === "believes the key in the token" && header.jwk !== undefined) {
      return isGood(createPublicKey({ key: header.jwk as Jwk, format: "jwk" }), "EdDSA", input, bytes);
    }
    const matching = candidates.filter(({ kid, use }) => kid === header.kid && use !== "enc");
    if (this.#weakness === "lets the token choose the algorithm" && algorithm === "HS256") {
      return matching.some((key) => hmacs(key, input).some((mac) => mac.equals(bytes)));
    }
    if (!brand.algorithms.some((allowed) => allowed === algorithm)) return false;
    return matching
      .filter(({ kty }) => kty === (algorithm === "EdDSA" ? "OKP" : "EC"))
      .some((key) => isGood(createPublicKey({ key, format: "jwk" }), algorithm as string, input, bytes));
  }
}

function isGood(key: KeyObject, algorithm: string, input: string, signature: Buffer): boolean {
  if (algorithm === "EdDSA") return verify(null, Buffer.from(input), key, signature);
  return verify("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }, signature);
}

/** With each secret that a confused verifier has used: the raw public key, its PEM, a symmetric key of the set. */
function hmacs(key: Jwk, input: string): Buffer[] {
  const secrets =
    key.kty === "oct"
      ? [Buffer.from(key.k as string, "base64url")]
      : [
          Buffer.from(key.x ?? "", "base64url"),
          createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" }) as string,
        ];
  return secrets.map((secret) => createHmac("sha256", secret).update(input).digest());
}

function encoded(part: string): string {
  return Buffer.from(part, "base64url").toString("base64url") || "(empty)";
}

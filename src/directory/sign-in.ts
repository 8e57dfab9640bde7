/**
 * Sign-in: from a token to the device it speaks for. The order is in `#check`,
 * the rules are in rules/sign-in.ts, the keys in issuer-keys.ts.
 *
 *   text ─▶ three canonical parts ─▶ iss selects the brand ─▶ header rules
 *        ─▶ key by (brand, alg, kid) ─▶ signature ─▶ claim rules ─▶ device address
 *
 * Invariants. Brand, account and device come from verified claims alone. Keys
 * are looked up in the brand's own set: the same key id of another brand does
 * not exist here. A key in a token is never used. A failure says nothing about
 * the token beyond its code; the fault itself is only counted.
 */
import { type KeyObject, verify } from "node:crypto";
import { type DeviceAddress, deviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { type Clock, systemClock } from "../base/clock.js";
import { limits } from "../rules/limits.js";
import {
  accountIdOf,
  type BrandRules,
  claimFault,
  headerFault,
  type SignatureAlgorithm,
  type TokenFault,
  tokenFaults,
} from "../rules/sign-in.js";
import { CodedError } from "../wire/coded-error.js";
import { IssuerKeys, type KeySource } from "./issuer-keys.js";

export interface BrandSettings extends BrandRules {
  readonly keys: KeySource;
}

export interface SignedIn {
  readonly device: DeviceAddress;
  readonly brand: BrandRules;
}

type Fields = Readonly<Record<string, unknown>>;

/** Of EdDSA with Ed25519, and of ES256. */
const SIGNATURE_BYTES = 64;

export class SignIn {
  readonly #brands = new Map<string, { readonly rules: BrandRules; readonly keys: IssuerKeys }>();
  readonly #clock: Clock;
  readonly #faults = new Map<TokenFault, number>();

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws CodedError `badConfiguration` when a brand's inline keys or key file cannot be used. */
  static async open(brands: readonly BrandSettings[], clock: Clock = systemClock): Promise<SignIn> {
    const signIn = new SignIn(clock);
    for (const { keys: source, ...rules } of brands) {
      assert(!signIn.#brands.has(rules.issuer), "an issuer belongs to one brand");
      const keys = new IssuerKeys(source, clock);
      signIn.#brands.set(rules.issuer, { rules, keys });
      try {
        // A URL may be slow or down: the first sign-in waits for it, the start does not.
        const loading = keys.load();
        if (!("url" in source)) await loading;
      } catch (cause) {
        const detail = `brand ${rules.name}: ${cause instanceof Error ? cause.message : String(cause)}`;
        throw new CodedError("badConfiguration", { detail, cause, fatal: true });
      }
    }
    return signIn;
  }

  /** Throws CodedError `tokenInvalid`, `tokenExpired` or `signInUnavailable`. */
  async signIn(token: string): Promise<SignedIn> {
    const outcome = await this.#check(token);
    if (typeof outcome !== "string") return outcome;
    this.#faults.set(outcome, (this.#faults.get(outcome) ?? 0) + 1);
    throw new CodedError(tokenFaults[outcome]);
  }

  /** How many tokens failed, by fault. */
  faults(): ReadonlyMap<TokenFault, number> {
    return this.#faults;
  }

  /** How often brands' key sources were read, in all. */
  keyReadings(): number {
    let readings = 0;
    for (const { keys } of this.#brands.values()) readings += keys.readings;
    return readings;
  }

  async #check(token: string): Promise<SignedIn | TokenFault> {
    if (token.length > limits.tokenBytesMax) return "tooLong";
    const parts = token.split(".", 4);
    if (parts.length !== 3) return "malformed";
    const [headerBytes, claimsBytes, signature] = parts.map(decodePart);
    const header = headerBytes && readObject(headerBytes);
    const claims = claimsBytes && readObject(claimsBytes);
    if (!header || !claims || !signature) return "malformed";
    const brand = this.#brands.get(claims.iss as string);
    if (brand === undefined) return "issuerUnknown";
    const fault = headerFault(header, brand.rules);
    if (fault !== undefined) return fault;
    const algorithm = header.alg as SignatureAlgorithm;
    const key = await brand.keys.find(algorithm, header.kid as string);
    if (key === undefined) return "keyUnknown";
    const signed = token.slice(0, token.lastIndexOf("."));
    if (!isSignedBy(key, algorithm, { signed, signature })) return "signature";
    return claimFault(claims, brand.rules, this.#clock.wallMs()) ?? signedIn(claims, brand.rules);
  }
}

function signedIn(claims: Fields, brand: BrandRules): SignedIn {
  const account = accountIdOf(claims.sub as string);
  assert(account !== undefined, "the claim rules were applied");
  const device = claims.device as number;
  return { device: deviceAddress({ brand: brand.number, account, device }), brand };
}

/**
 * Whether the signature (RFC 7515 §5.2) is the key's. On the loop, not on a thread: see limits.signInsPerTurn.
 * What a signature cannot even be, by its length, is never given to OpenSSL.
 */
function isSignedBy(
  key: KeyObject,
  algorithm: SignatureAlgorithm,
  { signed, signature }: { readonly signed: string; readonly signature: Uint8Array },
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const bytes = Buffer.from(signed, "latin1");
  if (algorithm === "EdDSA") return verify(null, bytes, key, signature);
  return verify("sha256", bytes, { key, dsaEncoding: "ieee-p1363" }, signature);
}

/** The bytes of one part of a token. Base64url has spare bits at the end of some texts: only the text that encoding gives is taken. */
function decodePart(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, "base64url");
  return bytes.length > 0 && bytes.toString("base64url") === part ? bytes : undefined;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The JSON object in a part; undefined when it holds anything else. */
function readObject(bytes: Uint8Array): Fields | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Fields)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Sign-in: from a token to the device it speaks for, to the brand whose back end it is from, or to the brand that lets somebody in who is not named. The order is in `#check`,
 * the rules are in rules/sign-in.ts, the keys in issuer-keys.ts.
 *
 *   text ─▶ three canonical parts ─▶ iss selects the brand ─▶ header rules
 *        ─▶ key by (brand, alg, kid) ─▶ signature (verified-tokens.ts) ─▶ claim rules ─▶ device address
 *
 * Invariants. Brand, account and device come from verified claims alone. Keys
 * are looked up in the brand's own set: the same key id of another brand does
 * not exist here. A key in a token is never used. A failure says nothing about
 * the token beyond its code; the fault itself is only counted.
 */
import { type KeyObject, verify } from "node:crypto";
import { deviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { type Clock, systemClock } from "../base/clock.js";
import { limits } from "../rules/limits.js";
import {
  ANONYMOUS_TOKEN_TYPE,
  accountIdOf,
  anonymousClaimFault,
  type BrandRules,
  claimFault,
  headerFault,
  SERVICE_TOKEN_TYPE,
  type SignatureAlgorithm,
  type SignedIn,
  type SignedInService,
  scopesOf,
  serviceClaimFault,
  type TokenFault,
  tokenFaults,
} from "../rules/sign-in.js";
import { CodedError } from "../wire/coded-error.js";
import { IssuerKeys, type KeySource } from "./issuer-keys.js";
import { VerifiedTokens } from "./verified-tokens.js";

export interface BrandSettings extends BrandRules {
  readonly keys: KeySource;
}

/** What a token says, verified. */
interface Verified {
  readonly claims: Fields;
  readonly rules: BrandRules;
  readonly kind: Kind;
}

type Kind = "device" | "service" | "anonymous";

type Fields = Readonly<Record<string, unknown>>;

/** Of EdDSA with Ed25519, and of ES256. */
const SIGNATURE_BYTES = 64;

export class SignIn {
  readonly #brands = new Map<string, { readonly rules: BrandRules; readonly keys: IssuerKeys }>();
  readonly #clock: Clock;
  readonly #faults = new Map<TokenFault, number>();
  /** By brand: the newest time at which an accepted token was issued. */
  readonly #newestMs = new Map<number, number>();
  readonly #verified = new VerifiedTokens(limits.verifiedTokensMax);
  #signaturesVerified = 0;

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws CodedError `badConfiguration` when a brand's inline keys or key file cannot be used. */
  static async open(brands: readonly BrandSettings[], clock: Clock = systemClock): Promise<SignIn> {
    const signIn = new SignIn(clock);
    for (const { keys: source, ...rules } of brands) {
      assert(!signIn.#brands.has(rules.issuer), "an issuer belongs to one brand");
      const types = (["device", "service", "anonymous"] as const).map((kind) => typeOf(rules, kind));
      assert(new Set(types).size === types.length, "tokens of one kind are not taken for those of another");
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
    const { claims, rules, kind } = await this.#judged(token, ["device", "anonymous"]);
    if (kind === "anonymous") return { brand: rules.number };
    const account = accountIdOf(claims.sub as string);
    assert(account !== undefined, "the claim rules were applied");
    return {
      device: deviceAddress({ brand: rules.number, account, device: claims.device as number }),
      issuedMs: ((claims.iat as number | undefined) ?? 0) * 1000,
      mayRegister: rules.deviceRegistration !== "byBrand",
    };
  }

  /** A token of a brand's own back end. Throws like signIn. */
  async signInService(token: string): Promise<SignedInService> {
    const { claims, rules } = await this.#judged(token, ["service"]);
    return { brand: rules.number, scopes: scopesOf(claims) };
  }

  /**
   * The moment of a removal: tokens of the brand issued up to then are refused for what is removed. Not before any token
   * that was accepted here, so that a clock of this machine that was set back lets no old token in again.
   */
  removalMs(brand: number): number {
    return Math.max(this.#clock.wallMs(), this.#newestMs.get(brand) ?? 0);
  }

  async #judged(token: string, kinds: readonly Kind[]): Promise<Verified> {
    const outcome = await this.#check(token, kinds);
    if (typeof outcome !== "string") {
      const { claims, rules, kind } = outcome;
      // Of an anonymous token nothing is kept, not even when it was issued.
      if (kind === "anonymous") return outcome;
      const issuedMs = ((claims.iat as number | undefined) ?? 0) * 1000;
      this.#newestMs.set(rules.number, Math.max(this.#newestMs.get(rules.number) ?? 0, issuedMs));
      return outcome;
    }
    this.#faults.set(outcome, (this.#faults.get(outcome) ?? 0) + 1);
    throw new CodedError(tokenFaults[outcome]);
  }

  /** How many tokens failed, by fault. */
  faults(): ReadonlyMap<TokenFault, number> {
    return this.#faults;
  }

  /** How many signatures were verified in all: not those of tokens that came again. */
  signaturesVerified(): number {
    return this.#signaturesVerified;
  }

  /** How often brands' key sources were read, in all. */
  keyReadings(): number {
    let readings = 0;
    for (const { keys } of this.#brands.values()) readings += keys.readings;
    return readings;
  }

  async #check(token: string, kinds: readonly Kind[]): Promise<Verified | TokenFault> {
    if (token.length > limits.tokenBytesMax) return "tooLong";
    const parts = token.split(".", 4);
    if (parts.length !== 3) return "malformed";
    const [headerBytes, claimsBytes, signature] = parts.map(decodePart);
    const header = headerBytes && readObject(headerBytes);
    const claims = claimsBytes && readObject(claimsBytes);
    if (!header || !claims || !signature) return "malformed";
    const brand = this.#brands.get(claims.iss as string);
    if (brand === undefined) return "issuerUnknown";
    const { rules } = brand;
    // Its type can only choose by which rules it is judged.
    const kind = kinds.find((one) => typeOf(rules, one) === header.typ) ?? (kinds[0] as Kind);
    const fault = headerFault(header, rules, typeOf(rules, kind));
    if (fault !== undefined) return fault;
    const algorithm = header.alg as SignatureAlgorithm;
    const key = await brand.keys.find(algorithm, header.kid as string);
    if (key === undefined) return "keyUnknown";
    const signed = token.slice(0, token.lastIndexOf("."));
    const isSigned = (): boolean => {
      this.#signaturesVerified++;
      return isSignedBy(key, algorithm, { signed, signature });
    };
    if (!(kind === "anonymous" ? isSigned() : this.#verified.isSigned(token, key, isSigned)))
      return "signature";
    return judges[kind](claims, rules, this.#clock.wallMs()) ?? { claims, rules, kind };
  }
}

const judges = { device: claimFault, service: serviceClaimFault, anonymous: anonymousClaimFault };

function typeOf(rules: BrandRules, kind: Kind): string {
  if (kind === "device") return rules.tokenType;
  return kind === "service"
    ? (rules.serviceTokenType ?? SERVICE_TOKEN_TYPE)
    : (rules.anonymousTokenType ?? ANONYMOUS_TOKEN_TYPE);
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

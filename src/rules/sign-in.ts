/**
 * Which tokens sign a device in. Pure: the whole order of the rules is on this
 * page, and `tokenFaults` is every way in which a token can fail.
 *
 * A token is a JWT in JWS compact form. Nothing in it is believed before its
 * signature has been checked with a key of the brand it claims, with two
 * exceptions that can only choose what to check it with: `iss` selects the
 * brand's settings, and `kid` with `alg` selects one of that brand's keys.
 *
 *   header  alg   one of the brand's algorithms        claims  iss     the brand's issuer
 *           typ   the brand's token type                       aud     the brand's audience, or a list with it
 *           kid   one of the brand's keys                      exp     required; in the future
 *           crit, b64  must be absent                          nbf     if present, in the past
 *           jwk, jku, x5u, x5c, …  never looked at             iat     if present, in the past
 *                                                              sub     account id: 32 hex digits, or a UUID
 *                                                              device  1 to 65535
 *
 * Every part must be canonical base64url, so that no two texts are one token.
 * (ECDSA itself lets anyone turn one valid signature into a second; nothing
 * here tells tokens apart by their bytes, so that gains nothing.)
 */
import type { DeviceAddress } from "../base/address.js";
import { fromHex } from "../base/bytes.js";
import type { CodeName } from "../wire/codes.js";
import { limits } from "./limits.js";

/** What a brand's configuration says about its tokens. */
export interface BrandRules {
  /** 1 to 65535: the brand in every address. */
  readonly number: number;
  readonly name: string;
  readonly issuer: string;
  readonly audience: string;
  readonly tokenType: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  /** What the tokens of the brand's own back end say instead; never the same as those of devices. */
  readonly serviceAudience?: string;
  readonly serviceTokenType?: string;
  /** What the tokens of connections that speak for nobody say; a type of their own again. */
  readonly anonymousAudience?: string;
  readonly anonymousTokenType?: string;
  /** Who adds a device to its account: the device itself when it first signs in, or somebody else before. */
  readonly deviceRegistration?: DeviceRegistration;
}

export const deviceRegistrations = ["atSignIn", "byBrand"] as const;
export type DeviceRegistration = (typeof deviceRegistrations)[number];

export const SERVICE_AUDIENCE = "interline-admin";
export const SERVICE_TOKEN_TYPE = "interline-service+jwt";
/** What the scope of a back end's token must list for the admin API. */
export const ADMIN_SCOPE = "accounts";

export const ANONYMOUS_AUDIENCE = "interline-sealed";
export const ANONYMOUS_TOKEN_TYPE = "interline-anonymous+jwt";
export const ANONYMOUS_SCOPE = "sealed";

/** Whom a token speaks for. */
export interface SignedInDevice {
  readonly device: DeviceAddress;
  /** When the token was issued, 0 when it does not say: what was removed since is not let in by it. Absent: now. */
  readonly issuedMs?: number;
  /** False when a device must be registered before it signs in. */
  readonly mayRegister?: boolean;
}

/** Nobody in particular: a connection that may send sealed envelopes. */
export interface SignedInUnidentified {
  /** The number of the brand that vouches for it. */
  readonly brand: number;
}

export type SignedIn = SignedInDevice | SignedInUnidentified;

export interface SignedInService {
  /** The brand's number. */
  readonly brand: number;
  /** What the token's `scope` lists. */
  readonly scopes: readonly string[];
}

export const signatureAlgorithms = ["EdDSA", "ES256"] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** Every fault of a token, with what the device is told. Only a token with a good signature is told that it has expired. */
export const tokenFaults = {
  tooLong: "tokenInvalid",
  malformed: "tokenInvalid",
  issuerUnknown: "tokenInvalid",
  critical: "tokenInvalid",
  algorithm: "tokenInvalid",
  type: "tokenInvalid",
  keyId: "tokenInvalid",
  keyUnknown: "tokenInvalid",
  signature: "tokenInvalid",
  issuer: "tokenInvalid",
  audience: "tokenInvalid",
  expiry: "tokenInvalid",
  expired: "tokenExpired",
  notBefore: "tokenInvalid",
  issuedAt: "tokenInvalid",
  subject: "tokenInvalid",
  device: "tokenInvalid",
  scope: "tokenInvalid",
  identifying: "tokenInvalid",
} as const satisfies Record<string, CodeName>;
export type TokenFault = keyof typeof tokenFaults;

type Fields = Readonly<Record<string, unknown>>;

/** The protected header, before any key is looked up. One line per rule, in order of precedence. */
export function headerFault(header: Fields, rules: BrandRules, type: string): TokenFault | undefined {
  if (header.crit !== undefined || header.b64 !== undefined) return "critical";
  if (!rules.algorithms.some((algorithm) => algorithm === header.alg)) return "algorithm";
  if (header.typ !== type) return "type";
  if (!isText(header.kid) || header.kid.length > limits.keyIdCharsMax) return "keyId";
  return undefined;
}

/** A device's claims, after the signature was found good. One line per rule, in order of precedence. */
export function claimFault(claims: Fields, rules: BrandRules, nowMs: number): TokenFault | undefined {
  const fault = commonFault(claims, rules, { audience: rules.audience, nowMs });
  if (fault !== undefined) return fault;
  if (!isText(claims.sub) || accountIdOf(claims.sub) === undefined) return "subject";
  if (!isDeviceNumber(claims.device)) return "device";
  return undefined;
}

/** The claims of the brand's back end: nobody in particular, and no device. */
export function serviceClaimFault(claims: Fields, rules: BrandRules, nowMs: number): TokenFault | undefined {
  const fault = commonFault(claims, rules, { audience: rules.serviceAudience ?? SERVICE_AUDIENCE, nowMs });
  if (fault !== undefined) return fault;
  if (claims.device !== undefined) return "device";
  return undefined;
}

/** All that an anonymous token may say: nothing in which somebody could be named, also by mistake. */
const anonymousClaims = new Set(["iss", "aud", "exp", "nbf", "iat", "scope"]);

/** The claims of a connection that speaks for nobody. */
export function anonymousClaimFault(
  claims: Fields,
  rules: BrandRules,
  nowMs: number,
): TokenFault | undefined {
  const audience = rules.anonymousAudience ?? ANONYMOUS_AUDIENCE;
  const fault = commonFault(claims, rules, { audience, nowMs });
  if (fault !== undefined) return fault;
  if (!scopesOf(claims).includes(ANONYMOUS_SCOPE)) return "scope";
  if (!Object.keys(claims).every((name) => anonymousClaims.has(name))) return "identifying";
  return undefined;
}

function commonFault(
  claims: Fields,
  rules: BrandRules,
  { audience, nowMs }: { readonly audience: string; readonly nowMs: number },
): TokenFault | undefined {
  const { exp, nbf, iat } = claims;
  if (claims.iss !== rules.issuer) return "issuer";
  if (!namesAudience(claims.aud, audience)) return "audience";
  if (!isTime(exp)) return "expiry";
  if (exp * 1000 <= nowMs - limits.clockToleranceMs) return "expired";
  if (nbf !== undefined && (!isTime(nbf) || nbf * 1000 > nowMs + limits.clockToleranceMs)) return "notBefore";
  if (iat !== undefined && (!isTime(iat) || iat * 1000 > nowMs + limits.clockToleranceMs)) return "issuedAt";
  return undefined;
}

/** What a `scope` claim lists (RFC 9068): words with spaces between them. */
export function scopesOf(claims: Fields): readonly string[] {
  return typeof claims.scope === "string" ? claims.scope.split(" ").filter((word) => word !== "") : [];
}

/** Whether a token was issued too early for an account or a device that was removed since: it never signs in again. */
export function isTokenRevoked(issuedMs: number, refusedThroughMs: number | undefined): boolean {
  return refusedThroughMs !== undefined && issuedMs <= refusedThroughMs + limits.clockToleranceMs;
}

/** The 16 bytes of a `sub` claim; undefined when it is neither 32 hex digits nor a UUID. */
export function accountIdOf(subject: string): Uint8Array | undefined {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
  const digits = uuid.test(subject) ? subject.replaceAll("-", "") : subject;
  return digits.length === 32 ? fromHex(digits) : undefined;
}

/** Why keys may not be fetched from there; undefined when they may. */
export function keyUrlFault(text: string): string | undefined {
  if (!URL.canParse(text)) return "is no URL";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return "may not hold a user name or password";
  if (url.protocol === "https:") return undefined;
  const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && loopback) return undefined;
  return "must be https (http only to this machine itself)";
}

function namesAudience(claim: unknown, audience: string): boolean {
  return claim === audience || (Array.isArray(claim) && claim.includes(audience));
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0;
}

/** Seconds since 1970, as JWT has it: any finite number. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isDeviceNumber(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= limits.deviceNumberMax;
}

/** A brand's issuer for tests: keys of every kind, and tokens as good or as bad as asked for. */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign as signBytes,
} from "node:crypto";

export interface TestKey {
  readonly kid: string;
  readonly alg: "EdDSA" | "ES256" | "RS256";
  readonly privateKey: KeyObject;
  readonly publicJwk: JsonWebKey & { kid: string };
}

export function makeKey(kid: string, alg: TestKey["alg"] = "EdDSA"): TestKey {
  const privateKey =
    alg === "EdDSA"
      ? generateKeyPairSync("ed25519").privateKey
      : alg === "ES256"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
        : generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const publicJwk = { ...createPublicKey(privateKey).export({ format: "jwk" }), kid };
  return {
    kid,
    alg,
    privateKey: createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" })),
    publicJwk,
  };
}

export type Fields = Record<string, unknown>;

export interface TokenParts {
  readonly header: Fields;
  readonly claims: Fields;
  readonly key: TestKey;
}

export function sign({ header, claims, key }: TokenParts): string {
  return signText(`${encode(header)}.${encode(claims)}`, key);
}

/** Signs any signing input. */
export function signText(input: string, key: TestKey): string {
  const digest = key.alg === "EdDSA" ? null : "sha256";
  const signature = signBytes(digest, Buffer.from(input), {
    key: key.privateKey,
    ...(key.alg === "ES256" ? { dsaEncoding: "ieee-p1363" as const } : {}),
  });
  return `${input}.${signature.toString("base64url")}`;
}

export function hmac(header: Fields, claims: Fields, secret: Buffer | string): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

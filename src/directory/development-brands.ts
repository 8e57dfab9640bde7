/**
 * The brands of a node that nobody has configured: whatsapp, instagram and
 * messenger, each with an Ed25519 key made at the first start. Whoever can read
 * the file can sign in as anybody, so it is for development and nothing else.
 *
 *   <data directory>/development-brands.json, mode 0600
 *     { "format": 1, "brands": [ { "number", "name", "issuer", "keyId", "privateKey": JWK }, … ] }
 *
 * Invariants. The file is written whole or not at all, and never again: two
 * processes that start at once end up with the same keys. Nothing but this file
 * can mint a token; the node itself is given the public halves only.
 */
import { createHash, generateKeyPairSync, type JsonWebKey, randomBytes } from "node:crypto";
import { linkSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, type JWTPayload, SignJWT } from "jose";
import { ACCOUNT_ID_BYTES } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import {
  ADMIN_SCOPE,
  ANONYMOUS_AUDIENCE,
  ANONYMOUS_SCOPE,
  ANONYMOUS_TOKEN_TYPE,
  accountIdOf,
  SERVICE_AUDIENCE,
  SERVICE_TOKEN_TYPE,
} from "../rules/sign-in.js";
import { makeDataDirectory } from "../store/data-directory.js";
import { CodedError } from "../wire/coded-error.js";
import type { BrandSettings } from "./sign-in.js";

const FILE_NAME = "development-brands.json";
const FORMAT = 1;
const AUDIENCE = "interline";
const TOKEN_TYPE = "interline+jwt";
const HOUR_MS = 3_600_000;
const NAMES = ["whatsapp", "instagram", "messenger"];

interface DevelopmentBrand {
  readonly number: number;
  readonly name: string;
  readonly issuer: string;
  readonly keyId: string;
  readonly privateKey: JsonWebKey;
}

export interface TokenRequest {
  readonly brand: string;
  readonly ttlMs: number;
}

export class DevelopmentBrands {
  readonly #brands: readonly DevelopmentBrand[];

  private constructor(brands: readonly DevelopmentBrand[]) {
    this.#brands = brands;
  }

  /** Reads the directory's development brands, making them first if there are none. */
  static open(dataDirectory: string): DevelopmentBrands {
    const path = join(dataDirectory, FILE_NAME);
    const found = read(path);
    if (found !== undefined) return new DevelopmentBrands(found);
    makeDataDirectory(dataDirectory);
    write(path, NAMES.map(make));
    return new DevelopmentBrands(read(path) ?? []);
  }

  /** The directory's development brands, if some were made there. */
  static find(dataDirectory: string): DevelopmentBrands | undefined {
    const found = read(join(dataDirectory, FILE_NAME));
    return found === undefined ? undefined : new DevelopmentBrands(found);
  }

  /** As a configuration would list them, with the public keys. */
  settings(): BrandSettings[] {
    return this.#brands.map(({ number, name, issuer, keyId, privateKey }) => ({
      number,
      name,
      issuer,
      audience: AUDIENCE,
      tokenType: TOKEN_TYPE,
      algorithms: ["EdDSA"],
      keys: { jwks: { keys: [{ kty: "OKP", crv: "Ed25519", x: privateKey.x, kid: keyId, use: "sig" }] } },
    }));
  }

  /** A token for one device, valid from now on; throws CodedError `badConfiguration` for an unknown brand. */
  mint({
    account,
    device,
    ...request
  }: TokenRequest & {
    /** As `accountIdFor` takes it. */
    readonly account: string;
    readonly device: number;
  }): Promise<string> {
    const claims = { aud: AUDIENCE, sub: toHex(accountIdFor(account)), device };
    return this.#sign(request, TOKEN_TYPE, claims);
  }

  /** The same for the brand's own back end, with all that the admin API asks for. */
  mintService(request: TokenRequest): Promise<string> {
    return this.#sign(request, SERVICE_TOKEN_TYPE, { aud: SERVICE_AUDIENCE, scope: ADMIN_SCOPE });
  }

  /**
   * A token for connections that speak for nobody. All that are made within an hour say the same, so that none of them
   * points to whom it was given.
   */
  mintAnonymous({ brand, ttlMs }: TokenRequest): Promise<string> {
    const hourS = Math.floor(Date.now() / HOUR_MS) * (HOUR_MS / 1000);
    const claims = { aud: ANONYMOUS_AUDIENCE, scope: ANONYMOUS_SCOPE };
    return this.#sign({ brand, ttlMs: HOUR_MS + ttlMs }, ANONYMOUS_TOKEN_TYPE, claims, hourS);
  }

  async #sign(
    { brand, ttlMs }: TokenRequest,
    typ: string,
    claims: JWTPayload,
    nowS = Math.floor(Date.now() / 1000),
  ): Promise<string> {
    const found = this.#brands.find(({ name }) => name === brand);
    if (found === undefined) {
      const names = this.#brands.map(({ name }) => name).join(", ");
      throw new CodedError("badConfiguration", { detail: `no brand "${brand}" here: there are ${names}` });
    }
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", kid: found.keyId, typ })
      .setIssuer(found.issuer)
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + Math.ceil(ttlMs / 1000))
      .sign(await importJWK(found.privateKey, "EdDSA"));
  }
}

/** 32 hex digits or a UUID are the id itself; any other name stands for an id made of it. */
export function accountIdFor(name: string): Uint8Array {
  const id = accountIdOf(name);
  if (id !== undefined) return id;
  const digest = createHash("sha256").update(`interline account name\0${name}`).digest();
  return new Uint8Array(digest.subarray(0, ACCOUNT_ID_BYTES));
}

function make(name: string, index: number): DevelopmentBrand {
  const { privateKey } = generateKeyPairSync("ed25519");
  return {
    number: index + 1,
    name,
    issuer: `urn:interline:development:${name}`,
    keyId: `development-${randomBytes(4).toString("hex")}`,
    privateKey: privateKey.export({ format: "jwk" }),
  };
}

function read(path: string): DevelopmentBrand[] | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const detail = `${path} cannot be read: ${(error as Error).message}`;
    throw new CodedError("badConfiguration", { detail, cause: error, fatal: true });
  }
  try {
    const { format, brands } = JSON.parse(text);
    if (format === FORMAT && Array.isArray(brands) && brands.every(isDevelopmentBrand)) return brands;
  } catch {
    // The parser's message would quote the keys; the one below does not.
  }
  throw new CodedError("badConfiguration", {
    detail: `${path} is not of format ${FORMAT}; move it away to have new keys made`,
    fatal: true,
  });
}

function isDevelopmentBrand(value: unknown): value is DevelopmentBrand {
  const { number, name, issuer, keyId, privateKey } = (value ?? {}) as Record<string, unknown>;
  const texts = [name, issuer, keyId, (privateKey as JsonWebKey | undefined)?.x];
  return Number.isInteger(number) && texts.every((text) => typeof text === "string");
}

/** Under another name first, then linked: a link fails where another process was quicker, and never half-exists. */
function write(path: string, brands: readonly DevelopmentBrand[]): void {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  writeFileSync(draft, `${JSON.stringify({ format: FORMAT, brands }, undefined, 2)}\n`, {
    mode: 0o600,
    flag: "wx",
  });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(draft);
  }
}

/**
 * Brands, accounts and devices for fault tests, with issuers of their own. The
 * brands differ in nothing but name, number and key bytes: key ids, account ids
 * and device numbers are the same in all of them.
 */
import { randomBytes } from "node:crypto";
import { makeKey, sign, type TestKey } from "../directory/issuer.js";

export interface WorldBrand {
  readonly number: number;
  readonly name: string;
  readonly issuer: string;
  readonly key: TestKey;
}

export interface WorldAccount {
  readonly brand: WorldBrand;
  /** 18 bytes. */
  readonly address: Buffer;
  readonly devices: WorldDevice[];
}

export interface WorldDevice {
  readonly account: WorldAccount;
  readonly number: number;
  /** 20 bytes in hex. */
  readonly address: string;
}

export interface WorldShape {
  readonly brands: number;
  readonly accountsPerBrand: number;
  /** Of the i-th account of each brand. */
  readonly devices: (account: number) => number;
}

const KEY_ID = "key-1";
const TOKEN_TTL_S = 7200;

export class World {
  readonly brands: readonly WorldBrand[];
  readonly accounts: readonly WorldAccount[];
  readonly devices: readonly WorldDevice[];
  readonly #tokens = new Map<string, string>();

  constructor({ brands, accountsPerBrand, devices }: WorldShape) {
    const ids = Array.from({ length: accountsPerBrand }, () => randomBytes(16));
    this.brands = Array.from({ length: brands }, (_, i) => ({
      number: i + 1,
      name: `brand-${i + 1}`,
      issuer: `https://issuer-${i + 1}.test`,
      key: makeKey(KEY_ID),
    }));
    this.accounts = this.brands.flatMap((brand) => ids.map((id, i) => makeAccount(brand, id, devices(i))));
    this.devices = this.accounts.flatMap((account) => account.devices);
  }

  /** `brands` of a node's options. */
  brandSettings(): unknown[] {
    return this.brands.map(({ number, name, issuer, key }) => ({
      number,
      name,
      issuer,
      audience: "interline",
      tokenType: "interline+jwt",
      algorithms: ["EdDSA"],
      keys: { jwks: { keys: [key.publicJwk] } },
    }));
  }

  /** The device's token, the same one each time. */
  token(device: WorldDevice): string {
    let token = this.#tokens.get(device.address);
    if (token === undefined) {
      token = mint(device);
      this.#tokens.set(device.address, token);
    }
    return token;
  }
}

/** Every token that was made in this process: none of them may show up anywhere. */
export const mintedTokens: string[] = [];

function makeAccount(brand: WorldBrand, id: Buffer, deviceCount: number): WorldAccount {
  const address = Buffer.alloc(18);
  address.writeUInt16BE(brand.number);
  id.copy(address, 2);
  const account: WorldAccount = { brand, address, devices: [] };
  for (let number = 1; number <= deviceCount; number++) {
    const tail = Buffer.alloc(2);
    tail.writeUInt16BE(number);
    account.devices.push({ account, number, address: Buffer.concat([address, tail]).toString("hex") });
  }
  return account;
}

/** A token of the brand's own back end, with other claims if told so. */
export function mintService(brand: WorldBrand, claims: Record<string, unknown> = {}): string {
  const nowS = Math.floor(Date.now() / 1000);
  const token = sign({
    header: { alg: "EdDSA", kid: brand.key.kid, typ: "interline-service+jwt" },
    claims: {
      ...{ iss: brand.issuer, aud: "interline-admin", scope: "accounts" },
      ...{ iat: nowS, exp: nowS + TOKEN_TTL_S },
      ...claims,
    },
    key: brand.key,
  });
  mintedTokens.push(token);
  return token;
}

/** A token of the brand that names nobody, with more claims if told so. */
export function mintAnonymous(brand: WorldBrand, claims: Record<string, unknown> = {}): string {
  const nowS = Math.floor(Date.now() / 1000);
  const token = sign({
    header: { alg: "EdDSA", kid: brand.key.kid, typ: "interline-anonymous+jwt" },
    claims: {
      ...{ iss: brand.issuer, aud: "interline-sealed", scope: "sealed" },
      ...{ iat: nowS, exp: nowS + TOKEN_TTL_S },
      ...claims,
    },
    key: brand.key,
  });
  mintedTokens.push(token);
  return token;
}

/** A token for the device; by another brand's key or under another issuer if told so. */
export function mint(
  { account, number }: WorldDevice,
  { key = account.brand.key, claims = {} }: { key?: TestKey; claims?: Record<string, unknown> } = {},
): string {
  const nowS = Math.floor(Date.now() / 1000);
  const token = sign({
    header: { alg: "EdDSA", kid: key.kid, typ: "interline+jwt" },
    claims: {
      iss: account.brand.issuer,
      aud: "interline",
      sub: account.address.toString("hex", 2),
      device: number,
      iat: nowS,
      exp: nowS + TOKEN_TTL_S,
      ...claims,
    },
    key,
  });
  mintedTokens.push(token);
  return token;
}

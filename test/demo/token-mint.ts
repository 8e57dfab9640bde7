/**
 * Tokens for the devices of the cast, signed with the development keys that the
 * node made at its first start: what a brand's own sign-in would do.
 */
import { type DeviceAddress, deviceParts } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { DevelopmentBrands } from "../../src/directory/development-brands.js";
import { type Brand, brandNumbers } from "./cast.js";

/** Longer than any play. */
const TOKEN_TTL_MS = 120_000;

export class TokenMint {
  readonly #dataDirectory: string;
  #brands: DevelopmentBrands | undefined;

  constructor(dataDirectory: string) {
    this.#dataDirectory = dataDirectory;
  }

  /** With which a client of this brand speaks for nobody. */
  anonymousToken(brand: Brand): Promise<string> {
    return this.#found().mintAnonymous({ brand, ttlMs: TOKEN_TTL_MS });
  }

  async token(address: DeviceAddress): Promise<string> {
    const { brand: number, account, device } = deviceParts(address);
    const brand = (Object.keys(brandNumbers) as Brand[]).find((name) => brandNumbers[name] === number);
    if (brand === undefined) throw new Error(`no brand has the number ${number}`);
    return this.#found().mint({ brand, account: toHex(account), device, ttlMs: TOKEN_TTL_MS });
  }

  #found(): DevelopmentBrands {
    this.#brands ??= DevelopmentBrands.find(this.#dataDirectory);
    if (this.#brands === undefined) throw new Error("the node has made no development keys");
    return this.#brands;
  }
}

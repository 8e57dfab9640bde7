/**
 * Names of brands and accounts as people type and read them: `instagram/bob`,
 * `2/00112233445566778899aabbccddeeff/1`. Brands come from the configuration, or
 * from the data directory's development brands; without either, by number only.
 */
import { type Command, Option } from "commander";
import {
  type AccountAddress,
  accountAddress,
  type DeviceAddress,
  deviceAddress,
  deviceParts,
  formatAddress,
} from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { type Config, type Flags, loadConfig } from "../config.js";
import { accountIdFor, DevelopmentBrands } from "../directory/development-brands.js";
import type { BrandSettings } from "../directory/sign-in.js";
import { limits } from "../rules/limits.js";
import { type CliContext, CliError, exitCodes, wholeNumber } from "./output.js";

/** Options of every verb that reads the configuration for a data directory. */
export interface DirectoryFlags extends Flags {
  readonly config?: string;
  readonly dataDirectory?: string;
}

export const configOption = () => new Option("-c, --config <file>", "configuration file (INTERLINE_CONFIG)");
export const dataOption = () =>
  new Option("-d, --data-directory <path>", "data directory (INTERLINE_DATA_DIRECTORY, ./interline-data)");

export function configFor(flags: DirectoryFlags, context: CliContext): Config {
  return loadConfig(flags, context.environment, context.workingDirectory);
}

/** Those of the configuration, or else the development brands of the data directory, if any were made there. */
export function brandsOf(config: Config): readonly BrandSettings[] {
  return config.brands ?? DevelopmentBrands.find(config.dataDirectory)?.settings() ?? [];
}

export class BrandNames {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #names: ReadonlyMap<number, string>;

  constructor(brands: readonly { readonly number: number; readonly name: string }[]) {
    this.#numbers = new Map(brands.map(({ number, name }) => [name, number]));
    this.#names = new Map(brands.map(({ number, name }) => [number, name]));
  }

  static of(config: Config): BrandNames {
    return new BrandNames(brandsOf(config));
  }

  /** The number of a brand that is given by name or number. */
  numberOf(brand: string): number {
    const number = this.#numbers.get(brand) ?? (/^\d{1,5}$/.test(brand) ? Number(brand) : 0);
    if (number >= 1 && number <= 0xffff) return number;
    const known = [...this.#numbers.keys()].join(", ");
    const help = known === "" ? "name it by its number" : `there are ${known}`;
    throw new CliError(`no brand "${brand}" is known here: ${help}`, exitCodes.usage);
  }

  /** `brand/account`. */
  account(text: string): AccountAddress {
    const [brand, account, more] = text.split("/");
    if (!brand || !account || more !== undefined) {
      throw new CliError(`"${text}" is no account: expected brand/account`, exitCodes.usage);
    }
    return accountAddress(this.numberOf(brand), accountIdFor(account));
  }

  /** Each of them once, however often it is named. */
  accounts(texts: readonly string[]): AccountAddress[] {
    const named = texts.map((text) => this.account(text));
    return [...new Map(named.map((account) => [toHex(account), account])).values()];
  }

  /** `brand/account/device`. */
  device(text: string): DeviceAddress {
    const [brand, account, device, more] = text.split("/");
    const number = /^\d{1,5}$/.test(device ?? "") ? Number(device) : 0;
    if (!brand || !account || number < 1 || number > 0xffff || more !== undefined) {
      throw new CliError(`"${text}" is no device: expected brand/account/device`, exitCodes.usage);
    }
    return deviceAddress({ brand: this.numberOf(brand), account: accountIdFor(account), device: number });
  }

  /** The brand's name if it has one here, else its number. */
  brand(number: number): string {
    return this.#names.get(number) ?? String(number);
  }

  /** An account or device address with its brand's name, if it has one here. */
  format(address: AccountAddress | DeviceAddress): string {
    const text = formatAddress(address);
    const slash = text.indexOf("/");
    return `${this.brand(Number(text.slice(0, slash)))}${text.slice(slash)}`;
  }
}

export function deviceNumberArgument(command: Command): Command {
  return command.argument("<number>", "the device's number", wholeNumber(1, limits.deviceNumberMax));
}

/** The device number in a device address. */
export function deviceNumber(address: DeviceAddress): number {
  return deviceParts(address).device;
}

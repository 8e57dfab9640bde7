/**
 * How the devices of a load sign in at a node that somebody else runs: with
 * tokens from a file, one a line, or with tokens minted here with the keys of
 * the node's development brands, which lie in its data directory. Accounts of
 * the second kind are the same in every run with the same prefix, so that a node
 * does not fill with accounts; two loads at one time need different prefixes.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DevelopmentBrands } from "../../src/directory/development-brands.js";

/** Longer than any run: a token is only looked at when a device signs in. */
const TOKEN_TTL_MS = 12 * 3_600_000;

/** `devices` tokens; throws an error for people. */
export function tokensFromFile(file: string, devices: number): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`the tokens cannot be read: ${(error as Error).message}`);
  }
  const tokens = text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  if (tokens.length < devices) {
    throw new Error(
      `${file} has ${tokens.length} tokens, and ${devices} devices are to sign in: see --devices`,
    );
  }
  return tokens.slice(0, devices);
}

/** Tokens of brands in turn; throws an error for people. */
export async function mintTokens(dataDirectory: string, prefix: string, devices: number): Promise<string[]> {
  const brands = DevelopmentBrands.find(dataDirectory);
  if (brands === undefined) {
    throw new Error(
      `${join(dataDirectory, "development-brands.json")} is not there: name the node's data directory with ` +
        "--data-directory (of another machine's node, a directory with a copy of that file), or give --tokens",
    );
  }
  const names = brands.settings().map(({ name }) => name);
  return Promise.all(
    Array.from({ length: devices }, (_, device) =>
      brands.mint({
        brand: names[device % names.length]!,
        account: `${prefix} ${device}`,
        device: 1,
        ttlMs: TOKEN_TTL_MS,
      }),
    ),
  );
}

/**
 * Looks into everything the node has written: its data directory, with the
 * database as raw bytes, and its output.
 *
 *   must not be there    any plaintext (by its marker), private keys of devices, tokens;
 *                        in the output, ids of accounts either
 *   must be there        what says that the search works: a ciphertext that waits
 *                        for a device and the ids of accounts in the data directory,
 *                        the node's address in its output
 */
import {
  type Finding,
  type Needle,
  type SearchResult,
  searchFiles,
  spellings,
  textNeedle,
} from "./canaries.js";

/** From the middle of a ciphertext: enough to exist only once. */
const CIPHERTEXT_NEEDLE_BYTES = 32;

export interface Verdict {
  /** Plaintexts found, in any spelling. */
  readonly canariesFound: number;
  readonly secretsFound: number;
  readonly accountIdsInOutput: number;
  readonly bytesSearched: number;
  /** Everything that differs, in words. */
  readonly faults: readonly string[];
}

export class Evidence {
  readonly #dataDirectory: string;
  readonly #outputDirectory: string;
  readonly #url: string;
  readonly #marker: string;
  readonly #tokens: string[] = [];

  constructor(options: { dataDirectory: string; outputDirectory: string; url: string; marker: string }) {
    this.#dataDirectory = options.dataDirectory;
    this.#outputDirectory = options.outputDirectory;
    this.#url = options.url;
    this.#marker = options.marker;
  }

  /** Everything that the node has written. */
  get paths(): readonly string[] {
    return [this.#dataDirectory, this.#outputDirectory];
  }

  /** Remembers a token that was given to a device. */
  addToken(token: string): void {
    this.#tokens.push(token);
  }

  /** Looks for the plaintexts, and for a ciphertext that must be on disk because it was receipted and waits. */
  async lookForPlaintext(waiting: Uint8Array): Promise<SearchResult> {
    const middle = Math.floor((waiting.length - CIPHERTEXT_NEEDLE_BYTES) / 2);
    const ciphertext = waiting.subarray(middle, middle + CIPHERTEXT_NEEDLE_BYTES);
    return searchFiles({
      paths: this.paths,
      forbidden: spellings(textNeedle(this.#marker)),
      known: [{ name: "a ciphertext that it has receipted", bytes: ciphertext }],
    });
  }

  /** The whole search, when everything has been written. */
  async lookForEverything(options: {
    secrets: readonly Uint8Array[];
    accountIds: readonly Uint8Array[];
  }): Promise<Verdict> {
    const accountIds = options.accountIds.map((bytes) => ({ name: "an account id", bytes }));
    const plaintext = await this.#search(spellings(textNeedle(this.#marker)), accountIds);
    const secret = await this.#search(this.#secretNeedles(options.secrets), accountIds);
    const output = await searchFiles({
      paths: [this.#outputDirectory],
      forbidden: accountIds.flatMap(spellings),
      known: [textNeedle(this.#url)],
    });
    const all = [plaintext, secret, output];
    const found = all.flatMap(({ forbiddenFound }) => forbiddenFound);
    const missing = new Set(all.flatMap(({ knownMissing }) => knownMissing));
    return {
      canariesFound: plaintext.forbiddenFound.length,
      secretsFound: secret.forbiddenFound.length,
      accountIdsInOutput: output.forbiddenFound.length,
      bytesSearched: plaintext.bytesSearched,
      faults: [
        ...told(found),
        ...[...missing].map((name) => `the search did not find ${name}, so it proves nothing`),
      ],
    };
  }

  #search(forbidden: readonly Needle[], known: readonly Needle[]): Promise<SearchResult> {
    return searchFiles({ paths: [this.#dataDirectory, this.#outputDirectory], forbidden, known });
  }

  #secretNeedles(secrets: readonly Uint8Array[]): Needle[] {
    const keys = secrets.flatMap((bytes) => spellings({ name: "a private key", bytes }));
    // The signature is what makes a token worth stealing, and it is unique.
    const signatures = this.#tokens.map((token) => textNeedle(token.slice(token.lastIndexOf(".") + 1)));
    return [...keys, ...signatures.map(({ bytes }) => ({ name: "a token's signature", bytes }))];
  }
}

/** Findings in words, those of one thing in one file together. */
export function told(findings: readonly Finding[]): string[] {
  const offsets = new Map<string, number[]>();
  for (const { name, file, offset } of findings) {
    const where = `${name} is in ${file}`;
    offsets.set(where, [...(offsets.get(where) ?? []), offset]);
  }
  return [...offsets].map(([where, [first, ...more]]) =>
    more.length === 0 ? `${where} at ${first}` : `${where} at ${first} and ${more.length} more places`,
  );
}

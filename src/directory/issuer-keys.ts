/**
 * One brand's keys and where they come from: inline, a file, or a URL.
 *
 * Invariants. What is read, and where, comes from the configuration alone; a
 * token's only influence is that its key id is not known here. A source is read
 * at most once per keyRefetchMs, whether that succeeds, fails, or never ends;
 * everybody who needs it meanwhile shares one reading or goes without.
 *
 *   keys known, younger than keysFreshMs     used
 *   older, or a key id that is not known     read again first, if the bound lets us
 *   reading fails                            what was known is used until keysStaleMs,
 *                                            for anything else sign-in is unavailable
 *
 * So a key that a brand has withdrawn signs nobody in for longer than
 * keysFreshMs while its source can be read, and keysStaleMs at most.
 */
import { open } from "node:fs/promises";
import { assert } from "../base/assert.js";
import type { Clock } from "../base/clock.js";
import { limits } from "../rules/limits.js";
import { keyUrlFault, type SignatureAlgorithm } from "../rules/sign-in.js";
import { CodedError } from "../wire/coded-error.js";
import { KeySet } from "./key-set.js";

export type KeySource = { readonly jwks: unknown } | { readonly file: string } | { readonly url: string };

export class IssuerKeys {
  readonly #source: KeySource;
  readonly #clock: Clock;
  #keys: KeySet | undefined;
  /** Monotonic; when the known keys were read, and when a reading last began. */
  #keysMs = Number.NEGATIVE_INFINITY;
  #startedMs = Number.NEGATIVE_INFINITY;
  #failed = false;
  #reading: Promise<void> | undefined;
  #readings = 0;

  constructor(source: KeySource, clock: Clock) {
    if ("url" in source) assert(keyUrlFault(source.url) === undefined, "the key URL was checked");
    this.#source = source;
    this.#clock = clock;
  }

  /** How often the source was read, or tried to be. */
  get readings(): number {
    return this.#readings;
  }

  /** Reads the source for the first time. What is on this machine must be readable; a URL may come later. */
  async load(): Promise<void> {
    await this.#refresh();
    if (this.#keys === undefined && !("url" in this.#source)) await this.#explain();
  }

  /** The key, or undefined when the brand has none of that id; throws CodedError `signInUnavailable` when that cannot be known. */
  async find(algorithm: SignatureAlgorithm, keyId: string) {
    const known = this.#fresh() ? this.#keys?.find(algorithm, keyId) : undefined;
    if (known !== undefined) return known;
    await this.#refresh();
    const usable = this.#ageMs() <= limits.keysStaleMs ? this.#keys : undefined;
    const found = usable?.find(algorithm, keyId);
    if (found !== undefined) return found;
    if (usable === undefined || this.#failed) throw this.#unavailable();
    return undefined;
  }

  #fresh(): boolean {
    return "jwks" in this.#source ? this.#keys !== undefined : this.#ageMs() <= limits.keysFreshMs;
  }

  #ageMs(): number {
    return "jwks" in this.#source ? 0 : this.#clock.monotonicMs() - this.#keysMs;
  }

  /** Reads the source again if the bound lets us, or waits for a reading that is under way. Never throws. */
  #refresh(): Promise<void> {
    if (this.#reading !== undefined) return this.#reading;
    if ("jwks" in this.#source && this.#keys !== undefined) return Promise.resolve();
    if (this.#clock.monotonicMs() - this.#startedMs < limits.keyRefetchMs) return Promise.resolve();
    this.#startedMs = this.#clock.monotonicMs();
    this.#readings++;
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const startedMs = this.#startedMs;
    try {
      this.#keys = await readSource(this.#source);
      this.#keysMs = startedMs;
      this.#failed = false;
    } catch {
      this.#failed = true;
    }
  }

  /** Reads once more for the sake of the message. */
  async #explain(): Promise<never> {
    const detail = await readSource(this.#source).then(
      () => "its keys could not be read",
      (error: Error) => error.message,
    );
    throw new Error(detail);
  }

  #unavailable(): CodedError {
    const waitMs = this.#startedMs + limits.keyRefetchMs - this.#clock.monotonicMs();
    return new CodedError("signInUnavailable", { retryAfterMs: Math.max(1_000, Math.ceil(waitMs)) });
  }
}

function readSource(source: KeySource): Promise<KeySet> {
  if ("jwks" in source) return KeySet.read(source.jwks);
  if ("file" in source) return readFile(source.file);
  return fetchSet(source.url);
}

async function readFile(path: string): Promise<KeySet> {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array(limits.keySetBytesMax + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytesRead > limits.keySetBytesMax)
      throw new Error(`${path}: a key set has at most ${limits.keySetBytesMax} bytes`);
    return await KeySet.parse(new TextDecoder().decode(bytes.subarray(0, bytesRead)));
  } finally {
    await file.close();
  }
}

/** Bounded in time and size; a redirect is a failure, because it leads elsewhere than configured. */
async function fetchSet(url: string): Promise<KeySet> {
  const response = await fetch(url, {
    redirect: "error",
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(limits.keyFetchTimeoutMs),
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`the key URL answered with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > limits.keySetBytesMax)
      throw new Error(`a key set has at most ${limits.keySetBytesMax} bytes`);
    chunks.push(chunk);
  }
  return KeySet.parse(Buffer.concat(chunks).toString("utf8"));
}

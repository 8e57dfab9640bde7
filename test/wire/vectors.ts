/** Reads test/vectors/: literal messages with what must come of them. */
import { readFileSync } from "node:fs";
import { fromHex, toHex } from "../../src/base/bytes.js";

type HexPart = string | { readonly byte: string; readonly times: number };

export interface GoodVector {
  readonly name: string;
  readonly hex: string | readonly HexPart[];
  /** The decoded frames, byte strings in hex. */
  readonly frames: readonly unknown[];
}

export interface BadVector {
  readonly name: string;
  readonly hex: string | readonly HexPart[];
  /** The name of the registry's code. */
  readonly code: string;
}

export interface ClientVectors {
  readonly hello: { readonly good: readonly GoodVector[]; readonly bad: readonly BadVector[] };
  readonly messages: {
    readonly good: readonly GoodVector[];
    readonly refused: readonly BadVector[];
    readonly bad: readonly BadVector[];
  };
  /** Of a connection that speaks for nobody. */
  readonly unidentified: {
    readonly good: readonly GoodVector[];
    readonly refused: readonly BadVector[];
    readonly bad: readonly BadVector[];
  };
}

export interface ServerVectors {
  readonly messages: { readonly good: readonly GoodVector[]; readonly bad: readonly BadVector[] };
}

export function clientVectors(): ClientVectors {
  return read("client-to-server.json") as ClientVectors;
}

export function serverVectors(): ServerVectors {
  return read("server-to-client.json") as ServerVectors;
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8"));
}

export function vectorBytes({ hex }: { readonly hex: string | readonly HexPart[] }): Uint8Array {
  const parts = typeof hex === "string" ? [hex] : hex;
  const text = parts.map((part) => (typeof part === "string" ? part : part.byte.repeat(part.times))).join("");
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error("a vector is not hex");
  return bytes;
}

/** The frame as a vector writes it: byte strings in hex. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

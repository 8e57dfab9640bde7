/**
 * Keys as files: one for each (`identity:1=identity.key`), or a JSON object with the kinds' lists, whose keys are base64:
 *
 *   { "identity": [{ "id": 1, "key": "BQ…" }], "preKey": [{ "id": 1, "key": "BX…" }, …] }
 */
import type { KeyKind, PublicKey } from "../client/client.js";
import { keyKindNames } from "../wire/keys.js";
import { CliError, exitCodes } from "./output.js";
import { bytesOfFile } from "./payload.js";

export type KeyLists = { readonly [Kind in KeyKind]?: readonly PublicKey[] };

/** `words` are `kind:id=file`. */
export function keysOf(words: readonly string[], file: string | undefined): KeyLists {
  const keys: { [Kind in KeyKind]?: PublicKey[] } = {};
  for (const [kind, list] of Object.entries(file === undefined ? {} : keysInJson(file))) {
    keys[kind as KeyKind] = [...list];
  }
  for (const word of words) {
    const [, kind = "", id, path = ""] = /^(\w+):(\d{1,15})=(.+)$/s.exec(word) ?? [];
    if (id === undefined) throw new CliError(`"${word}" is no key: expected kind:id=file`, exitCodes.usage);
    const list = keys[kindNamed(kind)] ?? [];
    list.push({ id: Number(id), key: bytesOfFile(path) });
    keys[kindNamed(kind)] = list;
  }
  for (const list of Object.values(keys)) list.sort((a, b) => a.id - b.id);
  return keys;
}

function keysInJson(path: string): KeyLists {
  const lists = parsed(path);
  const entries = Object.entries(lists).map(([kind, list]) => {
    if (!Array.isArray(list)) throw noKeys(path);
    return [kindNamed(kind), list.map((item) => keyIn(item, path))] as const;
  });
  return Object.fromEntries(entries);
}

function parsed(path: string): object {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytesOfFile(path)));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw noKeys(path);
}

function keyIn(item: unknown, path: string): PublicKey {
  const { id, key } = (item ?? {}) as Record<string, unknown>;
  if (!Number.isSafeInteger(id) || typeof key !== "string") throw noKeys(path);
  const bytes = new Uint8Array(Buffer.from(key, "base64"));
  // Buffer passes over what is not base64.
  if (bytes.length === 0 || Buffer.from(bytes).toString("base64") !== key) throw noKeys(path);
  return { id: id as number, key: bytes };
}

function kindNamed(text: string): KeyKind {
  const kind = keyKindNames.find((name) => name === text);
  if (kind !== undefined) return kind;
  throw new CliError(`"${text}" is no kind of keys: there are ${keyKindNames.join(", ")}`, exitCodes.usage);
}

function noKeys(path: string): CliError {
  return new CliError(
    `${path} holds no keys: expected { "kind": [{ "id": number, "key": base64 }, …], … }`,
    exitCodes.usage,
  );
}

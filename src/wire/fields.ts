/**
 * The known fields of a map that came from the other side, each checked when it is taken: its type, its bounds. What
 * nobody takes is ignored, because a later version may say more. Throws the CodedError that `fault` makes.
 */
import type { CodedError } from "./coded-error.js";
import type { MsgpackMap, MsgpackValue } from "./msgpack-value.js";

export class Fields {
  readonly #map: MsgpackMap;
  readonly #fault: (detail: string) => CodedError;

  constructor(map: MsgpackMap, fault: (detail: string) => CodedError) {
    this.#map = map;
    this.#fault = fault;
  }

  /** The error for what only its user can see in a field. */
  fault(detail: string): CodedError {
    return this.#fault(detail);
  }

  has(key: string): boolean {
    return this.#map[key] !== undefined;
  }

  uint(key: string, max: number = Number.MAX_SAFE_INTEGER): number {
    return this.#uint(key, this.#map[key], max);
  }

  uints(key: string, countMax: number, max: number = Number.MAX_SAFE_INTEGER): readonly number[] {
    return this.#list(key, countMax).map((value) => this.#uint(key, value, max));
  }

  /** A view of the input. */
  bin(key: string, bytes: { readonly min: number; readonly max: number }): Uint8Array {
    const value = this.#map[key];
    if (!(value instanceof Uint8Array) || value.length < bytes.min || value.length > bytes.max) {
      const length = bytes.min === bytes.max ? `${bytes.min}` : `${bytes.min} to ${bytes.max}`;
      throw this.#fault(`${key} is a byte string of ${length} bytes`);
    }
    return value;
  }

  /** A view of the input, of exactly this length. */
  binOf(key: string, length: number): Uint8Array {
    return this.bin(key, { min: length, max: length });
  }

  str(key: string): string {
    const value = this.#map[key];
    if (typeof value !== "string") throw this.#fault(`${key} is a string`);
    return value;
  }

  bool(key: string): boolean {
    const value = this.#map[key];
    if (typeof value !== "boolean") throw this.#fault(`${key} is true or false`);
    return value;
  }

  /** A map inside this one. */
  map(key: string): Fields {
    return this.#fieldsOf(key, this.#map[key]);
  }

  /** A list of maps. */
  maps(key: string, countMax: number): readonly Fields[] {
    return this.#list(key, countMax).map((value) => this.#fieldsOf(key, value));
  }

  #uint(key: string, value: MsgpackValue | undefined, max: number): number {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
      const bound = max === Number.MAX_SAFE_INTEGER ? "" : ` up to ${max}`;
      throw this.#fault(`${key} is an unsigned integer${bound}`);
    }
    return value;
  }

  #list(key: string, countMax: number): readonly MsgpackValue[] {
    const value = this.#map[key];
    if (!Array.isArray(value) || value.length > countMax) {
      throw this.#fault(`${key} is a list of at most ${countMax}`);
    }
    return value;
  }

  #fieldsOf(key: string, value: MsgpackValue | undefined): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
      throw this.#fault(`${key} holds a map`);
    }
    return new Fields(value as MsgpackMap, this.#fault);
  }
}

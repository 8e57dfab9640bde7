/** What a msgpack value is in JavaScript. */

/** Maps are read as objects without a prototype. */
export type MsgpackValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly MsgpackValue[]
  | MsgpackMap;

export interface MsgpackMap {
  readonly [key: string]: MsgpackValue;
}

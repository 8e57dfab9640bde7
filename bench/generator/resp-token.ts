/**
 * Redis's protocol (RESP2), server to client, one token at a time:
 *
 *   +text␍␊   -error␍␊   :integer␍␊   $length␍␊ bytes ␍␊   *count␍␊ then as many tokens
 *
 * The last one read is in the fields of one object: places in the bytes, no copy.
 */
import { assert } from "../../src/base/assert.js";
import { readDigits } from "./digits.js";

/** Tokens by their first byte. */
export const tokens = { text: 0x2b, error: 0x2d, integer: 0x3a, bulk: 0x24, array: 0x2a } as const;

const CR = 0x0d;
const MINUS = 0x2d;
const LINE_END_BYTES = 2;

export class RespToken {
  type = 0;
  /** Of an integer itself, of an array the tokens that follow, of a bulk string its bytes; -1 for null. */
  value = 0;
  /** Of a bulk string its bytes, of any other its line without type and end. */
  from = 0;
  to = 0;

  /** Reads the token that begins at `at`; returns where the next one begins, or -1 when it is not whole. */
  read(bytes: Uint8Array, at: number, end: number): number {
    let lineEnd = at + 1;
    while (lineEnd < end && bytes[lineEnd] !== CR) lineEnd += 1;
    if (lineEnd + LINE_END_BYTES > end) return -1;
    const next = lineEnd + LINE_END_BYTES;
    const type = bytes[at]!;
    this.type = type;
    this.from = at + 1;
    this.to = lineEnd;
    if (type === tokens.text || type === tokens.error) return next;
    assert(type === tokens.integer || type === tokens.bulk || type === tokens.array, "a token is of RESP2");
    this.value =
      bytes[at + 1] === MINUS ? -readDigits(bytes, at + 2, lineEnd) : readDigits(bytes, at + 1, lineEnd);
    assert(!Number.isNaN(this.value), "a token's number is a number");
    if (type !== tokens.bulk || this.value < 0) return next;
    if (next + this.value + LINE_END_BYTES > end) return -1;
    this.from = next;
    this.to = next + this.value;
    assert(bytes[this.to] === CR, "a bulk string ends where it said");
    return this.to + LINE_END_BYTES;
  }

  /** What is between `from` and `to`, for the rare tokens that somebody reads. */
  text(bytes: Uint8Array): string {
    return Buffer.from(bytes.subarray(this.from, this.to)).toString();
  }
}

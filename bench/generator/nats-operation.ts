/**
 * The NATS client protocol, server to client: lines of text, and messages whose
 * payload of known length follows their line.
 *
 *   INFO {json}␍␊    PING␍␊    PONG␍␊    +OK␍␊    -ERR 'reason'␍␊
 *   MSG subject sid [reply] length␍␊ payload ␍␊
 *
 * A message of JetStream without a reply subject has two spaces in its place.
 *
 * One operation is read at a time into the fields of one object: places in the
 * bytes, no copy. Messages with headers (HMSG) are errors: nobody asked for any.
 */
import { assert } from "../../src/base/assert.js";
import { readDigits } from "./digits.js";

export const operations = { info: 1, message: 2, ping: 3, pong: 4, ok: 5, error: 6 } as const;
export type OperationKind = (typeof operations)[keyof typeof operations];

const CR = 0x0d;
const SPACE = 0x20;
const LINE_END_BYTES = 2;
const LETTER_TO_KIND = new Map<number, OperationKind>([
  ["I".charCodeAt(0), operations.info],
  ["+".charCodeAt(0), operations.ok],
  ["-".charCodeAt(0), operations.error],
]);
const LETTER_M = "M".charCodeAt(0);
const LETTER_P = "P".charCodeAt(0);
const LETTER_I = "I".charCodeAt(0);
const MSG_HEAD_BYTES = "MSG ".length;

export class NatsOperation {
  kind: OperationKind = operations.info;
  /** Of a message: the number of the subscription that it came by. */
  subscription = 0;
  /** Of a message: where its reply subject is; equal when it has none. */
  replyFrom = 0;
  replyTo = 0;
  /** Of a message its payload, of any other its line without the end. */
  from = 0;
  to = 0;

  /** Reads the operation that begins at `at`; returns where the next one begins, or -1 when it is not whole. */
  read(bytes: Uint8Array, at: number, end: number): number {
    if (at + 1 >= end) return -1;
    if (bytes[at] === LETTER_M) return this.#readMessage(bytes, at, end);
    let lineEnd = at;
    while (lineEnd < end && bytes[lineEnd] !== CR) lineEnd += 1;
    if (lineEnd + LINE_END_BYTES > end) return -1;
    this.kind = kindOfLine(bytes, at);
    this.from = at;
    this.to = lineEnd;
    return lineEnd + LINE_END_BYTES;
  }

  /** The line or the payload as text, for the rare ones. */
  text(bytes: Uint8Array): string {
    return Buffer.from(bytes.subarray(this.from, this.to)).toString();
  }

  #readMessage(bytes: Uint8Array, at: number, end: number): number {
    const subjectTo = fieldEnd(bytes, at + MSG_HEAD_BYTES, end);
    const subscriptionTo = fieldEnd(bytes, subjectTo + 1, end);
    let lengthFrom = subscriptionTo + 1;
    let lineEnd = fieldEnd(bytes, lengthFrom, end);
    let replyTo = lengthFrom;
    const hasReply = lineEnd < end && bytes[lineEnd] === SPACE;
    if (hasReply) {
      replyTo = lineEnd;
      lengthFrom = lineEnd + 1;
      lineEnd = fieldEnd(bytes, lengthFrom, end);
    }
    if (lineEnd + LINE_END_BYTES > end) return -1;
    const length = readDigits(bytes, lengthFrom, lineEnd);
    assert(length >= 0, "a message says how long it is");
    const from = lineEnd + LINE_END_BYTES;
    const next = from + length + LINE_END_BYTES;
    if (next > end) return -1;
    assert(bytes[from + length] === CR, "a message ends where it said");
    this.kind = operations.message;
    this.subscription = readDigits(bytes, subjectTo + 1, subscriptionTo);
    this.replyFrom = subscriptionTo + 1;
    this.replyTo = replyTo;
    this.from = from;
    this.to = from + length;
    return next;
  }
}

function kindOfLine(bytes: Uint8Array, at: number): OperationKind {
  const letter = bytes[at]!;
  if (letter === LETTER_P) return bytes[at + 1] === LETTER_I ? operations.ping : operations.pong;
  const kind = LETTER_TO_KIND.get(letter);
  if (kind === undefined) throw new Error(`the server sent an operation that begins with byte ${letter}`);
  return kind;
}

/** The first space or line end from `at` on; `end` when there is none. */
function fieldEnd(bytes: Uint8Array, at: number, end: number): number {
  let to = at;
  while (to < end && bytes[to] !== SPACE && bytes[to] !== CR) to += 1;
  return Math.min(to, end);
}

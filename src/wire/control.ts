/**
 * Server side only: bodies that are maps, written and read with msgpackr. The
 * client has its own reader (msgpack.ts) and never imports this file.
 *
 * Invariants. A body is decoded only after sign-in and only after our own
 * bounded reader has walked over it: msgpackr alone can be made to allocate
 * without end by nested array headers. Extensions are refused by that walk.
 *
 * Integers above 32 bits are handed to msgpackr as BigInt: it would write a
 * plain number of that size as a float. They leave as msgpack int64 (d3), which
 * is why docs/protocol.md lets integers inside maps have any integer encoding.
 */
import { Packr } from "msgpackr";
import type { RefusalDetail } from "./bodies.js";
import { type CodeName, codes } from "./codes.js";
import { badFrame, MsgpackReader } from "./msgpack.js";
import { MsgpackWriter } from "./msgpack-writer.js";
import { kinds, type WelcomeBody } from "./protocol.js";

/** One control body, as received. */
export const CONTROL_BYTES_MAX = 16 * 1024;

/** 64-bit integers are read as numbers: the walk before has refused those that are not safe. */
const packr = new Packr({ useRecords: false, int64AsType: "number" });

export function encodeWelcome(body: WelcomeBody): Uint8Array {
  const writer = new MsgpackWriter();
  writer.array(2);
  writer.uint(kinds.welcome);
  writer.raw(encodeBody(body));
  return writer.take();
}

export function encodeRefusal(refusal: {
  readonly position: number;
  readonly code: CodeName;
  readonly retryAfterMs?: number;
  readonly detail?: RefusalDetail;
}): Uint8Array {
  const writer = new MsgpackWriter();
  writer.array(5);
  writer.uint(kinds.refusal);
  writer.uint(refusal.position);
  writer.uint(codes[refusal.code].code);
  writer.uint(refusal.retryAfterMs ?? 0);
  if (refusal.detail?.rosters === undefined) writer.map(0);
  else writer.raw(encodeBody(refusal.detail));
  return writer.take();
}

/** A map as msgpack. */
export function encodeBody(body: object): Uint8Array {
  return packr.pack(withWideIntegers(body));
}

/**
 * The map in exactly these bytes. Throws CodedError `badFrame` when they are
 * too many, nested too deeply, not msgpack, hold an extension, or are no map.
 * Byte strings in it may be views of the input.
 */
export function decodeBody(
  bytes: Uint8Array,
  bytesMax = CONTROL_BYTES_MAX,
): Readonly<Record<string, unknown>> {
  if (bytes.length > bytesMax) throw badFrame("a body is too large");
  const reader = new MsgpackReader(bytes);
  reader.body();
  if (!reader.atEnd) throw badFrame("bytes follow a body");
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw badFrame(cause instanceof Error ? cause.message : "a body could not be read");
  }
}

function withWideIntegers(value: unknown): unknown {
  if (typeof value === "number")
    return Number.isSafeInteger(value) && value > 0xffff_ffff ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(withWideIntegers);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withWideIntegers(item)]));
}

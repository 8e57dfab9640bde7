/**
 * Server side only: bodies that are maps, written with msgpackr. No client sends
 * one; the client has its own bounded reader (msgpack.ts) and never imports this
 * file.
 *
 * Integers above 32 bits are handed to msgpackr as BigInt: it would write a
 * plain number of that size as a float. They leave as msgpack int64 (d3), which
 * is why docs/protocol.md lets integers inside maps have any integer encoding.
 */
import { Packr } from "msgpackr";
import { concatBytes } from "../base/bytes.js";
import type { RefusalDetail } from "./bodies.js";
import { type CodeName, codes } from "./codes.js";
import { MsgpackWriter } from "./msgpack-writer.js";
import { kinds, type WelcomeBody } from "./protocol.js";

const packr = new Packr({ useRecords: false });

export function encodeWelcome(body: WelcomeBody): Uint8Array {
  const writer = new MsgpackWriter();
  writer.array(2);
  writer.uint(kinds.welcome);
  // Flat, and one for each sign-in: only what may be wide is looked at.
  const { serverTimeMs, position } = body;
  const wide = { serverTimeMs: wideInteger(serverTimeMs), position: wideInteger(position) };
  writer.raw(packr.pack({ ...body, ...wide }));
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
  const { accounts, ...detail } = refusal.detail ?? {};
  writer.raw(encodeBody({ ...detail, ...(accounts && { accounts: concatBytes(accounts) }) }));
  return writer.take();
}

/** A map as msgpack. */
function encodeBody(body: object): Uint8Array {
  return packr.pack(withWideIntegers(body));
}

function wideInteger(value: number): number | bigint {
  return Number.isSafeInteger(value) && value > 0xffff_ffff ? BigInt(value) : value;
}

function withWideIntegers(value: unknown): unknown {
  if (typeof value === "number") return wideInteger(value);
  if (Array.isArray(value)) return value.map(withWideIntegers);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withWideIntegers(item)]));
}

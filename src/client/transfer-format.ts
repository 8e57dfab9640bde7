/**
 * The bytes of a transfer between two devices of one account, as docs/transfer.md draws them for strangers. The *old*
 * device has the blob, the *new* one made the invitation. Every message is the payload of an own send; the node sees of
 * it what is before `sealed`.
 *
 *   message     | 0 version u8 | 1 type u8 | 2 transfer 16 | 18 run 16 | 34 nonce 12 | 46 sealed … |
 *   offer       … | 46 public key of the old device 65 | 111 sealed … |
 *
 *   sealed, by type; integers are big-endian
 *     1 offer      old ▸ new   | bytesMax u64 |                                  begins a run
 *     2 chunk      old ▸ new   | 1 to 65,536 bytes of the blob |                 all but the last are full
 *     3 end        old ▸ new   | bytes u64 | digest 32 |                         behind the last chunk
 *     4 ask        old ▸ new   nothing: how far are you?
 *     5 cancel     both        | code u16 |                                      of wire/codes.ts, 640 to 649
 *     6 progress   new ▸ old   | flags u8 | next u32 | bytes u64 | digest 32 |   flags: 1 send again from `next`, 2 complete
 *
 *   nonce       old ▸ new: type u8, 7 × 0, number u32 (of a chunk or end: its index; of an ask: its count; else 0)
 *               new ▸ old: random
 *   invitation  "interline-transfer:" and in base64url | version u8 | device 20 | transfer 16 | secret 32 | public key 65 |
 *
 * A *run* is one life of the old device's side: it has a key pair of its own, so that no nonce is ever used twice. This
 * file knows bytes, not keys (transfer-cipher.ts) and not the order of things (transfer-sender.ts, transfer-receiver.ts).
 */
import { DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { concatBytes } from "../base/bytes.js";
import { InterlineError } from "./errors.js";

const VERSION = 1;
export const CHUNK_BYTES = 65_536;
export const RUN_BYTES = 16;
export const TRANSFER_ID_BYTES = 16;
export const SECRET_BYTES = 32;
export const PUBLIC_KEY_BYTES = 65;
export const NONCE_BYTES = 12;
export const DIGEST_BYTES = 32;
/** 2^32 - 2 chunks and an end: their indices are u32. */
export const TRANSFER_BYTES_MAX = CHUNK_BYTES * (2 ** 32 - 2);

const HEADER_BYTES = 46;
const INVITATION_PREFIX = "interline-transfer:";

export const messageTypes = { offer: 1, chunk: 2, end: 3, ask: 4, cancel: 5, progress: 6 } as const;
export type MessageType = keyof typeof messageTypes;
const typeNames = Object.keys(messageTypes) as MessageType[];

/** What the new device shows to the old one, out of the node's sight. */
export interface Invitation {
  readonly device: DeviceAddress;
  readonly transfer: Uint8Array;
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
}

export interface Message {
  readonly type: MessageType;
  readonly transfer: Uint8Array;
  readonly run: Uint8Array;
  readonly nonce: Uint8Array;
  /** Of an offer; empty otherwise. */
  readonly publicKey: Uint8Array;
  /** All that is not sealed, which the seal covers too. */
  readonly head: Uint8Array;
  readonly sealed: Uint8Array;
}

/** How far the new device is: what it has of the blob, without a hole. */
export interface Standing {
  /** Index of the chunk that it wants next; behind the end when it has all. */
  readonly next: number;
  readonly bytes: number;
  readonly digest: Uint8Array;
}

export interface Progress extends Standing {
  readonly wantsRepeat: boolean;
  readonly isComplete: boolean;
}

export function formatInvitation({ device, transfer, secret, publicKey }: Invitation): string {
  const bytes = concatBytes([Uint8Array.of(VERSION), device, transfer, secret, publicKey]);
  const base64 = btoa(String.fromCharCode(...bytes));
  return INVITATION_PREFIX + base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Throws InterlineError `invitationBad`. */
export function parseInvitation(text: string): Invitation {
  const bytes = text.startsWith(INVITATION_PREFIX)
    ? bytesOfBase64(text.slice(INVITATION_PREFIX.length))
    : new Uint8Array(0);
  const take = takeFrom(bytes);
  const [version] = take(1);
  const device = take(DEVICE_ADDRESS_BYTES);
  const [transfer, secret] = [take(TRANSFER_ID_BYTES), take(SECRET_BYTES)];
  const publicKey = take(PUBLIC_KEY_BYTES);
  if (version !== VERSION || publicKey.length !== PUBLIC_KEY_BYTES || take(1).length > 0) {
    throw new InterlineError("invitationBad");
  }
  return { device, transfer, secret, publicKey };
}

function bytesOfBase64(text: string): Uint8Array {
  try {
    const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}

function takeFrom(bytes: Uint8Array): (length: number) => Uint8Array {
  let at = 0;
  return (length) => {
    at += length;
    return bytes.slice(at - length, at);
  };
}

export function headOf(
  message: Pick<Message, "type" | "transfer" | "run" | "nonce"> & { readonly publicKey?: Uint8Array },
): Uint8Array {
  const { type, transfer, run, nonce, publicKey = new Uint8Array(0) } = message;
  return concatBytes([Uint8Array.of(VERSION, messageTypes[type]), transfer, run, nonce, publicKey]);
}

/** Undefined for what is no message of a transfer of this version. Parts are views. */
export function readMessage(payload: Uint8Array): Message | undefined {
  const type = typeNames.find((name) => messageTypes[name] === payload[1]);
  if (payload[0] !== VERSION || type === undefined) return undefined;
  const headBytes = HEADER_BYTES + (type === "offer" ? PUBLIC_KEY_BYTES : 0);
  if (payload.length < headBytes) return undefined;
  return {
    type,
    transfer: payload.subarray(2, 18),
    run: payload.subarray(18, 34),
    nonce: payload.subarray(34, 46),
    publicKey: payload.subarray(46, headBytes),
    head: payload.subarray(0, headBytes),
    sealed: payload.subarray(headBytes),
  };
}

/** The nonce of what the old device sends: never twice in a run for different bytes. */
export function numberedNonce(type: MessageType, number: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  nonce[0] = messageTypes[type];
  viewOf(nonce).setUint32(8, number);
  return nonce;
}

/** The number in a nonce of the old device; undefined when it is none of a message of this type. */
export function numberOf({ type, nonce }: Message): number | undefined {
  if (nonce[0] !== messageTypes[type] || nonce.subarray(1, 8).some((byte) => byte !== 0)) return undefined;
  return viewOf(nonce).getUint32(8);
}

export function offerBody(bytesMax: number): Uint8Array {
  const body = new Uint8Array(8);
  viewOf(body).setBigUint64(0, BigInt(bytesMax));
  return body;
}

export function endBody({ bytes, digest }: Pick<Standing, "bytes" | "digest">): Uint8Array {
  return concatBytes([offerBody(bytes), digest]);
}

export function cancelBody(code: number): Uint8Array {
  return Uint8Array.of(code >> 8, code & 0xff);
}

export function progressBody({ next, bytes, digest, wantsRepeat, isComplete }: Progress): Uint8Array {
  const body = new Uint8Array(1 + 4 + 8 + DIGEST_BYTES);
  body[0] = (wantsRepeat ? 1 : 0) | (isComplete ? 2 : 0);
  viewOf(body).setUint32(1, next);
  viewOf(body).setBigUint64(5, BigInt(bytes));
  body.set(digest, 13);
  return body;
}

// Bodies come out of a seal: one of another length was written by a peer that is wrong, and is told like a change.

export function readOffer(body: Uint8Array): number {
  return readBytes(sized(body, 8), 0);
}

export function readEnd(body: Uint8Array): Pick<Standing, "bytes" | "digest"> {
  sized(body, 8 + DIGEST_BYTES);
  return { bytes: readBytes(body, 0), digest: body.slice(8) };
}

export function readCancel(body: Uint8Array): number {
  return viewOf(sized(body, 2)).getUint16(0);
}

export function readProgress(body: Uint8Array): Progress {
  const flags = sized(body, 13 + DIGEST_BYTES)[0] as number;
  return {
    wantsRepeat: (flags & 1) !== 0,
    isComplete: (flags & 2) !== 0,
    next: viewOf(body).getUint32(1),
    bytes: readBytes(body, 5),
    digest: body.slice(13),
  };
}

function readBytes(body: Uint8Array, at: number): number {
  const bytes = viewOf(body).getBigUint64(at);
  if (bytes > BigInt(TRANSFER_BYTES_MAX)) throw tampered("it names more bytes than a transfer has");
  return Number(bytes);
}

function sized(body: Uint8Array, length: number): Uint8Array {
  if (body.length !== length) throw tampered("its length is wrong");
  return body;
}

export function tampered(text: string): InterlineError {
  return new InterlineError("transferTampered", { text });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * WebSocket frames from client to server with a mask key of zero: masking with
 * zero changes nothing, so a frame built once can be sent as it is. The rule
 * that keys are unpredictable (RFC 6455, 10.3) protects proxies from what web
 * pages send; a generator on the same machine has none in between.
 */
import { opcodes } from "./scanner.js";

/** The header of a masked frame for the longest payload. */
export const MASKED_HEADER_BYTES_MAX = 14;

export function maskedHeaderBytes(payloadBytes: number): number {
  if (payloadBytes < 126) return 6;
  return payloadBytes < 0x1_0000 ? 8 : MASKED_HEADER_BYTES_MAX;
}

/** Writes the header so that it ends at `end`; returns where it begins. */
export function writeMaskedHeader(view: DataView, end: number, payloadBytes: number): number {
  const at = end - maskedHeaderBytes(payloadBytes);
  view.setUint8(at, 0x80 | opcodes.binary);
  if (payloadBytes < 126) view.setUint8(at + 1, 0x80 | payloadBytes);
  else if (payloadBytes < 0x1_0000) {
    view.setUint8(at + 1, 0x80 | 126);
    view.setUint16(at + 2, payloadBytes);
  } else {
    view.setUint8(at + 1, 0x80 | 127);
    view.setUint32(at + 2, 0);
    view.setUint32(at + 6, payloadBytes);
  }
  view.setUint32(end - 4, 0);
  return at;
}

/** One message as bytes of its own; for the few that are not hot. */
export function maskedMessage(payload: Uint8Array, opcode: number = opcodes.binary): Uint8Array {
  const header = maskedHeaderBytes(payload.length);
  const message = new Uint8Array(header + payload.length);
  writeMaskedHeader(new DataView(message.buffer), header, payload.length);
  message[0] = 0x80 | opcode;
  message.set(payload, header);
  return message;
}

/**
 * WebSocket frames (RFC 6455, section 5.2) as a client sees them: writes masked
 * frames, reads unmasked ones. Pure: bytes in, events out. Used only by
 * node-transport.ts.
 *
 *   | FIN 1, RSV 3, opcode 4 | MASK 1, length 7 | length 16 or 64 bit | mask 32 bit | payload |
 *
 * Invariant. No length is believed before it was held against MESSAGE_BYTES_MAX,
 * and nothing is allocated before the bytes are there.
 */
import { concatBytes } from "../base/bytes.js";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Far above what any node sends in one message; what a hostile server may make us hold. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

const FRAGMENTS_MAX = 4096;
const CONTROL_BYTES_MAX = 125;
const UINT32_RANGE = 0x1_0000_0000;

export type WebSocketEvent =
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  | { readonly kind: "ping"; readonly bytes: Uint8Array }
  | { readonly kind: "close"; readonly code: number; readonly reason: string }
  /** The server broke the protocol: close with this code. Nothing can be read after it. */
  | { readonly kind: "bad"; readonly code: 1002 | 1009; readonly reason: string };

/** One whole frame with FIN set. */
export function encodeWebSocketFrame(opcode: number, payload: Uint8Array, mask: Uint8Array): Uint8Array {
  const { length } = payload;
  const headBytes = length < 126 ? 6 : length < 0x1_0000 ? 8 : 14;
  const frame = new Uint8Array(headBytes + length);
  const view = new DataView(frame.buffer);
  frame[0] = 0x80 | opcode;
  if (headBytes === 6) frame[1] = 0x80 | length;
  else if (headBytes === 8) {
    frame[1] = 0x80 | 126;
    view.setUint16(2, length);
  } else {
    frame[1] = 0x80 | 127;
    view.setUint32(2, Math.floor(length / UINT32_RANGE));
    view.setUint32(6, length % UINT32_RANGE);
  }
  frame.set(mask, headBytes - 4);
  for (let i = 0; i < length; i++) {
    frame[headBytes + i] = (payload[i] as number) ^ (mask[i & 3] as number);
  }
  return frame;
}

interface Head {
  readonly final: boolean;
  readonly opcode: number;
  readonly headBytes: number;
  readonly length: number;
}

/** Takes bytes as they come and gives events; a message that came in one piece is a view of it. */
export class WebSocketReader {
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** Bytes that must be there before looking again makes sense. */
  #needed = 2;
  #fragments: Uint8Array[] = [];
  #fragmentBytes = 0;
  #fragmented = false;
  #bad = false;

  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#buffered += bytes.length;
  }

  /** The next event; undefined until more bytes come. */
  next(): WebSocketEvent | undefined {
    while (!this.#bad && this.#buffered >= this.#needed) {
      const bytes = this.#joined();
      const head = readHead(bytes);
      if (head === undefined) {
        this.#needed = this.#buffered + 1;
        return undefined;
      }
      if ("kind" in head) return this.#fail(head);
      const frameBytes = head.headBytes + head.length;
      if (this.#buffered < frameBytes) {
        this.#needed = frameBytes;
        return undefined;
      }
      const rest = bytes.subarray(frameBytes);
      this.#chunks = [rest];
      this.#buffered = rest.length;
      this.#needed = 2;
      const event = this.#frame(head, bytes.subarray(head.headBytes, frameBytes));
      if (event?.kind === "bad") return this.#fail(event);
      if (event !== undefined) return event;
    }
    return undefined;
  }

  #fail(event: WebSocketEvent): WebSocketEvent {
    this.#bad = true;
    return event;
  }

  #frame(head: Head, payload: Uint8Array): WebSocketEvent | undefined {
    if (head.opcode === opcodes.ping) return { kind: "ping", bytes: payload };
    if (head.opcode === opcodes.pong) return undefined;
    if (head.opcode === opcodes.close) return closeEvent(payload);
    const continues = head.opcode === opcodes.continuation;
    if (continues !== this.#fragmented) return bad("a fragment out of place");
    if (head.final && !continues) return messageEvent(head.opcode, payload);
    if (!continues && head.opcode !== opcodes.binary) return bad("a text message");
    this.#fragmentBytes += payload.length;
    if (this.#fragmentBytes > MESSAGE_BYTES_MAX || this.#fragments.length === FRAGMENTS_MAX)
      return tooLarge();
    this.#fragments.push(payload);
    this.#fragmented = !head.final;
    if (!head.final) return undefined;
    const whole = concatBytes(this.#fragments);
    this.#fragments = [];
    this.#fragmentBytes = 0;
    return { kind: "message", bytes: whole };
  }

  #joined(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [concatBytes(this.#chunks)];
    return this.#chunks[0] as Uint8Array;
  }
}

/** The head of the frame these bytes begin with; undefined when it is not all there. */
function readHead(bytes: Uint8Array): Head | WebSocketEvent | undefined {
  const first = bytes[0] as number;
  const second = bytes[1] as number;
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0) return bad("a reserved bit is set");
  if ((second & 0x80) !== 0) return bad("a server's frame is masked");
  if (!Object.values<number>(opcodes).includes(opcode)) return bad("an unknown opcode");
  const short = second & 0x7f;
  if (opcode >= 8 && (!final || short > CONTROL_BYTES_MAX)) return bad("a control frame is too long");
  const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < headBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headBytes);
  let length = short;
  if (short === 126) length = view.getUint16(2);
  if (short === 127) length = view.getUint32(2) * UINT32_RANGE + view.getUint32(6);
  if (length > MESSAGE_BYTES_MAX) return tooLarge();
  return { final, opcode, headBytes, length };
}

function messageEvent(opcode: number, bytes: Uint8Array): WebSocketEvent {
  return opcode === opcodes.binary ? { kind: "message", bytes } : bad("a text message");
}

function closeEvent(payload: Uint8Array): WebSocketEvent {
  if (payload.length === 0) return { kind: "close", code: 1005, reason: "" };
  if (payload.length === 1) return bad("a close frame of one byte");
  const code = ((payload[0] as number) << 8) | (payload[1] as number);
  return { kind: "close", code, reason: new TextDecoder().decode(payload.subarray(2)) };
}

function bad(reason: string): WebSocketEvent {
  return { kind: "bad", code: 1002, reason };
}

function tooLarge(): WebSocketEvent {
  return { kind: "bad", code: 1009, reason: "a message is too large" };
}

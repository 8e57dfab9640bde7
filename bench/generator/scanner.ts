/**
 * Cuts what sockets deliver (reads.ts) into WebSocket messages, without a copy
 * and without an object per message (RFC 6455, server to client).
 *
 *   0: FIN 1, RSV 0, opcode 2   1: MASK 0, length 7 bits   then
 *   length < 126: nothing more | 126: u16 | 127: u64        payload
 *
 * A message is handed on in parts as it arrives, because a message may hold
 * many protocol frames and be longer than a read. A text is handed on whole, to
 * readers that take any. Fragmented messages, masked frames, other texts and
 * extensions are errors: no server measured here sends them.
 */
import { type ReadMemory, Scanner } from "./reads.js";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface MessageReader {
  /**
   * A part of one message's payload, in [at, end) of `bytes`. Returns where it
   * stopped: the bytes from there on come again, with more behind them. `last`:
   * the payload ends at `end`, and everything must be taken.
   */
  payload(connection: number, bytes: Uint8Array, at: number, end: number, last: boolean): number;
  /** Default false. */
  readonly takesText?: boolean;
  /** A whole ping, pong or close frame, or text. */
  control(connection: number, opcode: number, bytes: Uint8Array, at: number, end: number): void;
}

export class FrameScanner extends Scanner {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #reader: MessageReader;
  readonly #takesText: boolean;
  /** Per connection: payload bytes of the present message that are still to come. */
  readonly #remaining: Float64Array;

  constructor(connections: number, memory: ReadMemory, reader: MessageReader) {
    super(connections, memory);
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#reader = reader;
    this.#takesText = reader.takesText ?? false;
    this.#remaining = new Float64Array(connections);
  }

  override reset(connection: number): void {
    super.reset(connection);
    this.#remaining[connection] = 0;
  }

  protected override cut(connection: number, from: number, end: number): number {
    const bytes = this.#bytes;
    let at = from;
    let remaining = this.#remaining[connection]!;
    while (at < end) {
      if (remaining === 0) {
        const header = this.#headerBytes(at, end);
        if (header === 0) break;
        const length = this.#payloadBytes(at, header);
        const opcode = bytes[at]! & 0x0f;
        if (opcode !== opcodes.binary) {
          if (at + header + length > end) break;
          this.#reader.control(connection, opcode, bytes, at + header, at + header + length);
          at += header + length;
          continue;
        }
        at += header;
        remaining = length;
      }
      const stop = Math.min(end, at + remaining);
      const last = stop === at + remaining;
      const taken = this.#reader.payload(connection, bytes, at, stop, last) - at;
      remaining -= taken;
      at += taken;
      if (at < stop) {
        if (last) throw new Error("a message of the server ends inside a protocol frame");
        break;
      }
    }
    this.#remaining[connection] = remaining;
    return at;
  }

  /** The length of the header that begins at `at`; 0 when it is not all there. */
  #headerBytes(at: number, end: number): number {
    if (end - at < 2) return 0;
    const first = this.#bytes[at]!;
    const second = this.#bytes[at + 1]!;
    const opcode = first & 0x0f;
    const isControl = opcode >= opcodes.close && opcode <= opcodes.pong;
    const isMessage = opcode === opcodes.binary || (this.#takesText && opcode === opcodes.text);
    if ((first & 0xf0) !== 0x80 || (second & 0x80) !== 0 || !(isControl || isMessage)) {
      throw new Error(`the server sent a frame that no server measured here sends (${first}, ${second})`);
    }
    if (isControl && second > 125) throw new Error("a control frame of the server is too long");
    const header = second < 126 ? 2 : second === 126 ? 4 : 10;
    return end - at < header ? 0 : header;
  }

  #payloadBytes(at: number, header: number): number {
    if (header === 2) return this.#bytes[at + 1]!;
    if (header === 4) return this.#view.getUint16(at + 2);
    return this.#view.getUint32(at + 2) * 0x1_0000_0000 + this.#view.getUint32(at + 6);
  }
}

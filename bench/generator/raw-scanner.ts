/**
 * For dialects of plain TCP: every read goes to the dialect as it came, with what
 * the dialect left of the read before in front of it. The dialect finds its own
 * frames.
 */
import { type ReadMemory, Scanner } from "./reads.js";

export interface StreamReader {
  /**
   * Bytes of one connection, in [at, end) of the scanner's memory. Returns where
   * it stopped: the bytes from there on come again, with more behind them. It may
   * write over what it has taken.
   */
  read(connection: number, bytes: Uint8Array, at: number, end: number): number;
}

export class RawScanner extends Scanner {
  readonly #reader: StreamReader;

  constructor(connections: number, memory: ReadMemory, reader: StreamReader) {
    super(connections, memory);
    this.#reader = reader;
  }

  protected override cut(connection: number, from: number, end: number): number {
    return this.#reader.read(connection, this.memory.bytes, from, end);
  }
}

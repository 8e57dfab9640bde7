/**
 * What sockets deliver, before anything is cut out of it: one buffer for all
 * connections of the process, because a read is scanned before the next begins.
 * What a scanner could not take yet (the first bytes of a frame) is kept per
 * connection and put in front of the next read, in the buffer's headroom:
 *
 *   | headroom … [kept bytes] | read … |
 *
 * A process has one scanner: of WebSocket messages (scanner.ts), or of a
 * protocol that is spoken over plain TCP (raw-scanner.ts).
 */
import { assert } from "../../src/base/assert.js";

const HEADROOM_BYTES = 160 * 1024;
const READ_BYTES = 256 * 1024;

/** The one buffer that all sockets of the process read into, with its headroom. */
export class ReadMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where a socket's read goes. */
  readonly readBuffer: Buffer;

  constructor() {
    const memory = new ArrayBuffer(HEADROOM_BYTES + READ_BYTES);
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.readBuffer = Buffer.from(memory, HEADROOM_BYTES);
  }
}

export abstract class Scanner {
  readonly memory: ReadMemory;
  readonly #kept: (Uint8Array | undefined)[];

  constructor(connections: number, memory: ReadMemory) {
    this.memory = memory;
    this.#kept = new Array(connections).fill(undefined);
  }

  /** Forgets what a connection had begun; for one that is opened anew. */
  reset(connection: number): void {
    this.#kept[connection] = undefined;
  }

  /** Scans `length` bytes of the read buffer, from `skip` on. Throws on what no server may send. */
  scan(connection: number, length: number, skip = 0): void {
    const bytes = this.memory.bytes;
    const end = HEADROOM_BYTES + length;
    let at = HEADROOM_BYTES + skip;
    const kept = this.#kept[connection];
    if (kept !== undefined) {
      at -= kept.length;
      bytes.set(kept, at);
      this.#kept[connection] = undefined;
    }
    at = this.cut(connection, at, end);
    if (at === end) return;
    assert(end - at <= HEADROOM_BYTES, "an unfinished frame fits the headroom");
    this.#kept[connection] = bytes.slice(at, end);
  }

  /** Hands on what is whole in [from, end) of the memory; returns where it stopped. */
  protected abstract cut(connection: number, from: number, end: number): number;
}

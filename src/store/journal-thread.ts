/**
 * The thread that writes the journal's file. The node's own thread lays a block
 * out in the memory that both share and asks for it to be written; this one
 * computes the CRC, writes and flushes, and says so. It sleeps in between.
 *
 * Why a thread of its own: a busy event loop learns of a write that libuv has
 * done for it only when it next polls, one or two turns later; a word in shared
 * memory can be looked at within the turn. And a thousand sign-ins in libuv's
 * pool do not stand before a receipt.
 *
 * Written with O_DIRECT and O_DSYNC where the system has both: the bytes go to
 * the disk without a copy in the page cache, and the write returns when they
 * are there (measured, 3 MB at a time: 98 µs CPU per MB, against 613 through
 * LMDB and 263 with a buffered write and fdatasync). Where a file system
 * refuses that (EINVAL), and on systems without these flags, it is a buffered
 * write and fdatasync.
 */
import { closeSync, constants, fdatasyncSync, openSync, writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { sealBlock } from "./journal-block.js";
import {
  BLOCK_BYTES,
  FINISHED,
  HAS_FAILED,
  type JournalThreadData,
  type JournalThreadMessage,
  PADDED_BYTES,
  POSITION,
  REQUESTED,
} from "./journal-control.js";

const WITHOUT_CACHE = (constants.O_DIRECT ?? 0) | (constants.O_DSYNC ?? 0);
const CAN_BYPASS_CACHE = Boolean(constants.O_DIRECT && constants.O_DSYNC);

class JournalWriter {
  private descriptor = -1;
  private bypassesCache = CAN_BYPASS_CACHE;

  constructor(private readonly path: string) {
    this.open();
  }

  private open(): void {
    const flags = constants.O_RDWR | constants.O_CREAT;
    try {
      this.descriptor = openSync(this.path, flags | (this.bypassesCache ? WITHOUT_CACHE : 0), 0o600);
    } catch (error) {
      if (!this.refusesBypass(error)) throw error;
      this.descriptor = openSync(this.path, flags, 0o600);
    }
  }

  /** EINVAL says that nothing was written and nothing is wrong with the disk: it has to be asked in another way. */
  private refusesBypass(error: unknown): boolean {
    if (!this.bypassesCache || (error as NodeJS.ErrnoException).code !== "EINVAL") return false;
    this.bypassesCache = false;
    return true;
  }

  write(bytes: Uint8Array, position: number): void {
    try {
      this.writeAll(bytes, position);
    } catch (error) {
      if (!this.refusesBypass(error)) throw error;
      this.close();
      this.open();
      this.writeAll(bytes, position);
    }
    if (!this.bypassesCache) fdatasyncSync(this.descriptor);
  }

  private writeAll(bytes: Uint8Array, position: number): void {
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(this.descriptor, bytes, at, bytes.length - at, position + at);
    }
  }

  close(): void {
    if (this.descriptor >= 0) closeSync(this.descriptor);
    this.descriptor = -1;
  }
}

function run({ path, control, memory }: JournalThreadData): void {
  const words = new Int32Array(control);
  const floats = new Float64Array(control);
  const bytes = new Uint8Array(memory.buffer);
  const say = (message: JournalThreadMessage): void => parentPort?.postMessage(message);
  const writer = new JournalWriter(path);
  say({ ready: true });
  for (let requested = 0; ; ) {
    Atomics.wait(words, REQUESTED, requested);
    requested = Atomics.load(words, REQUESTED);
    const blockBytes = words[BLOCK_BYTES] as number;
    if (blockBytes === 0) break;
    try {
      sealBlock(bytes.subarray(0, blockBytes));
      writer.write(bytes.subarray(0, words[PADDED_BYTES]), floats[POSITION] as number);
    } catch (error) {
      Atomics.store(words, HAS_FAILED, 1);
      say({ failure: (error as Error).message });
    }
    Atomics.store(words, FINISHED, requested);
    Atomics.notify(words, FINISHED);
    say({ finished: requested });
  }
  writer.close();
}

run(workerData as JournalThreadData);

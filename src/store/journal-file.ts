/**
 * The journal's file and the thread that writes it (journal-thread.ts): one
 * block at a time. A write that failed ends it: nothing is written after.
 */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { assert } from "../base/assert.js";
import { limits } from "../rules/limits.js";
import { BLOCK_HEADER_BYTES, type BlockHeader, paddedBytes, writeBlockHeader } from "./journal-block.js";
import {
  BLOCK_BYTES,
  CONTROL_BYTES,
  FINISHED,
  HAS_FAILED,
  type JournalThreadData,
  type JournalThreadMessage,
  PADDED_BYTES,
  POSITION,
  REQUESTED,
} from "./journal-control.js";
import { JournalPlaces } from "./journal-places.js";
import { Watchdog } from "./watchdog.js";

const WASM_PAGE_BYTES = 65_536;

/** A block on its way to the disk. */
export interface BlockWrite {
  /** Resolves when it is there; rejects when it failed or did not come back in time. */
  readonly durable: Promise<void>;
  /** Whether it is there by now; waits up to `waitMs` for it, holding the thread. */
  isDurable(waitMs: number): boolean;
}

export class JournalFile {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #control = new SharedArrayBuffer(CONTROL_BYTES);
  readonly #words = new Int32Array(this.#control);
  readonly #floats = new Float64Array(this.#control);
  readonly #block: Uint8Array;
  readonly #watchdog: Watchdog;
  readonly #tag: number;
  readonly #onFailure: (error: Error) => void;
  readonly #places = new JournalPlaces();
  #underWay: { settled: Promise<void>; resolve: () => void; reject: (error: Error) => void } | undefined;
  #error: Error | undefined;
  #onReady: (() => void) | undefined;
  #isClosed = false;

  private constructor(
    path: string,
    options: { tag: number; timeoutMs: number; onFailure: (error: Error) => void },
  ) {
    this.#tag = options.tag;
    this.#onFailure = options.onFailure;
    const pages = Math.ceil(limits.journalBlockBytesMax / WASM_PAGE_BYTES);
    // Reserved, and memory only as far as blocks have ever reached.
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#block = new Uint8Array(memory.buffer);
    this.#watchdog = new Watchdog(options.timeoutMs, (error) => this.#fail(error));
    const workerData: JournalThreadData = { path, control: this.#control, memory };
    this.#worker = new Worker(threadFile(), { workerData, execArgv: [], stdout: true, stderr: true });
    this.#worker.on("message", (message: JournalThreadMessage) => this.#hear(message));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        resolve();
        if (!this.#isClosed) this.#fail(new Error("the journal's thread has ended"));
      });
    });
  }

  /** `onFailure` is called once, with the first failure. */
  static async open(
    path: string,
    options: { tag: number; timeoutMs: number; onFailure: (error: Error) => void },
  ): Promise<JournalFile> {
    const file = new JournalFile(path, options);
    await new Promise<void>((resolve) => {
      file.#onReady = resolve;
    });
    if (file.#error) throw file.#error;
    file.#worker.unref();
    return file;
  }

  /** How far the file was written since it was opened. */
  get fileBytes(): number {
    return this.#places.fileBytes;
  }

  /** Blocks that are not yet freed. */
  get blockCount(): number {
    return this.#places.count;
  }

  /** Begins to write a block of these parts, which are copied; its records come first. */
  write(header: Pick<BlockHeader, "number" | "timeMs" | "lastRecord">, parts: Parts): BlockWrite {
    assert(this.#underWay === undefined && !this.#isClosed, "one block at a time");
    assert(this.#error === undefined, "nothing is written after a failure");
    const recordsBytes = this.#copy(parts.records, BLOCK_HEADER_BYTES) - BLOCK_HEADER_BYTES;
    const bytes = this.#copy([parts.dedupKeys], BLOCK_HEADER_BYTES + recordsBytes);
    const padded = paddedBytes(bytes);
    this.#block.fill(0, bytes, padded);
    writeBlockHeader(this.#block, this.#tag, { bytes, recordsBytes, ...header });
    return this.#request(bytes, padded, this.#places.take(header.number, padded));
  }

  #copy(parts: readonly Uint8Array[], to: number): number {
    let at = to;
    for (const part of parts) {
      assert(at + part.length <= this.#block.length, "a block fits its memory");
      this.#block.set(part, at);
      at += part.length;
    }
    return at;
  }

  /** The blocks numbered up to `number` are spilled: their place may be written over. */
  free(number: number): void {
    this.#places.free(number);
  }

  #request(bytes: number, padded: number, position: number): BlockWrite {
    this.#words[BLOCK_BYTES] = bytes;
    this.#words[PADDED_BYTES] = padded;
    this.#floats[POSITION] = position;
    const { promise: durable, resolve, reject } = promiseWithResolvers();
    this.#underWay = { settled: durable.catch(() => {}), resolve, reject };
    this.#worker.ref();
    this.#watchdog.begin();
    const requested = (Atomics.add(this.#words, REQUESTED, 1) + 1) | 0;
    Atomics.notify(this.#words, REQUESTED);
    return { durable, isDurable: (waitMs) => this.#isFinished(requested, waitMs) };
  }

  #isFinished(requested: number, waitMs: number): boolean {
    const isThere = (): boolean => Atomics.load(this.#words, FINISHED) === requested;
    if (!isThere() && waitMs > 0) Atomics.wait(this.#words, FINISHED, (requested - 1) | 0, waitMs);
    // In this order: the thread says that it failed before it says that it has finished.
    if (!isThere() || this.#error !== undefined || Atomics.load(this.#words, HAS_FAILED) !== 0) return false;
    this.#finish();
    return true;
  }

  #hear(message: JournalThreadMessage): void {
    if ("failure" in message) this.#fail(new Error(message.failure));
    else if ("ready" in message) this.#onReady?.();
    else if (message.finished === Atomics.load(this.#words, REQUESTED)) this.#finish();
  }

  /** Once for each write, whether the thread's message or a look at the shared word comes first. */
  #finish(): void {
    const write = this.#underWay;
    if (write === undefined || this.#error !== undefined) return;
    this.#underWay = undefined;
    this.#watchdog.end();
    this.#worker.unref();
    write.resolve();
  }

  #fail(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#watchdog.stop();
    this.#worker.unref();
    this.#underWay?.reject(error);
    this.#underWay = undefined;
    this.#onFailure(error);
    this.#onReady?.();
  }

  /** A write is overdue: it may still come, whenever the system lets go of it. */
  get isStuck(): boolean {
    return this.#watchdog.isOverdue;
  }

  /** Ends the thread; what it is writing is waited for, unless it is overdue. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    while (this.#underWay !== undefined) await this.#underWay.settled;
    this.#isClosed = true;
    this.#watchdog.stop();
    if (this.#watchdog.isOverdue) return;
    this.#worker.ref();
    this.#words[BLOCK_BYTES] = 0;
    Atomics.add(this.#words, REQUESTED, 1);
    Atomics.notify(this.#words, REQUESTED);
    await this.#exited;
  }
}

export interface Parts {
  readonly records: readonly Uint8Array[];
  readonly dedupKeys: Uint8Array;
}

function promiseWithResolvers(): {
  promise: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
} {
  let resolve = (): void => {};
  let reject = (_error: Error): void => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** The compiled thread (dist/src/store), whether this file runs compiled or as source. */
function threadFile(): string {
  const folder = import.meta.url.includes("/dist/src/") ? "./" : "../../dist/src/store/";
  return fileURLToPath(new URL(`${folder}journal-thread.js`, import.meta.url));
}

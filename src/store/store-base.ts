/**
 * What all parts of a store stand on: the lock of its directory, its database, and the one who writes to that.
 *
 * Invariant. Once a write has failed, or the store is closing, whatever is asked through here is refused.
 */
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import type { Database } from "./database.js";
import type { DirectoryLock } from "./lock.js";
import { type Work, Writer } from "./writer.js";

export class StoreBase {
  readonly database: Database;
  readonly writer: Writer;
  readonly timeoutMs: number;
  readonly #lock: DirectoryLock;
  #isClosing = false;

  constructor(database: Database, lock: DirectoryLock, timeoutMs: number = limits.commitTimeoutMs) {
    this.database = database;
    this.writer = new Writer(database, { timeoutMs });
    this.timeoutMs = timeoutMs;
    this.#lock = lock;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  refuseWhenEnded(): void {
    if (this.writer.error) throw this.writer.error;
    if (this.#isClosing) throw new CodedError("storageFailed", { detail: "the store is closed" });
  }

  /** Reads are only refused by a database that is broken: that ends the store like a failed write. */
  read<T>(read: () => T): T {
    this.refuseWhenEnded();
    try {
      return read();
    } catch (error) {
      this.writer.fail(error);
      throw this.writer.error ?? error;
    }
  }

  async submitSlow(work: Work): Promise<void> {
    this.refuseWhenEnded();
    await this.writer.submitSlow(work);
  }

  /** From now on everything is refused but what the writer itself is given. */
  beginClosing(): void {
    this.#isClosing = true;
  }

  /** `isStuck`: whether somebody else has a write that did not come back. */
  async close(isStuck = (): boolean => false): Promise<void> {
    this.beginClosing();
    await this.writer.idle();
    // What is stuck may still be written: the file and the lock are left to the end of the process.
    if (this.writer.isStuck || isStuck()) return;
    this.writer.stop();
    await this.database.close();
    this.#lock.release();
  }
}

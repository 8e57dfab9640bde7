/**
 * Small changes that read before they write: those that wait go into one transaction together, except that no two of them
 * touch the same thing in it. Each therefore decides by what is on disk, and a transaction holds at most one change of it.
 */
import { CodedError } from "../wire/coded-error.js";
import type { Batch } from "./database.js";
import type { Work, Writer } from "./writer.js";

interface Change {
  readonly keys: readonly string[];
  /** Returns what to do when it is on disk. */
  readonly stage: (batch: Batch) => (() => void) | Promise<() => void>;
  readonly reject: (error: unknown) => void;
}

export class Changes implements Work {
  readonly #writer: Writer;
  #waiting: Change[] = [];
  #underWay: Change[] = [];
  #isAsked = false;

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  /**
   * `stage` reads, and either throws a CodedError before it has put anything, or puts its rows and returns the promise's
   * value; at once, or in its own time. `keys` name what it touches.
   */
  add<T>(keys: readonly string[], stage: (batch: Batch) => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const refused = (error: unknown): (() => void) => {
        if (!(error instanceof CodedError)) throw error;
        return () => reject(error);
      };
      const done = (value: T): (() => void) => {
        return () => resolve(value);
      };
      const staged = (batch: Batch): (() => void) | Promise<() => void> => {
        try {
          const value = stage(batch);
          return value instanceof Promise ? value.then(done, refused) : done(value);
        } catch (error) {
          return refused(error);
        }
      };
      this.#waiting.push({ keys, stage: staged, reject });
      this.#ask();
    });
  }

  /** An idle writer stages at once, inside submitPrompt. */
  #ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#writer.submitPrompt(this).catch((error) => {
      for (const { reject } of [...this.#underWay.splice(0), ...this.#waiting.splice(0)]) reject(error);
    });
  }

  stage(batch: Batch): boolean | Promise<boolean> {
    this.#isAsked = false;
    const touched = new Set<string>();
    const later: Change[] = [];
    const taken: Change[] = [];
    for (const change of this.#waiting.splice(0)) {
      const isFree = !change.keys.some((key) => touched.has(key));
      for (const key of change.keys) touched.add(key);
      if (!isFree) {
        later.push(change);
        continue;
      }
      taken.push(change);
    }
    this.#waiting = later;
    this.#underWay = taken;
    return this.#stageFrom(batch, 0);
  }

  #stageFrom(batch: Batch, from: number): boolean | Promise<boolean> {
    for (let i = from; i < this.#underWay.length; i++) {
      const then = (this.#underWay[i] as Change).stage(batch);
      if (then instanceof Promise) {
        return then.then((staged) => {
          batch.whenWritten(staged);
          return this.#stageFrom(batch, i + 1);
        });
      }
      batch.whenWritten(then);
    }
    batch.whenWritten(() => {
      this.#underWay = [];
      if (this.#waiting.length > 0) this.#ask();
    });
    return true;
  }
}

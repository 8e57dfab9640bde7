/**
 * The data directory itself: made with its parents where it is not there, and
 * refused in a sentence where it can be neither made nor written.
 */
import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CodedError } from "../wire/coded-error.js";

/**
 * Makes the directory, readable for its owner alone, and it and its parents durable entries of theirs.
 * Throws CodedError badConfiguration where it may not be made or written: another path, or other rights, are wanted.
 */
export function makeDataDirectory(directory: string): void {
  let firstMade: string | undefined;
  try {
    firstMade = mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const detail = `the data directory cannot be used: ${(cause as Error).message}`;
    throw new CodedError("badConfiguration", { detail, cause, fatal: true });
  }
  if (firstMade === undefined) return;
  const top = dirname(resolve(firstMade));
  for (let made = resolve(directory); made !== top; made = dirname(made)) syncDirectory(dirname(made));
}

/** Flushes a directory's entries: LMDB flushes its file, but not that the file is there. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Windows has no such flush and needs none.
    if (process.platform !== "win32") throw error;
  } finally {
    closeSync(descriptor);
  }
}

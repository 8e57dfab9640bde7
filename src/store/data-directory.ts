/**
 * The data directory itself: made with its parents where it is not there, and
 * refused in a sentence where it can be neither made nor written.
 */
import { accessSync, closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CodedError } from "../wire/coded-error.js";

/** For its owner alone. */
const MODE = 0o700;

/**
 * Makes the directory, readable for its owner alone, and it and its parents durable entries of theirs.
 * Throws CodedError badConfiguration where it may not be made or written: another path, or other rights, are wanted.
 */
export function makeDataDirectory(directory: string): void {
  let firstMade: string | undefined;
  try {
    firstMade = makeTopmost(resolve(directory));
    const nextMade = mkdirSync(directory, { recursive: true, mode: MODE });
    firstMade ??= nextMade;
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const detail = `the data directory cannot be used: ${(cause as Error).message}`;
    throw new CodedError("badConfiguration", { detail, cause, fatal: true });
  }
  if (firstMade === undefined) return;
  const top = dirname(resolve(firstMade));
  for (let made = resolve(directory); made !== top; made = dirname(made)) syncDirectory(dirname(made));
}

/**
 * Makes the highest of the directory and its parents that is not there, and tells which that was. Node.js 20 makes parents for
 * ever where the system says ENOENT although all of them are there, as it does of everything below /proc.
 */
function makeTopmost(directory: string): string | undefined {
  if (existsSync(directory)) return undefined;
  if (!existsSync(dirname(directory))) return makeTopmost(dirname(directory));
  try {
    mkdirSync(directory, { mode: MODE });
  } catch (error) {
    // Somebody else was faster, or it is a link to nowhere, which is told where the rest is made.
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
  return directory;
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

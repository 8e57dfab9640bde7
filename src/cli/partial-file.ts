/**
 * The file into which `interline transfer` receives, as the application that a transfer asks to store what comes:
 *
 *   FILE.part       the bytes so far        FILE.transfer   the state that goes with them
 *
 * Bytes are on the disk before the state that counts them, and the state is put in place by a rename, so that a process
 * that dies at any moment leaves a state whose bytes are there. The file gets its name when it is whole.
 */
import { existsSync, readFileSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { TransferPart } from "../client/transfer.js";
import { CliError } from "./output.js";

const PRIVATE = 0o600;

export class PartialFile {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Opens what an earlier run has left, or begins. */
  static async open(path: string): Promise<{ file: PartialFile; state: Uint8Array | undefined }> {
    if (existsSync(path)) throw new CliError(`${path} exists: name a file that does not`);
    const statePath = `${path}.transfer`;
    const state = existsSync(statePath) ? new Uint8Array(readFileSync(statePath)) : undefined;
    const part = await open(`${path}.part`, state === undefined ? "w" : "r+", PRIVATE);
    return { file: new PartialFile(path, part), state };
  }

  async store({ offset, bytes, state }: TransferPart): Promise<void> {
    if (bytes.length > 0) {
      await this.#file.write(bytes, 0, bytes.length, offset);
      await this.#file.datasync();
    }
    const statePath = `${this.#path}.transfer`;
    const next = await open(`${statePath}.new`, "w", PRIVATE);
    try {
      await next.writeFile(state);
      await next.datasync();
    } finally {
      await next.close();
    }
    await rename(`${statePath}.new`, statePath);
  }

  /** All of it has come. */
  async finish(): Promise<void> {
    await this.#file.datasync();
    await rename(`${this.#path}.part`, this.#path);
    await rm(`${this.#path}.transfer`);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** What `send` and `signal` carry: bytes from the command line, a file, or standard input. They go as they are. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { CliError, exitCodes } from "./output.js";

export interface PayloadFlags {
  readonly text?: string;
  readonly file?: string;
}

export function withPayloadOptions(command: Command): Command {
  return command
    .option("-x, --text <text>", "the payload, as text")
    .option("-f, --file <path>", "the payload, from a file; - for standard input");
}

export function payloadOf({ text, file }: PayloadFlags): Uint8Array {
  if ((text === undefined) === (file === undefined)) {
    throw new CliError("say what to send: either --text or --file", exitCodes.usage);
  }
  return text === undefined ? bytesOfFile(file as string) : new TextEncoder().encode(text);
}

/** `-` is standard input. */
export function bytesOfFile(path: string): Uint8Array {
  try {
    return readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

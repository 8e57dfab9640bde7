/** The options that verbs share, and how their values are read. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { defaultDataDirectory } from "../measure/environment.js";
import type { OutputFiles } from "../report/output.js";
import type { Verb, Workload } from "../workloads/schemas.js";
import { readWorkload } from "../workloads/workload-file.js";
import type { BuiltInWorkload, PairsWorkload } from "../workloads/workloads.js";

export interface CommonOptions extends OutputFiles {
  readonly smoke: boolean;
  readonly progress: boolean;
  readonly dataDirectory: string;
  /** A file with a workload of one's own, for the verb that is run. */
  readonly workload?: string;
}

/** Overrides of a pairs workload; absent ones leave the workload's own value. */
export interface PairsOptions extends CommonOptions {
  readonly devices?: number;
  readonly payloadBytes?: number;
  readonly inFlight?: readonly number[];
  readonly rounds?: number;
  readonly seconds?: number;
  readonly seed?: number;
}

export function withCommonOptions(command: Command): Command {
  return withRunOptions(command).option(
    "--data-directory <directory>",
    "where systems keep their data while they run",
    defaultDataDirectory(),
  );
}

/** Those of a verb that starts no system. */
export function withRunOptions(command: Command): Command {
  return command
    .option("--json <file>", "write the results to a file as JSON", writableFile)
    .option("--html <file>", "write the results to a file as a page with plots", writableFile)
    .option("--workload <file>", "a workload of your own, in place of the built-in one")
    .option("--smoke", "a few seconds in all, to see that everything works; the figures mean nothing", false)
    .option("--no-progress", "show nothing while it runs");
}

/** Said before a measurement of minutes rather than after it, when there is nowhere to put what it found. */
export function writableFile(path: string): string {
  try {
    const isThere = statSync(path, { throwIfNoEntry: false });
    if (isThere?.isDirectory()) throw new Error("it is a directory");
    accessSync(isThere === undefined ? dirname(path) : path, constants.W_OK);
    return path;
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be written: ${(error as Error).message}.`);
  }
}

export function withPairsOptions(command: Command): Command {
  return withCommonOptions(command)
    .option("--devices <n>", "devices, each with one connection", whole)
    .option("--payload-bytes <n>", "bytes of each payload", whole)
    .option("--in-flight <list>", "messages under way per device, as in 1,8,64", wholeList)
    .option("--rounds <n>", "rounds of each system, alternating", whole)
    .option("--seconds <n>", "length of each round's window", positive)
    .option("--seed <n>", "where the choice of targets starts", whole);
}

/** The workload with a command line's overrides. */
export function overridden(workload: PairsWorkload, options: PairsOptions): PairsWorkload {
  return {
    ...workload,
    devices: options.devices ?? workload.devices,
    payloadBytes: options.payloadBytes ?? workload.payloadBytes,
    inFlight: options.inFlight ?? workload.inFlight,
    rounds: options.rounds ?? workload.rounds,
    windowMs: options.seconds === undefined ? workload.windowMs : options.seconds * 1000,
    seed: options.seed ?? workload.seed,
  };
}

/** The built-in workload, or the one of `--workload`, at the size that was asked for. */
export function pick<V extends Verb>(
  builtIn: BuiltInWorkload<V>,
  options: Pick<CommonOptions, "smoke" | "workload">,
): Workload<V> {
  const sized = options.workload === undefined ? builtIn : readWorkload(options.workload, builtIn.verb);
  return options.smoke ? sized.smoke : sized.full;
}

export function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number above zero.");
  return value;
}

export function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 3600)) throw new InvalidArgumentError("It must be a number of seconds.");
  return value;
}

export function wholeList(text: string): number[] {
  return text.split(",").map(whole);
}

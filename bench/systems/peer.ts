/**
 * What systems have in common that are somebody else's: they must be installed
 * (bench/peers/install.sh), and are configured by a file of bench/peers.
 */
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, type Program } from "../process/program.js";
import { snapshotOf } from "./process-telemetry.js";
import type { RunningSystem, System } from "./system.js";

export interface Peer extends System {
  /** What is missing and how to get it; undefined when the peer can run. */
  missing(): string | undefined;
}

/** Where the installer puts npm packages, and says so itself. */
const PEERS_DIRECTORY = "INTERLINE_BENCH_PEERS";

/** From this file, and from its compiled form in dist/. */
const CONFIGURATIONS = ["../peers/", "../../../bench/peers/"];

/** A configuration file's text, with `${NAME}` replaced by the value of NAME. */
export function configuration(name: string, values: Readonly<Record<string, string | number>>): string {
  const paths = CONFIGURATIONS.map((folder) => fileURLToPath(new URL(folder + name, import.meta.url)));
  const path = paths.find(existsSync);
  if (path === undefined) throw new Error(`bench/peers/${name} is not there: peers run from a checkout only`);
  return readFileSync(path, "utf8").replaceAll(/\$\{([A-Z]+)\}/g, (_all, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`${path} asks for ${key}, which nobody gives it`);
    return String(value);
  });
}

/** The folder with the peers' node_modules. */
export function peersDirectory(): string {
  return process.env[PEERS_DIRECTORY] ?? join(tmpdir(), "interline-bench-peers");
}

/** For `missing` of a peer that is a program. */
export function missingProgram(peer: string, program: string): string | undefined {
  return findProgram(program) === undefined ? notInstalled(peer, `no ${program} on this machine`) : undefined;
}

/** For `missing` of a peer that is an npm package. */
export function missingPackage(peer: string, name: string): string | undefined {
  const folder = join(peersDirectory(), "node_modules", name);
  return existsSync(folder)
    ? undefined
    : notInstalled(peer, `no ${folder}; the folder is set by ${PEERS_DIRECTORY}`);
}

/** The file of a program that `missing` has found. */
export function installedProgram(name: string): string {
  const file = findProgram(name);
  if (file === undefined) throw new Error(`${name} is not installed`);
  return file;
}

/** What every program that serves devices has in common. */
export function runningProgram(program: Program, port: number): Omit<RunningSystem, "dialectFor"> {
  return {
    port,
    pid: program.pid,
    snapshot: async () => snapshotOf(program.pid),
    stop: () => program.stop(),
    kill: () => program.kill(),
  };
}

function notInstalled(peer: string, why: string): string {
  return `${peer} is not installed (${why}): run bench/peers/install.sh ${peer}`;
}

/**
 * Where a run took place: figures without it mean little. The disk's flush time
 * is measured, because receipts wait for it.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { arch, cpus, platform, release, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { chooseCores } from "../process/cores.js";
import { packageRoot } from "../process/package-root.js";
import { median } from "./statistics.js";

export interface Environment {
  readonly interline: string;
  readonly commit: string | null;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly serverCore: number | null;
  readonly generatorCore: number | null;
  readonly dataDirectory: string;
  readonly fileSystem: string;
  /** Median time to write 300 KB and flush them. */
  readonly flushMs: number;
  readonly warnings: readonly string[];
}

const FLUSH_BYTES = 300_000;
const FLUSHES = 20;
/** File systems that live in memory: a flush there proves nothing. */
const MEMORY_FILE_SYSTEMS = ["tmpfs", "ramfs"];

/** The system's temporary directory, or the present one when that is only memory. */
export function defaultDataDirectory(): string {
  return MEMORY_FILE_SYSTEMS.includes(fileSystemOf(tmpdir())) ? process.cwd() : tmpdir();
}

export function describeEnvironment(dataDirectory: string): Environment {
  const cores = chooseCores();
  const fileSystem = fileSystemOf(dataDirectory);
  const warnings = cores.warning === undefined ? [] : [cores.warning];
  if (MEMORY_FILE_SYSTEMS.includes(fileSystem)) {
    warnings.push(`${dataDirectory} is in memory (${fileSystem}): flushes cost nothing there`);
  }
  return {
    interline: packageVersion(),
    commit: commit(),
    node: process.version,
    v8: process.versions.v8,
    platform: `${platform()} ${arch()}`,
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    serverCore: cores.server ?? null,
    generatorCore: cores.generator ?? null,
    dataDirectory,
    fileSystem,
    flushMs: flushMs(dataDirectory),
    warnings,
  };
}

/** The type of the mount that holds a path, from /proc/mounts; "unknown" where there is none. */
function fileSystemOf(path: string): string {
  try {
    const mounts = readFileSync("/proc/mounts", "utf8").trimEnd().split("\n");
    const whole = `${resolve(path)}/`;
    const holding = mounts
      .map((line) => line.split(" "))
      .filter(([, point = ""]) => whole.startsWith(point.endsWith("/") ? point : `${point}/`))
      .sort(([, a = ""], [, b = ""]) => a.length - b.length);
    return holding.at(-1)?.[2] ?? "unknown";
  } catch {
    return "unknown";
  }
}

function flushMs(directory: string): number {
  const path = join(directory, `interline-bench-flush-${process.pid}`);
  const file = openSync(path, "w");
  const times: number[] = [];
  try {
    const bytes = new Uint8Array(FLUSH_BYTES);
    for (let i = 0; i < FLUSHES; i++) {
      const from = performance.now();
      writeSync(file, bytes, 0, bytes.length, 0);
      fdatasyncSync(file);
      times.push(performance.now() - from);
    }
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
  return median(times);
}

function packageVersion(): string {
  const text = readFileSync(join(packageRoot(), "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** Null for an installed package: the repository around it is somebody else's. */
function commit(): string | null {
  const root = packageRoot();
  if (!existsSync(join(root, ".git"))) return null;
  const git = spawnSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], { encoding: "utf8" });
  return git.status === 0 ? git.stdout.trim() : null;
}

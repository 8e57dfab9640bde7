/** Compiles a TypeScript program of the tests so that plain node can run it in a process of its own. */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";

export interface Bundle {
  /** The compiled program. */
  readonly path: string;
  cleanUp(): void;
}

export async function bundleProgram(source: string): Promise<Bundle> {
  const directory = mkdtempSync(join(tmpdir(), "interline-program-"));
  symlinkSync(resolve("node_modules"), join(directory, "node_modules"), "dir");
  const path = join(directory, "program.mjs");
  await build({
    entryPoints: [resolve(source)],
    outfile: path,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "silent",
  });
  return { path, cleanUp: () => rmSync(directory, { recursive: true, force: true }) };
}

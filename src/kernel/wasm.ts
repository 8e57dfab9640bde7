/**
 * Loads a built kernel: each module is compiled once in a process, and every kernel is an instance of its own.
 */
import { randomFillSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type Call = (...args: number[]) => number;

export interface Instance {
  readonly calls: Record<string, Call>;
  /** Said by shape: without the DOM's types an embedder has no namespace `WebAssembly`. */
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Where a region begins; known once `reserve` was called. */
  readonly region: (name: string) => number;
}

export function instantiate(build: "release" | "debug" | URL): Instance {
  const exports = new WebAssembly.Instance(compiled(build), { env: {} }).exports as Record<string, unknown>;
  return {
    calls: exports as Record<string, Call>,
    memory: exports.memory as WebAssembly.Memory,
    region: (name) => ((exports[name] as WebAssembly.Global).value as number) >>> 0,
  };
}

const modules = new Map<string, WebAssembly.Module>();

function compiled(build: "release" | "debug" | URL): WebAssembly.Module {
  let module = modules.get(`${build}`);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(build instanceof URL ? build : wasmFile(build)));
    modules.set(`${build}`, module);
  }
  return module;
}

/** Two numbers of random bits, all of which reach the kernel: a NaN would arrive as one and the same pattern. */
export function randomSeeds(): Float64Array {
  const bytes = randomFillSync(new Uint8Array(16));
  for (const exponentAt of [7, 15]) bytes[exponentAt] = (bytes[exponentAt] as number) & 0xbf;
  return new Float64Array(bytes.buffer);
}

/** The built kernel: beside the compiled sources (dist/kernel), whether this file runs compiled or as source. */
function wasmFile(build: string): string {
  const here = fileURLToPath(import.meta.url);
  const root = here.includes("/dist/src/") ? "../../kernel/" : "../../dist/kernel/";
  return fileURLToPath(new URL(`${root}${build}.wasm`, import.meta.url));
}

/**
 * Memory that a contestant takes, when all garbage is gone: on V8's heap if it keeps its entries as objects, outside
 * it if in typed arrays or in a linear memory. It takes Node's `--expose-gc`.
 */
import { assert } from "../../src/base/assert.js";

export type MemoryKind = "heap" | "buffers";

export function memoryBytes(kind: MemoryKind): number {
  assert(globalThis.gc !== undefined, "node runs with --expose-gc");
  // What was outside the heap is given back between two collections.
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return kind === "heap" ? heapUsed : external;
}

/** What `make` makes, and the memory that is used because of it. */
export function weighed<T extends { readonly memory: MemoryKind }>(
  make: () => T,
): { readonly made: T; readonly bytes: number } {
  const [heap, buffers] = [memoryBytes("heap"), memoryBytes("buffers")];
  const made = make();
  return { made, bytes: memoryBytes(made.memory) - (made.memory === "heap" ? heap : buffers) };
}

/** A directory for one run's data that is gone afterwards, even when the run is interrupted. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

const present = new Set<string>();

export async function withScratchDirectory<T>(
  parent: string,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  process.once("exit", removeAll);
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);
  const directory = mkdtempSync(join(parent, "interline-bench-"));
  present.add(directory);
  try {
    return await use(directory);
  } finally {
    remove(directory);
    process.off("exit", removeAll);
    process.off("SIGINT", leave);
    process.off("SIGTERM", leave);
  }
}

function leave(): void {
  process.exit(130);
}

function removeAll(): void {
  for (const directory of present) remove(directory);
}

function remove(directory: string): void {
  present.delete(directory);
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** The package's root, whether the harness runs from its source or from dist. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export function packageRoot(): string {
  const candidates = ["../..", "../../.."].map((up) => fileURLToPath(new URL(up, import.meta.url)));
  return candidates.find((root) => existsSync(join(root, "package.json"))) ?? process.cwd();
}

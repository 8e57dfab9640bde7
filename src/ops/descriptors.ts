/**
 * How many file descriptors this process may have: every socket takes one, and
 * a node that runs out of them cannot even refuse a connection politely.
 */
import { readFileSync } from "node:fs";

/** For the store, the log, keys being fetched, and what Node.js itself holds. */
const SPARE = 200;

/** The limit, or undefined where the system does not tell (it does on Linux). */
export function descriptorLimit(): number | undefined {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** A sentence for the operator when the connections wanted do not fit; undefined when they do. */
export function descriptorAdvice(
  wanted: { readonly connectionsMax: number; readonly headReserveMax: number },
  limit = descriptorLimit(),
): string | undefined {
  const needed = wanted.connectionsMax + wanted.headReserveMax + SPARE;
  if (limit === undefined || needed <= limit) return undefined;
  return `connectionsMax ${wanted.connectionsMax} needs about ${needed} file descriptors and the process may have ${limit}: raise the limit (ulimit -n) or lower limits.connectionsMax`;
}

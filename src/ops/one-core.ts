/**
 * What a node with one core to itself should be started with. The threads in which V8 collects garbage then have nowhere to
 * run but in the loop's way: each takes the core for a slice of the scheduler's while the loop waits for it. And a
 * smaller young generation is collected more often, in shorter pauses (bench/README.md has the figures).
 *
 * Flags of the process, for whoever starts it: V8 does not take them later.
 */
import { availableParallelism } from "node:os";

export const oneCoreFlags = ["--single-threaded-gc", "--max-semi-space-size=4"] as const;

/** A sentence for the operator of a node that has one core and was started without the flags; undefined for any other. */
export function oneCoreAdvice(
  cores = availableParallelism(),
  flags: readonly string[] = process.execArgv,
): string | undefined {
  if (cores > 1 || oneCoreFlags.every((flag) => flags.includes(flag))) return undefined;
  return `one core: start as node ${oneCoreFlags.join(" ")} "$(command -v interline)" serve for shorter pauses`;
}

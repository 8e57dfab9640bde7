/**
 * Our own bugs end the process: an assertion stays on in production, because a
 * router that goes on with a broken invariant loses messages silently.
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws AssertionError when `condition` is false. Never for bad input: that gets a code (wire/codes.ts). */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

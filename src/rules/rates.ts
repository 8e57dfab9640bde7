/**
 * How often something may happen on average, and how much of it at once. Pure: the caller keeps the bucket and says what
 * time it is. A bucket holds time that has passed unused; one use takes the time that is between two at the average.
 */

export interface Bucket {
  unusedMs: number;
  /** Monotonic. */
  seenMs: number;
}

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export function fullBucket({ perSecond, burst }: Rate, nowMs: number): Bucket {
  return { unusedMs: (burst * 1000) / perSecond, seenMs: nowMs };
}

/** Takes one use. 0 when there was one; else how long until there is one again. */
export function takeUse(bucket: Bucket, { perSecond, burst }: Rate, nowMs: number): number {
  const useMs = 1000 / perSecond;
  bucket.unusedMs = Math.min(burst * useMs, bucket.unusedMs + Math.max(0, nowMs - bucket.seenMs));
  bucket.seenMs = nowMs;
  if (bucket.unusedMs < useMs) return Math.ceil(useMs - bucket.unusedMs);
  bucket.unusedMs -= useMs;
  return 0;
}

/**
 * How much may happen at once, and how often on average: a token bucket, as one number, the time at which it will be full
 * again. A full bucket is any time that has passed, so that it need not be stored; an empty one lies `tokens × refillMs`
 * ahead. Each token spent moves it by `refillMs`. Pure: the caller keeps the number, and says what time it is by whichever
 * clock suits, always the same one.
 *
 * A bucket that is stored may be read by another clock than it was made by. By one that is ahead it fills, as if the time had
 * passed. By one that is behind it is empty at most; behind by more than the bucket is long, nothing is known of it, and it
 * is full: else it would give nothing until that clock gets there.
 */
export interface BucketSize {
  readonly tokens: number;
  /** One token comes back after this long. */
  readonly refillMs: number;
}

export interface Spending {
  readonly isAllowed: boolean;
  /** The bucket afterwards. */
  readonly fullAtMs: number;
  /** How long until it is allowed, in whole milliseconds; 0 when it is. */
  readonly retryAfterMs: number;
}

/** For one of two shares. */
export function half({ tokens, refillMs }: BucketSize): BucketSize {
  return { tokens: Math.ceil(tokens / 2), refillMs: refillMs * 2 };
}

/** A token that is this near is there: times with fractions do not add up exactly. */
const ROUNDING_MS = 0.01;

/** Takes so many tokens out of the bucket, if there are as many. */
export function spend(
  fullAtMs: number,
  { tokens, refillMs }: BucketSize,
  nowMs: number,
  count = 1,
): Spending {
  const lengthMs = tokens * refillMs;
  const emptyMs = nowMs + lengthMs;
  const isKnown = fullAtMs <= emptyMs + lengthMs;
  const before = isKnown ? Math.min(Math.max(fullAtMs, nowMs), emptyMs) : nowMs;
  const after = before + count * refillMs;
  const missingMs = after - emptyMs;
  if (missingMs <= ROUNDING_MS) return { isAllowed: true, fullAtMs: after, retryAfterMs: 0 };
  return { isAllowed: false, fullAtMs: before, retryAfterMs: Math.ceil(missingMs - ROUNDING_MS / 2) };
}

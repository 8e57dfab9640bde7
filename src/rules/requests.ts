/** Whether a connection may have one more request served: the bounds that hold for every method. */
import type { CodeName } from "../wire/codes.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { spend } from "./token-bucket.js";

/** What one connection has asked for. */
export interface RequestMeter {
  underWay: number;
  /** The bucket of its rate (token-bucket.ts), by the monotonic clock. */
  fullAtMs: number;
}

export interface RequestBounds {
  readonly requestsUnderWayMax: number;
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
}

/** How a request ended: code undefined means done, and the body is the method's; else what the refusal says beyond its code. */
export interface RequestOutcome {
  readonly code?: CodeName;
  readonly retryAfterMs?: number;
  readonly body?: MsgpackMap;
}

/** A connection with too much under way is told to come back when some of it may be done. */
const UNDER_WAY_RETRY_MS = 100;

/** Counts the request as under way and returns undefined, or says why not. One line per rule, in order of precedence. */
export function admitRequest(
  meter: RequestMeter,
  bounds: RequestBounds,
  nowMs: number,
): RequestOutcome | undefined {
  const size = { tokens: bounds.requestsBurst, refillMs: 1_000 / bounds.requestsPerSecond };
  if (meter.underWay >= bounds.requestsUnderWayMax)
    return { code: "tooManyRequests", retryAfterMs: UNDER_WAY_RETRY_MS };
  const { fullAtMs, isAllowed, retryAfterMs } = spend(meter.fullAtMs, size, nowMs);
  if (!isAllowed) return { code: "rateLimited", retryAfterMs };
  meter.fullAtMs = fullAtMs;
  meter.underWay++;
  return undefined;
}

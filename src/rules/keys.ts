/**
 * The key directory's decisions: what an upload must be, who may claim what,
 * and when a device is told something. Pure; the store (store/keys.ts) reads
 * what they need and writes what they say.
 *
 * Limits of claims, as token buckets (token-bucket.ts). Per pair of devices: 6
 * claims, then one per 10 minutes; beyond it a claim is refused. Per claimed
 * device, whoever asks: 60 one-time keys, then one per minute; beyond it a claim
 * gets the last resort, so that a crowd can neither empty a device's stock nor
 * keep anybody from writing to it. A claim of what is not there, or not for the
 * one who asks, costs the same.
 *
 * Who claims without being named (rules/sealed.ts) is no device whose pair could be
 * counted. All of them together take half of what a device gives; beyond it they
 * get the last resort, and those that are named the other half.
 */
import type { CodeName } from "../wire/codes.js";
import {
  isOneTime,
  type KeyKind,
  type KeySuite,
  keyKindNames,
  keySuites,
  type PublicKey,
  type SuiteName,
} from "../wire/keys.js";
import type { limits } from "./limits.js";
import { half, type Spending, spend } from "./token-bucket.js";

export type KeyBounds = { readonly [Name in keyof typeof limits]: number };

/** Kinds that are not listed stay as they are; an empty list removes all of a kind. */
export type KeyUpload = { readonly [Kind in KeyKind]?: readonly PublicKey[] };

/** undefined when the upload may be stored. */
export function uploadFault(upload: KeyUpload, bounds: KeyBounds): CodeName | undefined {
  for (const kind of keyKindNames) {
    const keys = upload[kind] ?? [];
    if (keys.length > (isOneTime(kind) ? bounds.keysPerKindMax : 1)) return "tooManyKeys";
    if (keys.some(({ key }) => key.length > bounds.keyBytesMax)) return "keyTooLarge";
    if (keys.some(({ key }) => key.length === 0)) return "badRequest";
    if (kind === "identity" && upload.identity?.length === 0) return "badRequest";
    if (isOneTime(kind) && !keys.every(({ id }, i) => id > (keys[i - 1]?.id ?? 0))) return "badRequest";
  }
  return undefined;
}

/** What a claim is judged by. Buckets as the times at which they will be full. */
export interface ClaimFacts {
  readonly suite: SuiteName;
  readonly nowMs: number;
  /** The pair's bucket; undefined when the pair has none yet. */
  readonly pairFullAtMs: number | undefined;
  /** Pairs of the asking device whose bucket is not full. */
  readonly pairCount: number;
  /** Whether the claimed device is registered, and of a brand that the asking one may write to. */
  readonly isOpen: boolean;
  readonly targetFullAtMs: number;
  readonly count: (kind: KeyKind) => number;
}

export interface ClaimVerdict {
  readonly verdict: "oneTime" | "lastResort" | "rateLimited" | "notFound" | "keysMissing";
  readonly pairFullAtMs: number;
  readonly targetFullAtMs: number;
  readonly retryAfterMs: number;
}

/** `oneTime`: a one-time key of each kind that has one, the last resort where none is left. `lastResort`: no one-time key. */
export function judgeClaim(facts: ClaimFacts, bounds: KeyBounds): ClaimVerdict {
  const { nowMs, targetFullAtMs } = facts;
  const pair = spend(facts.pairFullAtMs ?? 0, pairBucket(bounds), nowMs);
  const target = spend(targetFullAtMs, targetBucket(bounds), nowMs);
  const isBeyondPairs = facts.pairFullAtMs === undefined && facts.pairCount >= bounds.claimPairsMax;
  const verdict = (name: ClaimVerdict["verdict"], retryAfterMs = 0): ClaimVerdict => ({
    verdict: name,
    pairFullAtMs: pair.fullAtMs,
    targetFullAtMs: name === "oneTime" ? target.fullAtMs : targetFullAtMs,
    retryAfterMs,
  });
  if (!pair.isAllowed) return verdict("rateLimited", pair.retryAfterMs);
  if (isBeyondPairs) return verdict("rateLimited", bounds.claimPairRefillMs);
  const given = judgeGiving(facts, target.isAllowed);
  return verdict(given, given === "rateLimited" ? target.retryAfterMs : 0);
}

/** What a claim without a name is judged by; its token has opened the account. */
export type SealedClaimFacts = Pick<ClaimFacts, "suite" | "nowMs" | "isOpen" | "targetFullAtMs" | "count"> & {
  /** The bucket of all such claims of the device. */
  readonly sealedFullAtMs: number;
};

export interface SealedClaimVerdict
  extends Pick<ClaimVerdict, "verdict" | "targetFullAtMs" | "retryAfterMs"> {
  readonly sealedFullAtMs: number;
}

export function judgeSealedClaim(facts: SealedClaimFacts, bounds: KeyBounds): SealedClaimVerdict {
  const target: Spending = spend(facts.targetFullAtMs, targetBucket(bounds), facts.nowMs);
  const sealed: Spending = spend(facts.sealedFullAtMs, half(targetBucket(bounds)), facts.nowMs);
  const verdict = judgeGiving(facts, target.isAllowed && sealed.isAllowed);
  const isTaken = verdict === "oneTime";
  return {
    verdict,
    targetFullAtMs: isTaken ? target.fullAtMs : facts.targetFullAtMs,
    sealedFullAtMs: isTaken ? sealed.fullAtMs : facts.sealedFullAtMs,
    retryAfterMs: verdict === "rateLimited" ? Math.max(target.retryAfterMs, sealed.retryAfterMs) : 0,
  };
}

/** What a claim gets, whoever asks, once nothing stands against the one who asks. */
function judgeGiving(
  { isOpen, suite, count }: Pick<ClaimFacts, "isOpen" | "suite" | "count">,
  mayTake: boolean,
): ClaimVerdict["verdict"] {
  if (!isOpen) return "notFound";
  if (!hasSuite(suite, count)) return "keysMissing";
  if (mayTake) return "oneTime";
  return standsWithoutOneTime(suite, count) ? "lastResort" : "rateLimited";
}

/** Everything that a bundle of the suite must have, or, where nothing must be, something that it may have. */
function hasSuite(suite: SuiteName, count: ClaimFacts["count"]): boolean {
  const { needs, takes }: KeySuite = keySuites[suite];
  if (needs.length > 0) return needs.every((kind) => count(kind) > 0);
  return takes.some(({ kind, lastResort }) => count(kind) > 0 || (lastResort && count(lastResort) > 0));
}

/** Whether a bundle without one-time keys is one that the device has provided for. */
function standsWithoutOneTime(suite: SuiteName, count: ClaimFacts["count"]): boolean {
  const { takes }: KeySuite = keySuites[suite];
  return takes.every(({ kind, lastResort }) => !lastResort || count(lastResort) > 0 || count(kind) === 0);
}

function pairBucket(bounds: KeyBounds) {
  return { tokens: bounds.claimPairTokens, refillMs: bounds.claimPairRefillMs };
}

function targetBucket(bounds: KeyBounds) {
  return { tokens: bounds.claimTargetTokens, refillMs: bounds.claimTargetRefillMs };
}

/** Whether a device is told of its stock: when it becomes low, and when it ends. */
export function isLowNow(before: number, after: number, bounds: KeyBounds): boolean {
  return (before >= bounds.keysLow && after < bounds.keysLow) || (before > 0 && after === 0);
}

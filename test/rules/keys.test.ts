import { describe, expect, it } from "vitest";
import {
  type ClaimFacts,
  isLowNow,
  judgeClaim,
  judgeSealedClaim,
  uploadFault,
} from "../../src/rules/keys.js";
import { limits } from "../../src/rules/limits.js";
import type { KeyKind } from "../../src/wire/keys.js";

const NOW = 1_700_000_000_000;
const key = (id: number, length = 4) => ({ id, key: new Uint8Array(length).fill(id) });

describe("what an upload must be", () => {
  const ids = (count: number, from = 1) => Array.from({ length: count }, (_, i) => key(from + i));
  it.each([
    ["nothing", {}, undefined],
    [
      "one of each single kind",
      { identity: [key(1)], signedPreKey: [key(9)], lastResortKyber: [key(0)] },
      undefined,
    ],
    ["a full stock", { preKey: ids(limits.keysPerKindMax) }, undefined],
    ["an empty list removes", { preKey: [], signedPreKey: [] }, undefined],
    ["one key too many", { kyberPreKey: ids(limits.keysPerKindMax + 1) }, "tooManyKeys"],
    ["two of a single kind", { signedPreKey: ids(2) }, "tooManyKeys"],
    ["the largest key", { keyPackage: [key(1, limits.keyBytesMax)] }, undefined],
    ["a larger one", { keyPackage: [key(1, limits.keyBytesMax + 1)] }, "keyTooLarge"],
    ["an empty key", { preKey: [key(1, 0)] }, "badRequest"],
    ["an identity taken away", { identity: [] }, "badRequest"],
    ["ids that stand still", { preKey: [key(3), key(3)] }, "badRequest"],
    ["ids that fall", { preKey: [key(3), key(2)] }, "badRequest"],
    ["a one-time key with the id 0", { preKey: [key(0)] }, "badRequest"],
  ])("%s", (_name, upload, fault) => {
    expect(uploadFault(upload, limits)).toBe(fault);
  });
});

const stock = { identity: 1, signedPreKey: 1, preKey: 5, kyberPreKey: 5, lastResortKyber: 1 };
const empty = NOW + limits.claimPairTokens * limits.claimPairRefillMs;
const drained = NOW + limits.claimTargetTokens * limits.claimTargetRefillMs;
const facts = (
  change: Partial<Omit<ClaimFacts, "count">> & { stock?: Partial<Record<KeyKind, number>> } = {},
): ClaimFacts => ({
  suite: "signal",
  nowMs: NOW,
  pairFullAtMs: 0,
  pairCount: 0,
  isOpen: true,
  targetFullAtMs: 0,
  count: (kind) => (change.stock ?? stock)[kind as keyof typeof stock] ?? 0,
  ...change,
});
const { kyberPreKey: _, ...noKyber } = stock;
const { lastResortKyber: __, ...noLastResort } = stock;

describe("who may claim what", () => {
  it.each([
    ["all is there", facts(), "oneTime", 0],
    ["a pair that has none yet", facts({ pairFullAtMs: undefined }), "oneTime", 0],
    ["an empty pair", facts({ pairFullAtMs: empty }), "rateLimited", limits.claimPairRefillMs],
    [
      "an empty pair, whatever is there",
      facts({ pairFullAtMs: empty, isOpen: false }),
      "rateLimited",
      limits.claimPairRefillMs,
    ],
    [
      "one pair too many",
      facts({ pairFullAtMs: undefined, pairCount: limits.claimPairsMax }),
      "rateLimited",
      limits.claimPairRefillMs,
    ],
    ["a pair of those there are", facts({ pairCount: limits.claimPairsMax }), "oneTime", 0],
    ["not there, or not for this device", facts({ isOpen: false }), "notFound", 0],
    ["no identity", facts({ stock: { ...stock, identity: 0 } }), "keysMissing", 0],
    ["no signed pre-key", facts({ stock: { ...stock, signedPreKey: 0 } }), "keysMissing", 0],
    ["no one-time keys at all", facts({ stock: { identity: 1, signedPreKey: 1 } }), "oneTime", 0],
    ["too many asked", facts({ targetFullAtMs: drained }), "lastResort", 0],
    [
      "too many asked, no last resort",
      facts({ targetFullAtMs: drained, stock: noLastResort }),
      "rateLimited",
      limits.claimTargetRefillMs,
    ],
    [
      "too many asked, a device without Kyber",
      facts({ targetFullAtMs: drained, stock: { ...noKyber, lastResortKyber: 0 } }),
      "lastResort",
      0,
    ],
    ["MLS", facts({ suite: "mls", stock: { keyPackage: 1 } }), "oneTime", 0],
    [
      "MLS with the last resort only",
      facts({ suite: "mls", stock: { lastResortKeyPackage: 1 } }),
      "oneTime",
      0,
    ],
    ["MLS without either", facts({ suite: "mls" }), "keysMissing", 0],
    [
      "MLS, too many asked",
      facts({ suite: "mls", targetFullAtMs: drained, stock: { keyPackage: 1 } }),
      "rateLimited",
      limits.claimTargetRefillMs,
    ],
  ] as const)("%s", (_name, claim, verdict, retryAfterMs) => {
    expect(judgeClaim(claim, limits)).toMatchObject({ verdict, retryAfterMs });
  });

  it("takes a token of the pair for what is not there, and of the device only with a one-time key", () => {
    const oneTime = judgeClaim(facts(), limits);
    expect(oneTime).toMatchObject({ pairFullAtMs: NOW + 600_000, targetFullAtMs: NOW + 60_000 });
    for (const change of [{ isOpen: false }, { stock: {} }]) {
      expect(judgeClaim(facts(change), limits)).toMatchObject({
        pairFullAtMs: NOW + 600_000,
        targetFullAtMs: 0,
      });
    }
    expect(judgeClaim(facts({ targetFullAtMs: drained }), limits).targetFullAtMs).toBe(drained);
    expect(judgeClaim(facts({ pairFullAtMs: empty }), limits).pairFullAtMs).toBe(empty);
  });
});

describe("who claims without being named", () => {
  const sealed = (change: Parameters<typeof facts>[0] & { sealedFullAtMs?: number } = {}) => {
    const { sealedFullAtMs = 0, ...rest } = change;
    return judgeSealedClaim({ ...facts(rest), sealedFullAtMs }, limits);
  };
  const halfSpent = NOW + Math.ceil(limits.claimTargetTokens / 2) * 2 * limits.claimTargetRefillMs;

  it.each([
    ["a claim like any other", {}, "oneTime", 0],
    ["the half of such claims is used up", { sealedFullAtMs: halfSpent }, "lastResort", 0],
    ["all of the device is used up", { targetFullAtMs: drained }, "lastResort", 0],
    [
      "the half is used up, and there is no last resort",
      { sealedFullAtMs: halfSpent, stock: noLastResort },
      "rateLimited",
      2 * limits.claimTargetRefillMs,
    ],
    ["no such device", { isOpen: false, sealedFullAtMs: halfSpent }, "notFound", 0],
    ["no keys", { stock: {}, sealedFullAtMs: halfSpent }, "keysMissing", 0],
  ] as const)("%s", (_name, change, verdict, retryAfterMs) => {
    expect(sealed(change)).toMatchObject({ verdict, retryAfterMs });
  });

  it("takes of the device and of their own half with a one-time key, and of neither without", () => {
    expect(sealed()).toMatchObject({
      targetFullAtMs: NOW + limits.claimTargetRefillMs,
      sealedFullAtMs: NOW + 2 * limits.claimTargetRefillMs,
    });
    for (const change of [{ isOpen: false }, { stock: {} }, { targetFullAtMs: drained }]) {
      const { targetFullAtMs, sealedFullAtMs } = sealed(change);
      expect([targetFullAtMs, sealedFullAtMs]).toEqual(["targetFullAtMs" in change ? drained : 0, 0]);
    }
  });

  it("is left with the last resort after half of what a device gives at once", () => {
    let [targetFullAtMs, sealedFullAtMs] = [0, 0];
    let count = 0;
    for (; ; count++) {
      const verdict = sealed({ targetFullAtMs, sealedFullAtMs });
      if (verdict.verdict !== "oneTime") break;
      ({ targetFullAtMs, sealedFullAtMs } = verdict);
    }
    expect(count).toBe(limits.claimTargetTokens / 2);
    // Who is named has the other half.
    expect(judgeClaim(facts({ targetFullAtMs }), limits).verdict).toBe("oneTime");
  });
});

it("a device is told when its stock becomes low and when it ends, and not in between", () => {
  const told = Array.from({ length: 100 }, (_, i) => 100 - i).filter((before) =>
    isLowNow(before, before - 1, limits),
  );
  expect(told).toEqual([limits.keysLow, 1]);
  expect(isLowNow(0, 0, limits)).toBe(false);
});

it("limits of claims are no laxer than promised: 6 per pair, then one per 10 minutes", () => {
  expect(limits.claimPairTokens).toBeLessThanOrEqual(6);
  expect(limits.claimPairRefillMs).toBeGreaterThanOrEqual(600_000);
});

/** Sealed sends: which token opens an account, what a change leaves, and whose budget a send comes out of. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/rules/limits.js";
import {
  type Budgets,
  changedTokens,
  type DeliveryTokens,
  fullBudget,
  judgeSealed,
  noTokens,
  opens,
  type PartyBudgets,
  type SealedFacts,
  type SealedParty,
  sealedId,
  sealedSharedId,
  tokenDigest,
} from "../../src/rules/sealed.js";

const NOW = 1_800_000_000_000;
const token = (n: number) => new Uint8Array(16).fill(n);
const tokensAfter = (before: DeliveryTokens | undefined, change: Parameters<typeof changedTokens>[1]) =>
  changedTokens(before, change, NOW) as DeliveryTokens;
const isOpen = (n: number, tokens: DeliveryTokens, atMs = NOW) => opens(tokenDigest(token(n)), tokens, atMs);

describe("a delivery token", () => {
  const first = tokensAfter(undefined, { kind: "set", token: token(1) });
  const rotated = tokensAfter(first, { kind: "rotate", token: token(2), overlapMs: 500 });

  it("opens what it was set for, and nothing else does", () => {
    expect([isOpen(1, first), isOpen(2, first), isOpen(0, first), isOpen(1, noTokens)]).toEqual([
      ...[true, false, false, false],
    ]);
  });

  it("is good until the overlap has passed after a rotation, and the new one at once", () => {
    expect([isOpen(2, rotated), isOpen(1, rotated), isOpen(1, rotated, NOW + 499)]).toEqual([
      true,
      true,
      true,
    ]);
    expect([isOpen(1, rotated, NOW + 500), isOpen(2, rotated, NOW + 500)]).toEqual([false, true]);
  });

  it("is gone at once when another is set, when two rotations have passed, and when all are revoked", () => {
    expect(isOpen(1, tokensAfter(first, { kind: "set", token: token(3) }))).toBe(false);
    expect(isOpen(1, tokensAfter(rotated, { kind: "set", token: token(2) }))).toBe(false);
    expect(isOpen(1, tokensAfter(rotated, { kind: "rotate", token: token(3), overlapMs: 500 }))).toBe(false);
    expect(changedTokens(rotated, { kind: "revoke" }, NOW)).toBeUndefined();
  });

  it("a rotation that comes again does not begin its overlap anew, and without a token there is none", () => {
    const again = changedTokens(rotated, { kind: "rotate", token: token(2), overlapMs: 500 }, NOW + 400);
    expect(again).toBe(rotated);
    expect(changedTokens(undefined, { kind: "rotate", token: token(2), overlapMs: 500 }, NOW)).toEqual({
      refused: "notFound",
    });
  });

  it("is not what is kept", () => {
    for (const digest of [first.current, rotated.current, rotated.previous])
      expect(Buffer.from(digest).includes(Buffer.from(token(1)))).toBe(false);
  });
});

describe("the id of a sealed envelope", () => {
  const account = (n: number) => new Uint8Array(18).fill(n);

  it("is another for each account and each id, and shows neither", () => {
    const ids = [
      sealedId(account(1), token(1)),
      sealedId(account(2), token(1)),
      sealedId(account(1), token(2)),
    ];
    expect(new Set(ids.map((id) => Buffer.from(id).toString("hex"))).size).toBe(3);
    expect(ids.map((id) => id.length)).toEqual([16, 16, 16]);
    expect(sealedId(account(1), token(1))).toEqual(ids[0]);
  });

  it("is made as the vectors say", () => {
    const { ids, sharedIds } = JSON.parse(
      readFileSync(new URL("../vectors/sealed-ids.json", import.meta.url), "utf8"),
    ) as {
      ids: { account: string; id: string; delivered: string }[];
      sharedIds: { id: string; delivered: string }[];
    };
    const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
    for (const { account, id, delivered } of ids)
      expect(Buffer.from(sealedId(bytes(account), bytes(id))).toString("hex")).toBe(delivered);
    for (const { id, delivered } of sharedIds)
      expect(Buffer.from(sealedSharedId(bytes(id))).toString("hex")).toBe(delivered);
    expect(sharedIds.length).toBeGreaterThan(1);
  });
});

describe("a sealed send", () => {
  const bounds = {
    ...limits,
    sealedConnectionMessages: 6,
    sealedConnectionMessageRefillMs: 10_000,
    sealedRecipientMessages: 4,
    sealedRecipientMessageRefillMs: 100,
  };
  const fullParty: PartyBudgets = { pair: fullBudget, recipient: fullBudget };
  const party: SealedParty = { bytes: 100, crossing: "open", isOpened: true };
  const full: Budgets = { connection: fullBudget, parties: [fullParty] };
  const facts: SealedFacts = { bytes: 100, parties: [party] };
  const connectionMs = bounds.sealedConnectionMessages * bounds.sealedConnectionMessageRefillMs;
  const recipientMs = bounds.sealedRecipientMessages * bounds.sealedRecipientMessageRefillMs;
  const spentConnection = { messagesFullAtMs: connectionMs, bytesFullAtMs: 0 };
  const spent = { messagesFullAtMs: recipientMs, bytesFullAtMs: 0 };

  it.each<[string, Partial<SealedParty>, Partial<PartyBudgets & Budgets>, string | undefined]>([
    ["goes on when all is well", {}, {}, undefined],
    [
      "waits for its connection before anything is asked",
      { crossing: "closed", isOpened: false },
      { connection: spentConnection },
      "sealedTooFast",
    ],
    [
      "does not cross closed brands, by whatever token",
      { crossing: "closed", isOpened: false },
      {},
      "brandsClosed",
    ],
    [
      "needs a token before it is told that a brand is full",
      { crossing: "full", isOpened: false },
      {},
      "deliveryTokenRefused",
    ],
    [
      "needs a token before it is told that an account is",
      { isOpened: false },
      { recipient: spent, pair: spent },
      "deliveryTokenRefused",
    ],
    ["waits for its brand", { crossing: "full" }, {}, "brandQuota"],
    ["waits for its share", {}, { pair: spent }, "rateLimited"],
    ["waits for the account", {}, { recipient: spent }, "rateLimited"],
  ])("%s", (_, change, { connection = fullBudget, ...budgets }, code) => {
    const before = { connection, parties: [{ ...fullParty, ...budgets }] };
    const changed = { ...facts, parties: [{ ...party, ...change }] };
    const verdict = judgeSealed(changed, before, bounds, 0);
    expect(verdict.code).toBe(code);
    expect(verdict.about).toEqual(code === undefined || code === "sealedTooFast" ? [] : [0]);
  });

  it("of one connection takes half of what an account takes, and then no more than half of what it refills", () => {
    let budgets = full;
    const codes: (string | undefined)[] = [];
    for (const atMs of [0, 0, 0, 199, 200, 201, 202]) {
      const verdict = judgeSealed(facts, budgets, bounds, atMs);
      budgets = verdict.budgets;
      codes.push(verdict.code);
    }
    const limited = "rateLimited";
    expect(codes).toEqual([undefined, undefined, limited, limited, undefined, limited, "sealedTooFast"]);
    // Another connection has the other half.
    const [{ recipient }] = budgets.parties as [PartyBudgets];
    const other = { connection: fullBudget, parties: [{ ...fullParty, recipient }] };
    expect(judgeSealed(facts, other, bounds, 0).code).toBeUndefined();
  });

  it("that no token opens costs the connection, and never the account", () => {
    const shut = { ...facts, parties: [{ ...party, isOpened: false }] };
    const { budgets } = judgeSealed(shut, full, bounds, 0);
    expect(budgets.connection).not.toEqual(full.connection);
    expect(budgets.parties).toEqual(full.parties);
  });

  it("is measured in KiB too, and the largest fits", () => {
    const bytes = limits.messageBytesMax;
    const large = { bytes, parties: [{ ...party, bytes }] };
    let budgets = full;
    let count = 0;
    for (; judgeSealed(large, budgets, limits, 0).code === undefined; count++)
      budgets = judgeSealed(large, budgets, limits, 0).budgets;
    expect(count).toBe((limits.sealedConnectionKiB * 1024) / limits.messageBytesMax);
  });

  describe("to several accounts", () => {
    const budgetsOf = (...parties: Partial<PartyBudgets>[]): Budgets => ({
      connection: fullBudget,
      parties: parties.map((one) => ({ ...fullParty, ...one })),
    });
    const judge = (
      parties: readonly Partial<SealedParty>[],
      before = budgetsOf(...parties.map(() => ({}))),
    ) => {
      const all = parties.map((one) => ({ ...party, ...one }));
      return judgeSealed({ bytes: 100, parties: all }, before, bounds, 0);
    };
    const shut = { isOpened: false };

    it("goes to all or to none, and says which accounts the code is about, those of the first code alone", () => {
      expect(judge([{}, shut, {}, shut])).toMatchObject({ code: "deliveryTokenRefused", about: [1, 3] });
      expect(judge([shut, { crossing: "closed" }, {}])).toMatchObject({ code: "brandsClosed", about: [1] });
      expect(judge([{ crossing: "full" }, shut])).toMatchObject({ code: "deliveryTokenRefused", about: [1] });
      expect(judge([{ crossing: "full" }, {}])).toMatchObject({ code: "brandQuota", about: [0] });
      const before = budgetsOf({}, { pair: spent }, { recipient: spent });
      expect(judge([{}, {}, {}], before)).toMatchObject({ code: "rateLimited", about: [1, 2] });
      expect(judge([shut, {}, {}], before)).toMatchObject({ code: "deliveryTokenRefused", about: [0] });
    });

    it("costs its connection a message for each account, and no account anything when it is refused", () => {
      const accepted = judge([{}, {}, {}]);
      expect(accepted.budgets.connection.messagesFullAtMs).toBe(3 * bounds.sealedConnectionMessageRefillMs);
      expect(accepted.budgets.parties.map(({ recipient }) => recipient.messagesFullAtMs)).toEqual([
        ...[100, 100, 100],
      ]);
      const refused = judge([{}, {}, shut]);
      expect(refused.budgets.connection).toEqual(accepted.budgets.connection);
      expect(refused.budgets.parties).toEqual(budgetsOf({}, {}, {}).parties);
      const six = Array.from({ length: 6 }, () => ({}));
      expect(judge(six).code).toBeUndefined();
      expect(judge([...six, {}])).toMatchObject({ code: "sealedTooFast", about: [] });
    });

    it("costs its connection the shared part once, and an account as often as it has devices", () => {
      const { budgets } = judge([{ bytes: 50 * 1024 }, { bytes: 1 }]);
      const kib = (fullAtMs: number, refillMs: number) => Math.round(fullAtMs / refillMs);
      expect(kib(budgets.connection.bytesFullAtMs, bounds.sealedConnectionKiBRefillMs)).toBe(1);
      const taken = budgets.parties.map(({ recipient }) =>
        kib(recipient.bytesFullAtMs, bounds.sealedRecipientKiBRefillMs),
      );
      expect(taken).toEqual([50, 1]);
    });
  });
});

import { describe, expect, test } from "vitest";
import { accountAddress } from "../../src/base/address.js";
import { isWithPresentOwner, judgeAllow, mayHaveOneMore } from "../../src/rules/contacts.js";
import { limits } from "../../src/rules/limits.js";
import {
  type GroupSignalCase,
  judgeGroupSignal,
  judgeSignal,
  type SignalCase,
} from "../../src/rules/signals.js";

const alice = accountAddress(1, new Uint8Array(16).fill(1));
const bob = accountAddress(2, new Uint8Array(16).fill(2));
const good = { by: alice, other: bob, covers: 3, mayMeet: true };

test.each([
  [{}, undefined],
  [{ covers: 1 }, undefined],
  [{ covers: 2 }, undefined],
  [{ covers: 0 }, "badRequest"],
  [{ covers: 4 }, "badRequest"],
  [{ covers: 7 }, "badRequest"],
  [{ other: alice }, "badRequest"],
  [{ mayMeet: false }, "brandsClosed"],
  [{ mayMeet: false, covers: 0 }, "badRequest"],
] as const)("agreeing with %j: %s", (change, code) => {
  expect(judgeAllow({ ...good, ...change })).toBe(code);
});

test("an account may have agreed with so many others and no more", () => {
  expect(mayHaveOneMore(limits.contactsMax - 1)).toBe(true);
  expect(mayHaveOneMore(limits.contactsMax)).toBe(false);
});

test.each([
  [0, undefined, true],
  [7, undefined, true],
  // Given before the removal, given while nobody was there, given to whoever came then.
  [6, 7, false],
  [7, 7, false],
  [8, 7, true],
  // Where the mark of the removal is damaged nothing holds.
  [8, Number.POSITIVE_INFINITY, false],
])(
  "an agreement given at version %s, with a removal at %s, is with whoever is there: %s",
  (given, ended, is) => {
    expect(isWithPresentOwner(given, ended)).toBe(is);
  },
);

describe("what becomes of a signal", () => {
  const fine: SignalCase = {
    isInRate: true,
    isOverloaded: false,
    isAgreed: true,
    isThere: true,
    keepsUp: true,
  };

  test.each([
    [{}, "delivered"],
    [{ keepsUp: false }, "behind"],
    [{ isThere: false, keepsUp: false }, "notThere"],
    [{ isAgreed: false }, "notAgreed"],
    [{ isOverloaded: true, isAgreed: false }, "overloaded"],
    [{ isInRate: false, isOverloaded: true }, "tooMany"],
  ] as const)("%j: %s", (change, fate) => {
    expect(judgeSignal({ ...fine, ...change })).toBe(fate);
  });

  test("does not depend on who is there unless it was agreed", () => {
    for (const isThere of [true, false])
      for (const keepsUp of [true, false])
        expect(judgeSignal({ ...fine, isAgreed: false, isThere, keepsUp })).toBe("notAgreed");
  });
});

describe("what becomes of a signal to a group", () => {
  const fine: GroupSignalCase = {
    isInRate: true,
    isOverloaded: false,
    isChanging: false,
    audience: "members",
  };

  test.each([
    [{}, undefined],
    [{ isInRate: false, isOverloaded: true, isChanging: true, audience: "stranger" }, "tooMany"],
    [{ isOverloaded: true, isChanging: true, audience: "stranger" }, "overloaded"],
    [{ isChanging: true, audience: "unknown" }, "groupChanging"],
    [{ isChanging: true, audience: "tooLarge" }, "groupChanging"],
    [{ audience: "unknown" }, "overloaded"],
    [{ audience: "tooLarge" }, "groupTooLarge"],
    [{ audience: "stranger" }, "notAgreed"],
  ] as const)("%j: %s", (change, fate) => {
    expect(judgeGroupSignal({ ...fine, ...change })).toBe(fate);
  });
});

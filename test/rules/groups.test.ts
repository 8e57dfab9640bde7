/** Every rule of src/rules/groups.ts, in order of precedence, against one group; and what comes of what is allowed. */
import { describe, expect, it } from "vitest";
import { accountAddress } from "../../src/base/address.js";
import {
  applyChange,
  type Group,
  type GroupChange,
  judgeChange,
  judgeCreation,
  judgeJoining,
  type MayMeet,
  newGroup,
} from "../../src/rules/groups.js";
import { limits } from "../../src/rules/limits.js";
import type { Role } from "../../src/wire/groups.js";

/** Account `n` of a brand. */
function account(n: number, brand = 1): Uint8Array {
  const id = new Uint8Array(16);
  id[0] = n >> 8;
  id[1] = n;
  return accountAddress(brand, id);
}

const many = (count: number, from = 100): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => account(from + i));

const [ada, ben, cleo, dora, stranger] = [account(1), account(2), account(3), account(4), account(9)];

function groupOf(...members: [Uint8Array, Role][]): Group {
  const address = account(77);
  return { address, version: 5, members: members.map(([who, role]) => ({ account: who, role })) };
}

/** Ada has founded it, and Cleo is an admin too. */
const group = groupOf([ada, "admin"], [ben, "member"], [cleo, "admin"], [dora, "member"]);
const anyMay: MayMeet = () => true;
/** Nothing passes from brand 2 to brand 1. */
const oneWay: MayMeet = (from, to) => !(from === 2 && to === 1);

const add = (version: number, ...accounts: Uint8Array[]): GroupChange => ({ kind: "add", version, accounts });
const remove = (version: number, ...accounts: Uint8Array[]): GroupChange => ({
  kind: "remove",
  version,
  accounts,
});
const setRole = (version: number, role: Role, ...accounts: Uint8Array[]): GroupChange => ({
  kind: "setRole",
  version,
  accounts,
  role,
});
const leave: GroupChange = { kind: "leave" };

const full = groupOf(
  [ada, "admin"],
  ...many(limits.groupMembersMax - 1).map((who): [Uint8Array, Role] => [who, "member"]),
);

describe("a change", () => {
  const table: [string, string | undefined, Uint8Array, GroupChange, (Group | undefined)?, MayMeet?][] = [
    ["there is no such group", "notFound", ada, add(5, stranger), undefined],
    ["the caller is no member, whatever is wrong besides", "notFound", stranger, add(4, stranger)],
    ["the caller, who leaves, is no member", "notFound", stranger, leave],
    ["a member leaves", undefined, ben, leave, group],
    ["the last member leaves", undefined, ada, leave, groupOf([ada, "admin"])],
    ["it is made for an older version, even by one who may not", "groupStale", ben, add(4, stranger), group],
    ["it is made for a version to come", "groupStale", ada, remove(6, ben), group],
    ["a member adds", "notAllowed", ben, add(5, stranger), group],
    ["a member removes himself by name", "notAllowed", ben, remove(5, ben), group],
    ["a member makes himself an admin", "notAllowed", ben, setRole(5, "admin", ben), group],
    ["it names nobody", "badRequest", ada, add(5), group],
    ["it names too many", "badRequest", ada, add(5, ...many(limits.groupChangeAccountsMax + 1)), group],
    ["it names one twice", "badRequest", ada, remove(5, ben, ben), group],
    [
      "an admin adds as many as may be named",
      undefined,
      ada,
      add(5, ...many(limits.groupChangeAccountsMax)),
      group,
    ],
    ["an added one is there already", "memberAlready", ada, add(5, stranger, ben), group],
    ["it would be too many", "groupFull", ada, add(5, stranger), full],
    [
      "the newcomer's brand may not write to a member's",
      "brandsClosed",
      ada,
      add(5, account(9, 2)),
      group,
      oneWay,
    ],
    [
      "a member's brand may not write to the newcomer's",
      "brandsClosed",
      ada,
      add(5, account(9, 1)),
      groupOf([account(1, 1), "admin"], [account(1, 2), "member"]),
      oneWay,
    ],
    [
      "two newcomers' brands may not meet",
      "brandsClosed",
      account(1, 3),
      add(5, account(9, 1), account(9, 2)),
      groupOf([account(1, 3), "admin"]),
      oneWay,
    ],
    ["a removed one is no member", "memberUnknown", ada, remove(5, ben, stranger), group],
    ["an admin removes himself, which is leaving", "notAllowed", ada, remove(5, ben, ada), group],
    ["an admin removes another admin", undefined, ada, remove(5, cleo), group],
    ["a role is given to a stranger", "memberUnknown", ada, setRole(5, "admin", stranger), group],
    ["an admin steps back while another one stays", undefined, ada, setRole(5, "member", ada), group],
    ["all admins step back", "lastAdmin", ada, setRole(5, "member", ada, cleo), group],
    ["a role that they have already is given", undefined, ada, setRole(5, "member", ben), group],
  ];
  for (const [when, code, by, change, of, mayMeet = anyMay] of table) {
    it(`${code ?? "is allowed"}: ${when}`, () => {
      const given = when === "there is no such group" ? undefined : (of ?? group);
      expect(judgeChange(given, by, change, mayMeet)).toBe(code);
    });
  }
});

describe("a new group", () => {
  it("is its maker's, who is its admin, and stands first", () => {
    expect(judgeCreation(ada, [ben, cleo], anyMay)).toBeUndefined();
    expect(newGroup(group.address, ada, [ben])).toEqual({
      address: group.address,
      version: 1,
      members: [
        { account: ada, role: "admin" },
        { account: ben, role: "member" },
      ],
    });
  });
  it("may be one person's alone, or as large as a group may be", () => {
    expect(judgeCreation(ada, [], anyMay)).toBeUndefined();
    expect(judgeCreation(ada, many(limits.groupMembersMax - 1), anyMay)).toBeUndefined();
    expect(judgeCreation(ada, many(limits.groupMembersMax), anyMay)).toBe("groupFull");
  });
  it("has nobody in it twice, nor brands that do not meet", () => {
    expect(judgeCreation(ada, [ben, ada], anyMay)).toBe("memberAlready");
    expect(judgeCreation(ada, [ben, ben], anyMay)).toBe("memberAlready");
    expect(judgeCreation(ada, [account(2, 2)], oneWay)).toBe("brandsClosed");
    expect(judgeCreation(account(1, 3), [account(1, 1), account(1, 2)], oneWay)).toBe("brandsClosed");
  });
});

describe("what comes of a change", () => {
  const resultOf = (change: GroupChange, by = ada, of = group) => {
    const { group: changed, promoted } = applyChange(of, by, change);
    expect(changed.version).toBe(of.version + 1);
    return { members: changed.members, promoted };
  };
  const others = group.members.slice(1);

  it("adds at the end, as members", () => {
    const newcomer = { account: stranger, role: "member" };
    expect(resultOf(add(5, stranger)).members).toEqual([...group.members, newcomer]);
  });
  it("removes who is named, and keeps the order of the rest", () => {
    expect(resultOf(remove(5, ben, dora)).members).toEqual([group.members[0], group.members[2]]);
  });
  it("changes the roles of those named, and nothing else", () => {
    expect(resultOf(setRole(5, "admin", ben)).members).toEqual(
      group.members.map((member) => (member.account === ben ? { account: ben, role: "admin" } : member)),
    );
  });
  it("lets an admin go while another one stays", () => {
    expect(resultOf(leave)).toEqual({ members: others, promoted: undefined });
  });
  it("makes the one who has been there longest an admin when the last one leaves", () => {
    const one = groupOf([ada, "admin"], [dora, "member"], [ben, "member"]);
    expect(resultOf(leave, ada, one)).toEqual({
      members: [
        { account: dora, role: "admin" },
        { account: ben, role: "member" },
      ],
      promoted: dora,
    });
  });
  it("leaves nobody when the last member leaves", () => {
    expect(resultOf(leave, ada, groupOf([ada, "admin"]))).toEqual({ members: [], promoted: undefined });
  });
});

it("nobody comes to more groups than one account may be in", () => {
  expect(judgeJoining(0)).toBeUndefined();
  expect(judgeJoining(limits.groupsPerAccountMax - 1)).toBeUndefined();
  expect(judgeJoining(limits.groupsPerAccountMax)).toBe("tooManyGroups");
});

/**
 * What may happen to a group's roster, and what comes of it. Members stand in the order in which they joined.
 *
 *   create    anybody, who is then its admin
 *   add       an admin; new members stand last and have no special role
 *   remove    an admin, but not himself: that is leaving
 *   setRole   an admin; the last one stays one
 *   leave     every member, whatever version he knows: when no admin is left, the member who has been there longest
 *             becomes one, as people expect of a chat; when nobody is left, the group is gone. An account that is
 *             removed leaves all its groups
 *
 * A change names the version of the roster that it was made for, so that two admins never undo each other unknowingly.
 * Who is no member is told of no group, whatever he asks.
 */
import { type AccountAddress, brandOf } from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import type { CodeName } from "../wire/codes.js";
import type { Member, Role } from "../wire/groups.js";
import { limits } from "./limits.js";

export interface Group {
  /** 18 bytes, like an account's: the brand of whoever made it, and a random id. */
  readonly address: AccountAddress;
  readonly version: number;
  readonly members: readonly Member[];
}

export type GroupChange =
  | {
      readonly kind: "add" | "remove";
      readonly version: number;
      readonly accounts: readonly AccountAddress[];
    }
  | {
      readonly kind: "setRole";
      readonly version: number;
      readonly accounts: readonly AccountAddress[];
      readonly role: Role;
    }
  | { readonly kind: "leave" };

/** Whether envelopes pass from the one brand to the other, by their numbers. */
export type MayMeet = (from: number, to: number) => boolean;

/** `others`: whom the group is made with, besides the one who makes it. */
export function judgeCreation(
  by: AccountAddress,
  others: readonly AccountAddress[],
  mayMeet: MayMeet,
): CodeName | undefined {
  if (others.length >= limits.groupMembersMax) return "groupFull";
  if (hasRepeats([by, ...others])) return "memberAlready";
  if (!mayAllMeet([by], others, mayMeet)) return "brandsClosed";
  return undefined;
}

/** One line per rule, in order of precedence. `group` undefined: there is none of this address. */
export function judgeChange(
  group: Group | undefined,
  by: AccountAddress,
  change: GroupChange,
  mayMeet: MayMeet,
): CodeName | undefined {
  const role = group && roleIn(group, by);
  if (group === undefined || role === undefined) return "notFound";
  if (change.kind === "leave") return undefined;
  if (change.version !== group.version) return "groupStale";
  if (role !== "admin") return "notAllowed";
  const { accounts } = change;
  if (accounts.length === 0 || accounts.length > limits.groupChangeAccountsMax) return "badRequest";
  if (hasRepeats(accounts)) return "badRequest";
  if (change.kind === "add") return judgeAddition(group, accounts, mayMeet);
  if (!areAllIn(group, accounts)) return "memberUnknown";
  if (change.kind === "remove") return hasRepeats([by, ...accounts]) ? "notAllowed" : undefined;
  return hasAdmin(changedMembers(group, change)) ? undefined : "lastAdmin";
}

/** Whether an account that is in so many groups may come to one more. The last rule of creating and adding. */
export function judgeJoining(groupCount: number): CodeName | undefined {
  return groupCount >= limits.groupsPerAccountMax ? "tooManyGroups" : undefined;
}

function judgeAddition(
  group: Group,
  accounts: readonly AccountAddress[],
  mayMeet: MayMeet,
): CodeName | undefined {
  const members = group.members.map(({ account }) => account);
  if (hasRepeats([...members, ...accounts])) return "memberAlready";
  if (members.length + accounts.length > limits.groupMembersMax) return "groupFull";
  if (!mayAllMeet(members, accounts, mayMeet)) return "brandsClosed";
  return undefined;
}

/** The group after a change that was found to be allowed; without members it is gone. */
export function applyChange(
  group: Group,
  by: AccountAddress,
  change: GroupChange,
): { readonly group: Group; readonly promoted: AccountAddress | undefined } {
  const leaving = change.kind === "leave" ? { kind: "remove" as const, accounts: [by] } : change;
  const members = changedMembers(group, leaving);
  const [first, ...rest] = members;
  const version = group.version + 1;
  if (first === undefined || hasAdmin(members))
    return { group: { ...group, version, members }, promoted: undefined };
  const promoted: Member = { ...first, role: "admin" };
  return { group: { ...group, version, members: [promoted, ...rest] }, promoted: first.account };
}

/** The roster of a new group. */
export function newGroup(
  address: AccountAddress,
  by: AccountAddress,
  others: readonly AccountAddress[],
): Group {
  const members: Member[] = others.map((account) => ({ account, role: "member" }));
  return { address, version: 1, members: [{ account: by, role: "admin" }, ...members] };
}

/** The member's role; undefined for anybody else. */
export function roleIn({ members }: Group, account: AccountAddress): Role | undefined {
  return members.find((member) => equalBytes(member.account, account))?.role;
}

function changedMembers(
  { members }: Group,
  change:
    | { readonly kind: "add" | "remove"; readonly accounts: readonly AccountAddress[] }
    | { readonly kind: "setRole"; readonly accounts: readonly AccountAddress[]; readonly role: Role },
): readonly Member[] {
  if (change.kind === "add")
    return [...members, ...change.accounts.map((account): Member => ({ account, role: "member" }))];
  const named = new Set(change.accounts.map(toHex));
  const isNamed = ({ account }: Member): boolean => named.has(toHex(account));
  if (change.kind === "setRole")
    return members.map((member) => (isNamed(member) ? { ...member, role: change.role } : member));
  return members.filter((member) => !isNamed(member));
}

const hasAdmin = (members: readonly Member[]): boolean => members.some(({ role }) => role === "admin");

function areAllIn({ members }: Group, accounts: readonly AccountAddress[]): boolean {
  const names = new Set(members.map(({ account }) => toHex(account)));
  return accounts.every((account) => names.has(toHex(account)));
}

function hasRepeats(accounts: readonly AccountAddress[]): boolean {
  return new Set(accounts.map(toHex)).size < accounts.length;
}

/** Everybody writes to everybody: each newcomer's brand must be open to and from every brand in the group. */
function mayAllMeet(
  members: readonly AccountAddress[],
  newcomers: readonly AccountAddress[],
  mayMeet: MayMeet,
): boolean {
  const coming = new Set(newcomers.map(brandOf));
  const all = new Set([...members.map(brandOf), ...coming]);
  return [...coming].every((one) => [...all].every((other) => mayMeet(one, other) && mayMeet(other, one)));
}

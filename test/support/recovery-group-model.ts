/** Groups, as recovery-model.ts has everything else. A group and its events, and the lists of its members, are one thing. */
import type { Change, Operation } from "./recovery-operations.js";
import { type Group, noticeText, refuse, type State, type Step, without } from "./recovery-state.js";

export function createGroup(state: State, operation: Extract<Operation, { op: "createGroup" }>): Step {
  const { by, others, group } = operation;
  if (new Set([by, ...others]).size <= others.length) return refuse(state, "memberAlready");
  // Nothing can be on disk before it has an address.
  if (group === undefined) return refuse(state, "no address yet");
  const members = [[by, "admin"] as const, ...others.map((one) => [one, "member"] as const)];
  return writeGroup(state, group, { version: 1, members }, { event: "created", by, accounts: "" });
}

export function changeGroup(
  state: State,
  { group, by, change }: Extract<Operation, { op: "changeGroup" }>,
): Step {
  const known = state.groups[group];
  const role = known?.members.find(([account]) => account === by)?.[1];
  if (known === undefined || role === undefined) return refuse(state, "notFound");
  const isLeaving = change.kind === "leave";
  if (!isLeaving && change.version !== known.version) return refuse(state, "groupStale");
  if (!isLeaving && role !== "admin") return refuse(state, "notAllowed");
  const named = isLeaving ? [by] : change.accounts;
  const isIn = (account: string): boolean => known.members.some(([member]) => member === account);
  if (change.kind === "add" && named.some(isIn)) return refuse(state, "memberAlready");
  if (change.kind !== "add" && !named.every(isIn)) return refuse(state, "memberUnknown");
  if (change.kind === "remove" && named.includes(by)) return refuse(state, "notAllowed");
  let members = membersAfter(known, change, named);
  const isWithout = members.length > 0 && members.every(([, one]) => one !== "admin");
  if (isWithout && change.kind === "setRole") return refuse(state, "lastAdmin");
  const promoted = isWithout ? (members[0]?.[0] as string) : undefined;
  if (promoted !== undefined) members = [[promoted, "admin"], ...members.slice(1)];
  const event = { add: "added", remove: "removed", setRole: "role", leave: "left" }[change.kind];
  const body = {
    event,
    by,
    accounts: named.join(""),
    ...(change.kind === "setRole" && { role: change.role }),
    ...(promoted !== undefined && { promoted }),
  };
  const gone = change.kind === "remove" || isLeaving ? named : [];
  return writeGroup(state, group, { version: known.version + 1, members }, body, gone);
}

function membersAfter({ members }: Group, change: Change, named: readonly string[]): Group["members"] {
  if (change.kind === "add") return [...members, ...named.map((account) => [account, "member"] as const)];
  if (change.kind !== "setRole") return members.filter(([account]) => !named.includes(account));
  return members.map(([account, role]) => [account, named.includes(account) ? change.role : role] as const);
}

/** A group and its events are one thing: neither is ever there without the other. */
function writeGroup(
  state: State,
  address: string,
  group: Group,
  change: Readonly<Record<string, unknown>>,
  gone: readonly string[] = [],
): Step {
  const { version, members } = group;
  const body = { notice: "group", group: address, version, ...change };
  const notices = [...state.notices];
  if (members.length > 0) notices.push(noticeText([], [address, version], body));
  if (gone.length > 0) {
    const to = gone.map((account): [string, null] => [account, null]);
    notices.push(noticeText(to, [address, version], body));
  }
  const others = without(state.groups, (key) => key === address);
  const groups = members.length > 0 ? { ...others, [address]: group } : others;
  const before = state.groups[address]?.members ?? [];
  const lists = listsAfter(state, address, { before, after: members });
  return { state: { ...state, ...lists, groups, notices }, outcome: { version } };
}

type Lists = Pick<State, "memberships" | "leaving">;

/** An account that was removed has to leave whatever it is brought into. */
function listsAfter(
  state: State,
  group: string,
  { before, after }: { readonly before: Group["members"]; readonly after: Group["members"] },
): Lists {
  const isIn = (members: Group["members"], account: string): boolean =>
    members.some(([member]) => member === account);
  const lists = { memberships: { ...state.memberships }, leaving: { ...state.leaving } };
  for (const [account] of after) {
    if (isIn(before, account)) continue;
    const list = lists[state.accounts[account]?.isRemoved ? "leaving" : "memberships"];
    list[account] = [...(list[account] ?? []), group];
  }
  for (const [account] of before) {
    if (isIn(after, account)) continue;
    for (const list of [lists.memberships, lists.leaving])
      list[account] = (list[account] ?? []).filter((one) => one !== group);
  }
  return lists;
}

/** It is a member until it has left, one group after the other. */
export function leaveAll(state: State, account: string): State {
  const owed = [...(state.leaving[account] ?? []), ...(state.memberships[account] ?? [])];
  const memberships = { ...state.memberships, [account]: [] };
  return { ...state, memberships, leaving: { ...state.leaving, [account]: owed } };
}

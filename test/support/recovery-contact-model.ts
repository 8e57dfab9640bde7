/**
 * Agreements between accounts, as docs/protocol.md says: each side gives its own; what both have given passes. An agreement is
 * with whoever was there when it was given: it ends when that account is removed, and for nobody it never begins. It stays in
 * its giver's list until that is removed or takes it back.
 */
import type { Operation } from "./recovery-operations.js";
import { type Given, refuse, type State, type Step, without } from "./recovery-state.js";

/** Given while the other account was removed: to nobody. */
const NOBODY = -1;

export function changeContacts(
  state: State,
  { op, account, other, covers }: Extract<Operation, { op: "agree" | "takeBack" }>,
): Step {
  const there = state.accounts[account];
  if (there === undefined || there.isRemoved) return refuse(state, "notFound");
  const given = state.contacts[account] ?? [];
  const known = given.find((one) => one.other === other);
  const before = known !== undefined && isLive(state, known) ? known.covers : 0;
  const now = op === "agree" ? before | covers : before & ~covers;
  const rest = given.filter((one) => one !== known);
  const to = state.accounts[other]?.isRemoved ? NOBODY : (state.removals[other] ?? 0);
  const after = now === 0 ? rest : [...rest, { other, covers: now, to }];
  return { state: { ...state, contacts: { ...state.contacts, [account]: after } }, outcome: {} };
}

/** What goes with an account that is removed: all it has given, and all it was given. */
export function endContacts(state: State, account: string): State {
  return {
    ...state,
    contacts: without(state.contacts, (key) => key === account),
    removals: { ...state.removals, [account]: (state.removals[account] ?? 0) + 1 },
  };
}

/** By account: with whom it has agreed to what, whether that counts or not. */
export function givenIn(state: State): Record<string, readonly (readonly [string, number])[]> {
  const lists = Object.entries(state.contacts).filter(([, given]) => given.length > 0);
  return Object.fromEntries(
    lists.map(([account, given]) => [account, sorted(given.map(({ other, covers }) => [other, covers]))]),
  );
}

/** By two accounts, the lesser first: what both have agreed to. */
export function agreedIn(state: State): Record<string, number> {
  const agreed: Record<string, number> = {};
  for (const account of Object.keys(state.contacts)) {
    for (const other of Object.keys(state.contacts)) {
      const covers = liveCovers(state, account, other) & liveCovers(state, other, account);
      if (account < other && covers > 0) agreed[`${account} ${other}`] = covers;
    }
  }
  return agreed;
}

export function sorted(
  given: readonly (readonly [string, number])[],
): readonly (readonly [string, number])[] {
  return [...given].sort(([a], [b]) => (a < b ? -1 : 1));
}

function liveCovers(state: State, account: string, other: string): number {
  const given = state.contacts[account]?.find((one) => one.other === other);
  return given !== undefined && isLive(state, given) ? given.covers : 0;
}

const isLive = (state: State, { other, to }: Given): boolean => to === (state.removals[other] ?? 0);

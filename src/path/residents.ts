/** Rosters that the kernel needs and does not have: read from the store, as many for one connection as a turn gives it. */
import type { AccountAddress } from "../base/address.js";
import { type Attachment, mayCost } from "./attachment.js";
import type { PathState } from "./state.js";

/** A roster of so many members takes as long to read as one account. */
const MEMBERS_PER_LOAD = 64;

/**
 * What the kernel asks for and does not get, it asks for a few times more and then refuses the send as overloaded: when
 * its tables are full of what is connected or in the tail, or when one connection asks for too much in one turn.
 */
export function loadAccounts(state: PathState): void {
  const { kernel, limits } = state;
  const attachment = state.connections[kernel.neededBy()];
  if (attachment === undefined) return;
  const [cost, max] = kernel.areMembersNeeded
    ? (["memberLoads", limits.memberLoadsPerTurnMax] as const)
    : (["loads", limits.accountLoadsPerTurnMax] as const);
  const count = kernel.neededCount;
  for (let i = 0; i < count && mayCost(state, attachment, cost, max); i++)
    kernel.loadAccount(state.account(kernel.neededAccount(i)));
}

/** Its members are asked for next, those that are not resident. */
export function loadGroup(state: PathState): void {
  const { kernel } = state;
  const attachment = state.connections[kernel.neededBy()];
  if (attachment !== undefined) makeGroupResident(state, attachment, kernel.neededGroup());
}

/** For a connection that names a group; false when it has had as many loads as one gets in a turn. */
export function makeGroupResident(
  state: PathState,
  attachment: Attachment,
  address: AccountAddress,
): boolean {
  if (!mayCost(state, attachment, "loads", state.limits.accountLoadsPerTurnMax)) return false;
  const group = state.group(address);
  attachment.costs.loads += Math.floor(group.members.length / MEMBERS_PER_LOAD);
  state.kernel.loadGroup(group);
  return true;
}

/**
 * Groups, for `interline check`: every roster is whole, in its partition, and one that the rules allow; every member has the
 * group in his list, of groups that he is in or of those that he has to leave, and no list has more (memberships.ts).
 */
import type { AccountAddress } from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import { limits } from "../rules/limits.js";
import type { CheckReport } from "./check-report.js";
import type { Checker } from "./checker.js";
import { decodeGroup, type GroupRow } from "./group-rows.js";
import { decodeMemberships, type MembershipTable } from "./memberships.js";
import { accountKey, addressInKey } from "./schema.js";

export async function checkGroups(checker: Checker): Promise<CheckReport["groups"]> {
  const counts = { groups: 0, members: 0, leaving: 0 };
  let found = 0;
  // A directory of version 2 has none.
  if (!checker.database.has("groups")) return counts;
  await checker.eachRow("groups", ({ key, value }) => {
    counts.groups++;
    checker.requirePartition("groups", key);
    const address = addressInKey(key);
    const row = decodeGroup(key, value);
    if (row === undefined) {
      checker.find({ table: "groups", kind: "damaged", detail: "the row is damaged", address });
      return;
    }
    counts.members += row.members.length;
    const detail = faultIn(row);
    if (detail !== undefined) checker.find({ table: "groups", kind: "totals", detail, address });
    const listing = row.members.filter(({ account }) => isListed(checker, account, address)).length;
    found += listing;
    if (listing < row.members.length)
      checker.find({
        table: "groups",
        kind: "reference",
        detail: "a member does not list the group",
        address,
      });
  });
  const listed = await countLists(checker, "memberships");
  counts.leaving = await countLists(checker, "leaving");
  // A live directory changes between two reads.
  if (!checker.state.ownerPid && listed + counts.leaving !== found) {
    const detail = `accounts list ${listed + counts.leaving} memberships where groups have ${found}`;
    checker.find({ table: "memberships", kind: "totals", detail });
  }
  return counts;
}

function isListed(checker: Checker, account: AccountAddress, group: AccountAddress): boolean {
  const key = accountKey(account);
  return (["memberships", "leaving"] as const).some((table) => {
    const row = checker.row(table, key);
    const groups = row && decodeMemberships(key, row);
    return groups?.some((one) => equalBytes(one, group)) === true;
  });
}

/** The memberships in a table, after a look at each of its rows. */
async function countLists(checker: Checker, table: MembershipTable): Promise<number> {
  let count = 0;
  await checker.eachRow(table, ({ key, value }) => {
    checker.requirePartition(table, key);
    const address = addressInKey(key);
    const groups = decodeMemberships(key, value);
    if (groups === undefined) checker.find({ table, kind: "damaged", detail: "the row is damaged", address });
    else if (table === "memberships" && checker.account(address)?.isRemoved)
      checker.find({ table, kind: "reference", detail: "a removed account is in groups", address });
    count += groups?.length ?? 0;
  });
  return count;
}

function faultIn({ version, members }: GroupRow): string | undefined {
  if (version === 0) return "a group's version is at least 1";
  if (members.length === 0) return "a group has no members";
  if (members.length > limits.groupMembersMax) return "a group has more members than it may have";
  if (!members.some(({ role }) => role === "admin")) return "a group has no admin";
  if (new Set(members.map(({ account }) => toHex(account))).size < members.length)
    return "a group has a member twice";
  return undefined;
}

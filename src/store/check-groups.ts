/** The table of groups, for `interline check`: every roster is whole, in its partition, and one that the rules allow. */
import { toHex } from "../base/bytes.js";
import { limits } from "../rules/limits.js";
import type { Checker } from "./check.js";
import { decodeGroup, type GroupRow } from "./group-rows.js";
import { addressInKey } from "./schema.js";

export interface GroupCounts {
  readonly groups: number;
  readonly members: number;
}

export async function checkGroups(checker: Checker): Promise<GroupCounts> {
  const counts = { groups: 0, members: 0 };
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
  });
  return counts;
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

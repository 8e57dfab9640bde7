/**
 * A group's row: its whole roster, under a version that rises with each change.
 *
 *   group row   0 u32 crc   4 u32 version   8 u32 memberCount   12 u32 0
 *              16 memberCount × { account 18, u8 role (1 admin, 2 member) }, in order of joining
 *
 * One row for a group, not one for a member: a change is then one put that is whole or not at all, whoever loads a
 * roster reads one row, and a full one (10,000 × 19 B) takes 190 KB, 47 pages of LMDB. What that costs is the writing
 * of all of them for one newcomer; changes of large groups are rare beside the messages that are sent to them.
 */
import type { AccountAddress } from "../base/address.js";
import { type Member, roleOf, roles } from "../wire/groups.js";
import { isSealed, readU32, seal, writeU32 } from "./schema.js";

const HEADER_BYTES = 16;
const MEMBER_BYTES = 19;

export interface GroupRow {
  readonly version: number;
  readonly members: readonly Member[];
}

export function encodeGroup(key: Uint8Array, { version, members }: GroupRow): Uint8Array {
  const row = new Uint8Array(HEADER_BYTES + MEMBER_BYTES * members.length);
  writeU32(row, 4, version);
  writeU32(row, 8, members.length);
  members.forEach(({ account, role }, i) => {
    const at = HEADER_BYTES + MEMBER_BYTES * i;
    row.set(account, at);
    row[at + 18] = roles[role];
  });
  return seal(key, row);
}

/** undefined when the row is damaged. The members' addresses are views of the row. */
export function decodeGroup(key: Uint8Array, row: Uint8Array): GroupRow | undefined {
  if (row.length < HEADER_BYTES || !isSealed(key, row)) return undefined;
  if (row.length !== HEADER_BYTES + MEMBER_BYTES * readU32(row, 8)) return undefined;
  const members: Member[] = [];
  for (let at = HEADER_BYTES; at < row.length; at += MEMBER_BYTES) {
    const account: AccountAddress = row.subarray(at, at + 18);
    const role = roleOf(row[at + 18] as number);
    if (role === undefined) return undefined;
    members.push({ account, role });
  }
  return { version: readU32(row, 4), members };
}

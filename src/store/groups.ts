/**
 * Groups: each change puts the new roster, the notices that tell of it and the index of its members (memberships.ts) into
 * one transaction, so that none is ever on disk without the others. Changes that wait go into one transaction together, but
 * for those of the same accounts. Whether a change is allowed is not asked here (rules/groups.ts), save how many groups its
 * newcomers are in, nor is it made twice at once for one group: its service sees to that.
 */
import { type AccountAddress, brandOf } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { Group } from "../rules/groups.js";
import type { Member } from "../wire/groups.js";
import type { Changes } from "./changes.js";
import type { Database } from "./database.js";
import { decodeGroup, encodeGroup } from "./group-rows.js";
import type { Memberships } from "./memberships.js";
import type { Notice, Outbox } from "./outbox.js";
import { nameOf } from "./queue-reader.js";
import { accountKey } from "./schema.js";

/** A group as it shall be, and what is to be told of it. Without members it is gone. */
export interface ChangedGroup {
  readonly group: Group;
  readonly notices: readonly Notice[];
}

interface GroupParts {
  readonly database: Database;
  readonly changes: Changes;
  readonly outbox: Outbox;
  readonly memberships: Memberships;
  readonly isRemoved: (account: AccountAddress) => boolean;
  readonly onDamage: (address: AccountAddress) => void;
}

export class Groups {
  readonly #parts: GroupParts;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  /** A group whose row is damaged is reported and reads as one that does not exist. */
  read(address: AccountAddress): Group | undefined {
    const { database, onDamage } = this.#parts;
    const key = accountKey(address);
    const value = database.get("groups", key);
    if (value === undefined) return undefined;
    const row = decodeGroup(key, value);
    if (row === undefined) onDamage(address);
    return row && { address: new Uint8Array(address), ...row };
  }

  /**
   * Resolves when all of it is on disk, with those newcomers that are removed accounts: they are to leave again. Rejects
   * with tooManyGroups.
   */
  change({ group, notices }: ChangedGroup): Promise<readonly AccountAddress[]> {
    const { changes, outbox, memberships, isRemoved } = this.#parts;
    const { address, members } = group;
    const { joined, gone } = difference(this.read(address)?.members ?? [], members);
    const names = [...joined, ...gone].map(nameOf);
    return changes.add([nameOf(address), ...names], async (batch) => {
      const [first] = notices;
      if (first !== undefined && gone.length === 0) outbox.refuseFull(first.brand ?? brandOf(address));
      const isLeaving = await memberships.stageChange(batch, address, {
        joined,
        gone,
        isRemoved,
      });
      const key = accountKey(address);
      if (members.length === 0) batch.remove("groups", key);
      else batch.put("groups", key, encodeGroup(key, group));
      for (const notice of notices) outbox.stageNotice(batch, notice);
      return isLeaving;
    });
  }
}

/**
 * Who is in the one roster and not in the other. Members stand in the order in which they joined, so that one pass over
 * both finds who has gone, and behind the rest who has come, where names of all of a full group would hold the event loop for 14 ms.
 */
function difference(
  before: readonly Member[],
  after: readonly Member[],
): { readonly joined: readonly AccountAddress[]; readonly gone: readonly AccountAddress[] } {
  const gone: AccountAddress[] = [];
  let i = 0;
  for (const { account } of before) {
    const candidate = after[i];
    if (candidate !== undefined && equalBytes(candidate.account, account)) i++;
    else gone.push(account);
  }
  const joined = after.slice(i).map(({ account }) => account);
  // Whoever only stands elsewhere now has neither come nor gone.
  const [goneNames, joinedNames] = [new Set(gone.map(nameOf)), new Set(joined.map(nameOf))];
  return {
    joined: joined.filter((account) => !goneNames.has(nameOf(account))),
    gone: gone.filter((account) => !joinedNames.has(nameOf(account))),
  };
}

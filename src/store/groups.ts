/**
 * Groups: each change puts the new roster, the notices that tell of it and the index of its members (memberships.ts) into
 * one transaction, so that none is ever on disk without the others. Changes that wait go into one transaction together, but
 * for those of the same accounts. Whether a change is allowed is not asked here (rules/groups.ts), save how many groups its
 * newcomers are in, nor is it made twice at once for one group: its service sees to that.
 */
import type { AccountAddress } from "../base/address.js";
import type { Group } from "../rules/groups.js";
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
    const [before, after] = [accountsOf(this.read(address)), accountsOf(group)];
    const joined = [...after].filter(([name]) => !before.has(name));
    const gone = [...before].filter(([name]) => !after.has(name));
    const names = [...joined, ...gone].map(([name]) => name);
    return changes.add([nameOf(address), ...names], (batch) => {
      const isLeaving = memberships.stageChange(batch, address, {
        joined: joined.map(([, account]) => account),
        gone: gone.map(([, account]) => account),
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

/** The members by name. */
const accountsOf = (group: Group | undefined): Map<string, AccountAddress> =>
  new Map(group?.members.map(({ account }) => [nameOf(account), account]));

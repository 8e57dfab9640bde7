/**
 * Which groups an account is in: the index of the table of groups, and what of it is owed.
 *
 *   memberships   by account   the groups that it is a member of, in the order in which it joined
 *   leaving       by account   those that it has yet to leave, because it was removed
 *
 *   membership row, in both   0 u32 crc   4 group 18, one behind the other, up to the row's end; no row without any
 *
 * A group finds each of its members in exactly one of the two. A removal moves the account's row from the one to the other
 * in its own transaction; directory/groups.ts then takes it out of one group after the other, and goes on with what it finds
 * here at a start. An account that is removed when it is added to a group is owed from the beginning.
 *
 * One row for an account, not one for a membership: its length is the count that the bound asks for.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress } from "../base/address.js";
import { concatBytes, equalBytes } from "../base/bytes.js";
import { judgeJoining } from "../rules/groups.js";
import { CodedError } from "../wire/coded-error.js";
import type { Batch, Database } from "./database.js";
import { accountKey, addressInKey, isSealed, seal } from "./schema.js";
import { Breather } from "./slices.js";

const CRC_BYTES = 4;

export type MembershipTable = "memberships" | "leaving";

/** Groups of one account. undefined when the row is damaged. */
export function decodeMemberships(key: Uint8Array, row: Uint8Array): AccountAddress[] | undefined {
  const count = (row.length - CRC_BYTES) / ACCOUNT_ADDRESS_BYTES;
  if (!Number.isInteger(count) || count < 1 || !isSealed(key, row)) return undefined;
  return Array.from({ length: count }, (_, i) => {
    const at = CRC_BYTES + ACCOUNT_ADDRESS_BYTES * i;
    return new Uint8Array(row.subarray(at, at + ACCOUNT_ADDRESS_BYTES));
  });
}

interface MembershipOptions {
  readonly onDamage: (table: MembershipTable, account: AccountAddress) => void;
  /** Every read from outside goes through it: it refuses when the store has ended, and ends the store when the read fails. */
  readonly guard: <T>(read: () => T) => T;
}

export class Memberships {
  readonly #database: Database;
  readonly #options: MembershipOptions;

  constructor(database: Database, options: MembershipOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** The groups that an account is a member of, in the order in which it joined. */
  of(account: AccountAddress): readonly AccountAddress[] {
    return this.#options.guard(() => this.#read("memberships", account));
  }

  /** Those that it has yet to leave, because it was removed; whoever takes it out of one (changeGroup) is rid of it here. */
  toLeave(account: AccountAddress): readonly AccountAddress[] {
    return this.#options.guard(() => this.#read("leaving", account));
  }

  /** Accounts that have any to leave. */
  leaving(): readonly AccountAddress[] {
    return this.#options.guard(() => [...this.#database.keys("leaving")].map(addressInKey));
  }

  /** A row that is damaged is reported and reads as none. */
  #read(table: MembershipTable, account: AccountAddress): readonly AccountAddress[] {
    const key = accountKey(account);
    const row = this.#database.get(table, key);
    if (row === undefined) return [];
    const groups = decodeMemberships(key, row);
    if (groups === undefined) this.#options.onDamage(table, account);
    return groups ?? [];
  }

  /**
   * Who comes to a group and who goes: ten thousand rows of a full one, which are put together a few at a time. Rejects with
   * CodedError `tooManyGroups` before it has put anything. Returns who of those that come was removed, and is to leave again.
   */
  async stageChange(
    batch: Batch,
    group: AccountAddress,
    { joined, gone, isRemoved }: MembershipChange,
  ): Promise<readonly AccountAddress[]> {
    const breather = new Breather();
    const before: (readonly AccountAddress[])[] = [];
    for (const account of joined) {
      const groups = this.#read("memberships", account);
      const refusal = judgeJoining(groups.length);
      if (refusal !== undefined) throw new CodedError(refusal);
      before.push(groups);
      await breather.breath();
    }
    const leaving: AccountAddress[] = [];
    for (const [i, account] of joined.entries()) {
      if (isRemoved(account)) {
        leaving.push(account);
        this.#put(batch, "leaving", account, [...this.#read("leaving", account), group]);
      } else this.#put(batch, "memberships", account, [...(before[i] ?? []), group]);
      await breather.breath();
    }
    for (const account of gone) {
      for (const table of ["memberships", "leaving"] as const) {
        const before = this.#read(table, account);
        const after = before.filter((one) => !equalBytes(one, group));
        if (after.length < before.length) this.#put(batch, table, account, after);
      }
      await breather.breath();
    }
    return leaving;
  }

  /** The account goes: what it is a member of, it has to leave. */
  stageRemoval(batch: Batch, account: AccountAddress): void {
    const groups = this.#read("memberships", account);
    if (groups.length === 0) return;
    this.#put(batch, "memberships", account, []);
    this.#put(batch, "leaving", account, [...this.#read("leaving", account), ...groups]);
  }

  #put(
    batch: Batch,
    table: MembershipTable,
    account: AccountAddress,
    groups: readonly AccountAddress[],
  ): void {
    const key = accountKey(account);
    if (groups.length === 0) batch.remove(table, key);
    else batch.put(table, key, seal(key, concatBytes([new Uint8Array(CRC_BYTES), ...groups])));
  }
}

export interface MembershipChange {
  readonly joined: readonly AccountAddress[];
  readonly gone: readonly AccountAddress[];
  readonly isRemoved: (account: AccountAddress) => boolean;
}

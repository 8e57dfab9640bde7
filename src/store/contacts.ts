/**
 * Agreements between accounts: one row for each account that has given any, in its own key range.
 *
 *   contact row   0 u32 crc   4 u32 endedAt   8 u32 count   12 u32 0
 *                16 count × { account 18, u8 covers (wire/contacts.ts), u8 0, u32 version of its roster when it was given }
 *
 * `endedAt`: the version at which the account was removed last; 0: never. A removed account's own agreements go in the
 * transaction of its removal. What others have agreed with it may stand in any number of rows anywhere: the number ends
 * all of it at once, whoever comes back under that address. It stays in their givers' lists until those take it back: that
 * somebody was removed is not to be read from them.
 *
 * One row, so that a look at all of an account's agreements is one read: one row for each agreement took 13 µs for each
 * (measured), this takes 0.15 µs, and a full row has 24 KB. Rows are kept as they were read until they change, up to a number of bytes.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import { isWithPresentOwner, mayHaveOneMore } from "../rules/contacts.js";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import type { Agreement } from "../wire/contacts.js";
import type { Changes } from "./changes.js";
import type { Batch, Database } from "./database.js";
import { nameOf } from "./queue-reader.js";
import { accountKey, isSealed, readU32, seal, writeU32 } from "./schema.js";

const HEADER_BYTES = 16;
const AGREEMENT_BYTES = 24;
/** What a row that is kept takes beside its bytes, roughly. */
const KEPT_ROW_BYTES = 160;

export interface GivenAgreement extends Agreement {
  /** Of the other account's roster when the agreement was given. */
  readonly version: number;
}

export interface ContactRow {
  readonly endedAt: number;
  readonly agreements: readonly GivenAgreement[];
}

export function encodeContacts(key: Uint8Array, { endedAt, agreements }: ContactRow): Uint8Array {
  const row = new Uint8Array(HEADER_BYTES + AGREEMENT_BYTES * agreements.length);
  writeU32(row, 4, endedAt);
  writeU32(row, 8, agreements.length);
  agreements.forEach(({ account, covers, version }, i) => {
    const at = HEADER_BYTES + AGREEMENT_BYTES * i;
    row.set(account, at);
    row[at + 18] = covers;
    writeU32(row, at + 20, version);
  });
  return seal(key, row);
}

function isWhole(key: Uint8Array, row: Uint8Array): boolean {
  if (row.length < HEADER_BYTES || !isSealed(key, row)) return false;
  return row.length === HEADER_BYTES + AGREEMENT_BYTES * readU32(row, 8);
}

/** undefined when the row is damaged. */
export function decodeContacts(key: Uint8Array, row: Uint8Array): ContactRow | undefined {
  if (!isWhole(key, row)) return undefined;
  return { endedAt: readU32(row, 4), agreements: agreementsIn(row) };
}

function agreementsIn(row: Uint8Array): GivenAgreement[] {
  const agreements: GivenAgreement[] = [];
  for (let at = HEADER_BYTES; at < row.length; at += AGREEMENT_BYTES) {
    const account: AccountAddress = new Uint8Array(row.subarray(at, at + ACCOUNT_ADDRESS_BYTES));
    agreements.push({ account, covers: row[at + 18] as number, version: readU32(row, at + 20) });
  }
  return agreements;
}

/** Where the agreement with the other account stands in a row; 0: nowhere. */
function placeOf(row: Uint8Array, other: AccountAddress): number {
  for (let at = HEADER_BYTES; at < row.length; at += AGREEMENT_BYTES) {
    // From the end: that is where ids differ, brands do not.
    let i = ACCOUNT_ADDRESS_BYTES - 1;
    while (i >= 0 && row[at + i] === other[i]) i--;
    if (i < 0) return at;
  }
  return 0;
}

/**
 * Two accounts of which one has changed what it gives, and what both had agreed to before the transaction of that change: what
 * they have after it is `Contacts.both`. Where each of them has changed it in the one transaction, both changes say the same.
 */
export interface ContactChange {
  readonly account: AccountAddress;
  readonly other: AccountAddress;
  readonly before: number;
}

interface ContactParts {
  readonly database: Database;
  readonly changes: Changes;
  /** Of the account's roster; 0 when nobody was ever there. */
  readonly versionOf: (account: AccountAddress) => number;
  readonly isThere: (account: AccountAddress) => boolean;
  readonly onDamage: (account: AccountAddress) => void;
  /** A change is on disk. */
  readonly onChanged: (change: ContactChange) => void;
}

/** Of an account that has given nothing. */
const NOTHING = new Uint8Array(HEADER_BYTES);

export class Contacts {
  readonly #parts: ContactParts;
  /** Rows as they are on disk, by account. */
  readonly #kept = new Map<string, Uint8Array>();
  #keptBytes = 0;
  /** Accounts whose rows the transaction under way changes. */
  readonly #staged: string[] = [];

  constructor(parts: ContactParts) {
    this.#parts = parts;
  }

  /** What both have agreed to with each other: bits of `coverage`. What is damaged counts as not agreed to. */
  both(account: AccountAddress, other: AccountAddress): number {
    const mine = this.#row(account);
    const given = placeOf(mine, other);
    if (given === 0) return 0;
    const theirs = this.#row(other);
    const received = placeOf(theirs, account);
    if (received === 0) return 0;
    return coversAt(mine, given, theirs) & coversAt(theirs, received, mine);
  }

  /** What the account itself has given, oldest first. */
  list(account: AccountAddress): readonly Agreement[] {
    return agreementsIn(this.#row(account));
  }

  /** Adds to what the account has given. Rejects with notFound (no such account) or tooManyContacts. */
  allow(account: AccountAddress, other: AccountAddress, covers: number): Promise<void> {
    return this.#change(account, other, (known) => known | covers);
  }

  /** Takes back, if it was given. */
  withdraw(account: AccountAddress, other: AccountAddress, covers: number): Promise<void> {
    return this.#change(account, other, (known) => known & ~covers);
  }

  /** The account goes, and with it what it has given and what it was given. */
  stageForget(batch: Batch, account: AccountAddress, version: number): void {
    const { agreements } = this.#given(account);
    const others = agreements.map((agreement) => agreement.account);
    this.#stage(batch, account, others, { endedAt: version, agreements: [] });
  }

  #change(account: AccountAddress, other: AccountAddress, become: (known: number) => number): Promise<void> {
    const { changes, versionOf, isThere } = this.#parts;
    return changes.add([nameOf(account)], (batch) => {
      if (!isThere(account)) throw new CodedError("notFound");
      const { endedAt, agreements } = this.#given(account);
      const known = agreements.find((agreement) => equalBytes(agreement.account, other));
      // What was given to somebody who is gone does not come to life with what is given now.
      const isLive = known !== undefined && isWithPresentOwner(known.version, endOf(this.#row(other)));
      const covers = become(isLive ? known.covers : 0);
      const version = versionOf(other);
      if (covers === (known?.covers ?? 0) && version === (known?.version ?? version)) return;
      if (known === undefined && !mayHaveOneMore(agreements.length)) throw new CodedError("tooManyContacts");
      const others = agreements.filter((agreement) => agreement !== known);
      const now = covers === 0 ? [] : [{ account: other, covers, version }];
      this.#stage(batch, account, [other], { endedAt, agreements: [...others, ...now] });
    });
  }

  #stage(batch: Batch, account: AccountAddress, others: readonly AccountAddress[], row: ContactRow): void {
    const changes = others.map((other) => ({ account, other, before: this.both(account, other) }));
    const key = accountKey(account);
    if (row.endedAt === 0 && row.agreements.length === 0) batch.remove("contacts", key);
    else batch.put("contacts", key, encodeContacts(key, row));
    this.#staged.push(nameOf(account));
    batch.whenWritten(() => {
      // All of them before the first change is told: beside a row of before the transaction, one of after it would say that
      // both have agreed where one has just given and the other has just taken back, and nobody would be told that it is not so.
      for (const name of this.#staged.splice(0)) this.#drop(name);
      for (const change of changes) this.#parts.onChanged(change);
    });
  }

  /**
   * What the account has given, for a change of it. A damaged row is one of nothing, that ends what was agreed with the account
   * before its roster was as it is: any removal was before that.
   */
  #given(account: AccountAddress): ContactRow {
    const key = accountKey(account);
    const value = this.#parts.database.get("contacts", key);
    if (value === undefined) return { endedAt: 0, agreements: [] };
    const row = decodeContacts(key, value);
    return row ?? { endedAt: Math.max(0, this.#parts.versionOf(account) - 1), agreements: [] };
  }

  #row(account: AccountAddress): Uint8Array {
    const name = nameOf(account);
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const row = this.#read(account);
    this.#keptBytes += row.length + KEPT_ROW_BYTES;
    if (this.#keptBytes > limits.contactRowsKeptBytes) {
      this.#kept.clear();
      this.#keptBytes = row.length + KEPT_ROW_BYTES;
    }
    this.#kept.set(name, row);
    return row;
  }

  #read(account: AccountAddress): Uint8Array {
    const key = accountKey(account);
    const value = this.#parts.database.get("contacts", key);
    if (value === undefined) return NOTHING;
    if (isWhole(key, value)) return value;
    this.#parts.onDamage(account);
    return encodeContacts(key, { endedAt: 0xffffffff, agreements: [] });
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    this.#kept.delete(name);
    this.#keptBytes -= kept.length + KEPT_ROW_BYTES;
  }
}

function endOf(row: Uint8Array): number | undefined {
  return readU32(row, 4) || undefined;
}

/** What the agreement at this place of a row covers, with an account that has the other row. */
function coversAt(row: Uint8Array, at: number, other: Uint8Array): number {
  return isWithPresentOwner(readU32(row, at + 20), endOf(other)) ? (row[at + 18] as number) : 0;
}

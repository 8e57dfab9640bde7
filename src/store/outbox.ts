/**
 * The outbox: notices that the node owes to devices. A change that must be told of stages its notice in its own
 * transaction, so that neither is ever on disk without the other; the path sends what it finds here (path/notices.ts)
 * and the row goes when the commit that holds the notice is flushed.
 *
 * A notice may tell of a group's change: to the members that its roster has by then (no recipients), or
 * to those who are members no more. Of one group only one change is in here at a time; `settled` says when it is gone.
 *
 * What is owed is counted to the brand that caused it: each gets its turn however much another is owed, and whoever would
 * have more than noticesOwedPerBrandMax of them is asked to come back (`refuseFull`). A damaged row is reported, left for
 * `interline check` to show, and otherwise as if it were not there.
 *
 * Numbers rise and say the order; after all rows are gone they may begin anew. What names a notice to its readers
 * is its id, which is random.
 */
import { randomBytes } from "node:crypto";
import { type AccountAddress, brandOf, ENVELOPE_ID_BYTES, type EnvelopeId } from "../base/address.js";
import { assert } from "../base/assert.js";
import { toHex } from "../base/bytes.js";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import { decodeNotice, encodeNotice } from "./account-rows.js";
import type { Batch, Database } from "./database.js";
import { numberKey, readU64BE } from "./schema.js";
import type { Work, Writer } from "./writer.js";

export interface NoticeRecipient {
  readonly account: AccountAddress;
  /** Undefined: all that the account's roster has when the notice goes out. */
  readonly devices?: readonly number[] | undefined;
}

export interface Notice {
  /** At most accountsPerSendMax accounts, each once; none when the members of `group` get it. */
  readonly recipients: readonly NoticeRecipient[];
  /** Whose change it tells of, and the version that the change made. */
  readonly group?: { readonly address: AccountAddress; readonly version: number } | undefined;
  /** Because of which it is owed: that of the first recipient, or of the group, unless it is said. */
  readonly brand?: number;
  /** See wire/notices.ts. */
  readonly payload: Uint8Array;
}

export interface StoredNotice extends Notice {
  readonly number: number;
  readonly id: EnvelopeId;
}

/** What is owed because of one group's change. */
interface OpenChange {
  readonly numbers: Set<number>;
  /** Of the notice that the members get. */
  event: number | undefined;
  readonly settled: Promise<void>;
  readonly settle: () => void;
}

export interface OutboxBounds {
  readonly noticesOwedPerBrandMax: number;
  readonly noticesOwedRetryMs: number;
}

interface OutboxOptions {
  readonly bounds: OutboxBounds;
  readonly onDamage: (number: number) => void;
  readonly onStored: () => void;
}

export class Outbox implements Work {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #options: OutboxOptions;
  #nextNumber = 1;
  #dropped: number[] = [];
  readonly #changes = new Map<string, OpenChange>();
  /** Numbers of notices of groups → the group. */
  readonly #groups = new Map<number, string>();
  /** What is owed, in order, and because of which brand. */
  readonly #owed = new Map<number, number>();
  readonly #ofBrand = new Map<number, Set<number>>();

  constructor(database: Database, writer: Writer, options: OutboxOptions) {
    this.#database = database;
    this.#writer = writer;
    this.#options = options;
    for (const { key, value } of database.rows("outbox")) {
      const number = readU64BE(key, 0);
      this.#nextNumber = number + 1;
      const notice = decodeNotice(key, value);
      if (notice === undefined) options.onDamage(number);
      else this.#open(number, notice);
    }
  }

  /**
   * The refusal of a change that would be told, when as much is owed because of this brand as may be. What takes
   * somebody out, and so ends what he gets, is not refused: it ends by itself when nobody is left to be taken out.
   */
  refusal(brand: number): CodedError | undefined {
    const { noticesOwedPerBrandMax, noticesOwedRetryMs } = this.#options.bounds;
    const owed = this.#ofBrand.get(brand)?.size ?? 0;
    if (owed < noticesOwedPerBrandMax) return undefined;
    return new CodedError("rateLimited", { retryAfterMs: noticesOwedRetryMs });
  }

  refuseFull(brand: number): void {
    const refusal = this.refusal(brand);
    if (refusal !== undefined) throw refusal;
  }

  /** Puts a notice into the transaction of the change that it tells of. */
  stageNotice(batch: Batch, notice: Notice): void {
    const { recipients, payload, group } = notice;
    assert(recipients.length >= (group ? 0 : 1), "a notice is for somebody");
    assert(recipients.length <= limits.accountsPerSendMax, "a notice is one send");
    assert(payload.length <= limits.noticePayloadBytesMax, "a notice is short");
    const number = this.#nextNumber++;
    const key = numberKey(number);
    const id = new Uint8Array(randomBytes(ENVELOPE_ID_BYTES));
    // Known before the row can be read: nobody may send by a roster whose event is owed.
    this.#open(number, notice);
    batch.put("outbox", key, encodeNotice(key, { ...notice, id, brand: brandCharged(notice) }));
    batch.whenWritten(this.#options.onStored);
  }

  #open(number: number, notice: Notice): void {
    const { group, recipients } = notice;
    const brand = brandCharged(notice);
    this.#owed.set(number, brand);
    const numbers = this.#ofBrand.get(brand) ?? new Set();
    this.#ofBrand.set(brand, numbers.add(number));
    if (group === undefined) return;
    const name = toHex(group.address);
    let settle = (): void => {};
    const settled = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const change = this.#changes.get(name) ?? { numbers: new Set(), event: undefined, settled, settle };
    change.numbers.add(number);
    if (recipients.length === 0) change.event = number;
    this.#changes.set(name, change);
    this.#groups.set(number, name);
  }

  #close(number: number): void {
    const brand = this.#owed.get(number);
    const numbers = brand === undefined ? undefined : this.#ofBrand.get(brand);
    if (brand === undefined || numbers === undefined) return;
    this.#owed.delete(number);
    numbers.delete(number);
    if (numbers.size === 0) this.#ofBrand.delete(brand);
    const name = this.#groups.get(number);
    const change = name === undefined ? undefined : this.#changes.get(name);
    if (name === undefined || change === undefined) return;
    this.#groups.delete(number);
    change.numbers.delete(number);
    if (change.event === number) change.event = undefined;
    if (change.numbers.size > 0) return;
    this.#changes.delete(name);
    change.settle();
  }

  /** The number of the notice that the group's members have yet to be sent. */
  owedEvent(group: AccountAddress): number | undefined {
    return this.#changes.get(toHex(group))?.event;
  }

  /** Resolves when nothing is owed any more because of a change of this group; undefined when nothing is now. */
  settled(group: AccountAddress): Promise<void> | undefined {
    return this.#changes.get(toHex(group))?.settled;
  }

  /** Brands because of which anything is owed. */
  get brands(): readonly number[] {
    return [...this.#ofBrand.keys()];
  }

  /** Notices numbered above `after`, in order, of this brand or of all. */
  read(after: number, max: number, brand?: number): StoredNotice[] {
    const found: StoredNotice[] = [];
    const numbers = brand === undefined ? this.#owed.keys() : (this.#ofBrand.get(brand) ?? []);
    const damaged: number[] = [];
    for (const number of numbers) {
      if (found.length === max) break;
      if (number <= after) continue;
      const key = numberKey(number);
      const value = this.#database.get("outbox", key);
      // Staged, and not yet on disk: it is told of when it is.
      if (value === undefined) break;
      const notice = decodeNotice(key, value);
      if (notice === undefined) damaged.push(number);
      else found.push({ number, ...notice });
    }
    for (const number of damaged) {
      this.#options.onDamage(number);
      this.#close(number);
    }
    return found;
  }

  /** The rows go with the next transaction. */
  drop(numbers: readonly number[]): void {
    const isStaged = this.#dropped.length > 0;
    this.#dropped.push(...numbers);
    for (const number of numbers) this.#close(number);
    if (!isStaged) void this.#writer.submitPrompt(this).catch(() => {});
  }

  stage(batch: Batch): boolean {
    for (const number of this.#dropped.splice(0)) batch.remove("outbox", numberKey(number));
    return true;
  }
}

function brandCharged({ brand, group, recipients }: Notice): number {
  const one = recipients[0]?.account ?? group?.address;
  assert(one !== undefined, "a notice is for somebody");
  return brand || brandOf(one);
}

/**
 * The outbox: notices that the node owes to devices. A change that must be told of stages its notice in its own
 * transaction, so that neither is ever on disk without the other; the path sends what it finds here (path/notices.ts)
 * and the row goes when the commit that holds the notice is flushed.
 *
 * Numbers rise and say the order; after all rows are gone they may begin anew. What names a notice to its readers
 * is its id, which is random.
 */
import { randomBytes } from "node:crypto";
import { type AccountAddress, ENVELOPE_ID_BYTES, type EnvelopeId } from "../base/address.js";
import { assert } from "../base/assert.js";
import { limits } from "../rules/limits.js";
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
  /** At most accountsPerSendMax accounts, each once. */
  readonly recipients: readonly NoticeRecipient[];
  /** See wire/notices.ts. */
  readonly payload: Uint8Array;
}

export interface StoredNotice extends Notice {
  readonly number: number;
  readonly id: EnvelopeId;
}

export class Outbox implements Work {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #onDamage: (number: number) => void;
  readonly #onStored: () => void;
  #nextNumber = 1;
  #dropped: number[] = [];

  constructor(
    database: Database,
    writer: Writer,
    options: { readonly onDamage: (number: number) => void; readonly onStored: () => void },
  ) {
    this.#database = database;
    this.#writer = writer;
    this.#onDamage = options.onDamage;
    this.#onStored = options.onStored;
    for (const key of database.keys("outbox")) this.#nextNumber = readU64BE(key, 0) + 1;
  }

  /** Puts a notice into the transaction of the change that it tells of. */
  stageNotice(batch: Batch, { recipients, payload }: Notice): void {
    assert(recipients.length >= 1 && recipients.length <= limits.accountsPerSendMax, "a notice is one send");
    assert(payload.length <= limits.noticePayloadBytesMax, "a notice is short");
    const key = numberKey(this.#nextNumber++);
    const id = new Uint8Array(randomBytes(ENVELOPE_ID_BYTES));
    batch.put("outbox", key, encodeNotice(key, { id, recipients, payload }));
    batch.whenWritten(this.#onStored);
  }

  /** Notices numbered above `after`, in order. A damaged one is reported, and left for `interline check` to show. */
  read(after: number, max: number): StoredNotice[] {
    const found: StoredNotice[] = [];
    for (const { key, value } of this.#database.rows("outbox", { start: numberKey(after + 1), limit: max })) {
      const number = readU64BE(key, 0);
      const notice = decodeNotice(key, value);
      if (notice === undefined) this.#onDamage(number);
      else found.push({ number, ...notice });
    }
    return found;
  }

  /** The rows go with the next transaction. */
  drop(numbers: readonly number[]): void {
    const isStaged = this.#dropped.length > 0;
    this.#dropped.push(...numbers);
    if (!isStaged) void this.#writer.submitPrompt(this).catch(() => {});
  }

  stage(batch: Batch): boolean {
    for (const number of this.#dropped.splice(0)) batch.remove("outbox", numberKey(number));
    return true;
  }
}

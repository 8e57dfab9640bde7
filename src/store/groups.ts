/**
 * Groups: each change puts the new roster and the notices that tell of it into one transaction, so that neither is ever
 * on disk without the other. Changes that wait go into one transaction together. Whether a change is allowed is not
 * asked here (rules/groups.ts), nor is it made twice at once for one group: its service sees to that.
 */
import type { AccountAddress } from "../base/address.js";
import type { Group } from "../rules/groups.js";
import type { Batch, Database } from "./database.js";
import { decodeGroup, encodeGroup } from "./group-rows.js";
import type { Notice, Outbox } from "./outbox.js";
import { accountKey } from "./schema.js";
import type { Work, Writer } from "./writer.js";

/** A group as it shall be, and what is to be told of it. Without members it is gone. */
export interface ChangedGroup {
  readonly group: Group;
  readonly notices: readonly Notice[];
}

export class Groups implements Work {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #outbox: Outbox;
  readonly #onDamage: (address: AccountAddress) => void;
  #waiting: ChangedGroup[] = [];
  #staged: Promise<void> | undefined;

  constructor(
    database: Database,
    writer: Writer,
    outbox: Outbox,
    options: { readonly onDamage: (address: AccountAddress) => void },
  ) {
    this.#database = database;
    this.#writer = writer;
    this.#outbox = outbox;
    this.#onDamage = options.onDamage;
  }

  /** A group whose row is damaged is reported and reads as one that does not exist. */
  read(address: AccountAddress): Group | undefined {
    const key = accountKey(address);
    const value = this.#database.get("groups", key);
    if (value === undefined) return undefined;
    const row = decodeGroup(key, value);
    if (row === undefined) this.#onDamage(address);
    return row && { address: new Uint8Array(address), ...row };
  }

  /** Resolves when all of it is on disk. */
  change(changed: ChangedGroup): Promise<void> {
    this.#waiting.push(changed);
    if (this.#staged) return this.#staged;
    const staged = this.#writer.submitPrompt(this);
    // An idle writer stages at once, inside submit.
    if (this.#waiting.length > 0) this.#staged = staged;
    return staged;
  }

  stage(batch: Batch): boolean {
    this.#staged = undefined;
    for (const { group, notices } of this.#waiting.splice(0)) {
      const key = accountKey(group.address);
      if (group.members.length === 0) batch.remove("groups", key);
      else batch.put("groups", key, encodeGroup(key, group));
      for (const notice of notices) this.#outbox.stageNotice(batch, notice);
    }
    return true;
  }
}

/**
 * The key directory on disk: who waits for which transaction.
 *
 * A one-time key is handed out at most once, ever: a claim removes the key's
 * row, and its promise resolves only when that removal is flushed. A crash in
 * between loses the key, and hands it to nobody. An upload never brings back
 * what was handed out: keys whose id is not above `claimedThrough` are left out.
 *
 * Many wait, one transaction: what has gathered while one is flushed goes into
 * the next together, bounded in number and in the time that the event loop is
 * held. Jobs of one transaction see each other's changes, and those of other
 * work in it (Batch.row): a device that was removed just before has no keys.
 *
 * Nobody can tell from the work of a claim whether the device is there: every
 * claim that its limits allow writes the pair's bucket, and waits for that flush.
 */
import { type AccountAddress, brandOf, type DeviceAddress } from "../base/address.js";
import type { KeyBounds, KeyUpload } from "../rules/keys.js";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import { encodeNotice } from "../wire/notices.js";
import { Batch, type Database } from "./database.js";
import { DeviceKeys } from "./device-keys.js";
import { keyRowsOf } from "./key-rows.js";
import {
  type ClaimedKeys,
  type KeyClaim,
  type KeyDigests,
  type KeyNotice,
  type KeyStocks,
  KeyTransaction,
  stocksOf,
} from "./key-transaction.js";
import type { Outbox } from "./outbox.js";
import { Slice } from "./slices.js";
import type { Writer } from "./writer.js";

interface Job {
  readonly run: (transaction: KeyTransaction) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** What `run` returned. */
  result: unknown;
}

interface KeysOptions {
  readonly bounds: KeyBounds;
  readonly nowMs: () => number;
  readonly onDamage: (device: DeviceAddress, detail: string) => void;
}

const OVERLOADED_RETRY_MS = 1_000;

export class Keys {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #outbox: Outbox;
  readonly #options: KeysOptions;
  readonly #waiting: Job[] = [];
  #staged: Job[] = [];
  #isDriving = false;

  constructor(database: Database, writer: Writer, outbox: Outbox, options: KeysOptions) {
    this.#database = database;
    this.#writer = writer;
    this.#outbox = outbox;
    this.#options = options;
  }

  upload(device: DeviceAddress, upload: KeyUpload): Promise<KeyStocks> {
    return this.#submit((transaction) => transaction.upload(device, upload));
  }

  claim(claim: KeyClaim): Promise<ClaimedKeys> {
    return this.#submit((transaction) => transaction.claim(claim));
  }

  digests(device: DeviceAddress): Promise<KeyDigests> {
    return this.#submit((transaction) => transaction.digests(device));
  }

  stocks(device: DeviceAddress): KeyStocks {
    const { onDamage } = this.#options;
    return stocksOf(new DeviceKeys({ database: this.#database, batch: new Batch(), onDamage }, device));
  }

  #submit<T>(run: (transaction: KeyTransaction) => T | CodedError): Promise<T> {
    if (this.#waiting.length >= this.#options.bounds.keyJobsWaitingMax) {
      return Promise.reject(new CodedError("overloaded", { retryAfterMs: OVERLOADED_RETRY_MS }));
    }
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ run, resolve: resolve as Job["resolve"], reject, result: undefined });
      if (!this.#isDriving) void this.#drive();
    });
  }

  /** One transaction after the other, until nothing waits. */
  async #drive(): Promise<void> {
    this.#isDriving = true;
    while (this.#waiting.length > 0) {
      try {
        await this.#writer.submitPrompt({ stage: (batch) => this.#stage(batch) });
      } catch (error) {
        for (const { reject } of [...this.#staged, ...this.#waiting.splice(0)]) reject(error);
      }
      for (const { result, resolve, reject } of this.#staged.splice(0)) {
        if (result instanceof CodedError) reject(result);
        else resolve(result);
      }
    }
    this.#isDriving = false;
  }

  #stage(batch: Batch): boolean {
    const { bounds, nowMs, onDamage } = this.#options;
    const transaction = new KeyTransaction({
      database: this.#database,
      batch,
      onDamage,
      bounds,
      nowMs: nowMs(),
      notify: (notice) => stageNotice(this.#outbox, batch, notice),
      refusal: (brand) => this.#outbox.refusal(brand),
    });
    const slice = new Slice(bounds.keyJobsPerTransaction);
    let count = 0;
    for (const job of this.#waiting) {
      if (slice.isOver) break;
      job.result = job.run(transaction);
      slice.spend(1);
      count++;
    }
    this.#staged = this.#waiting.splice(0, count);
    transaction.save();
    return true;
  }
}

/** A notice is one send, and bounded like one. Whose keys it tells of comes first, and is who causes it. */
function stageNotice(outbox: Outbox, batch: Batch, { to, body }: KeyNotice): void {
  const payload = encodeNotice(body);
  const brand = brandOf((to[0] as KeyNotice["to"][number]).account);
  for (let i = 0; i < to.length; i += limits.accountsPerSendMax) {
    outbox.stageNotice(batch, { recipients: to.slice(i, i + limits.accountsPerSendMax), payload, brand });
  }
}

/** Removes all key rows of a device, or of all devices of an account, as this transaction leaves them. */
export function removeKeys(database: Database, batch: Batch, owner: DeviceAddress | AccountAddress): void {
  const range = keyRowsOf(owner);
  for (const key of [...database.keys("keys", range), ...batch.putKeys("keys", range)]) {
    batch.remove("keys", key);
  }
}

/**
 * Delivery tokens: with which somebody who is not named may send to an account (rules/sealed.ts). Of each only a digest is
 * on disk, so that whoever reads the disk can send to nobody.
 *
 * A read takes the same work whether the account has tokens, has none, or does not exist: where there is no row, a row
 * that nothing opens is decoded in its place. What is left is LMDB's copy of a row that is there, 0.8 µs of 3 (measured);
 * that is for the delay of the answer to hide (path/sealed.ts).
 */
import { type AccountAddress, brandOf } from "../base/address.js";
import { changedTokens, type DeliveryTokens, noTokens, type TokenChange } from "../rules/sealed.js";
import { CodedError } from "../wire/coded-error.js";
import { encodeNotice } from "../wire/notices.js";
import { decodeDeliveryTokens, encodeDeliveryTokens } from "./account-rows.js";
import type { Changes } from "./changes.js";
import type { Batch, Database } from "./database.js";
import type { Outbox } from "./outbox.js";
import { nameOf } from "./queue-reader.js";
import { ACCOUNT_KEY_BYTES, accountKey } from "./schema.js";

interface DeliveryTokenParts {
  readonly database: Database;
  readonly changes: Changes;
  readonly outbox: Outbox;
  readonly onDamage: (address: AccountAddress) => void;
}

const NOBODY_KEY = new Uint8Array(ACCOUNT_KEY_BYTES);
const NOBODY_ROW = encodeDeliveryTokens(NOBODY_KEY, noTokens);

export class DeliveryTokenRows {
  readonly #parts: DeliveryTokenParts;

  constructor(parts: DeliveryTokenParts) {
    this.#parts = parts;
  }

  /** `noTokens` by content where there are none. */
  read(address: AccountAddress): DeliveryTokens {
    const key = accountKey(address);
    const row = this.#parts.database.get("deliveryTokens", key);
    const tokens = decodeDeliveryTokens(row === undefined ? NOBODY_KEY : key, row ?? NOBODY_ROW);
    if (tokens === undefined) this.#parts.onDamage(address);
    return tokens ?? noTokens;
  }

  /** Undefined when the account has none. */
  #find(address: AccountAddress): DeliveryTokens | undefined {
    const key = accountKey(address);
    const row = this.#parts.database.get("deliveryTokens", key);
    return row && decodeDeliveryTokens(key, row);
  }

  /** See Accounts.changeDeliveryTokens. */
  change(
    address: AccountAddress,
    change: TokenChange,
    { nowMs, isThere }: { readonly nowMs: number; readonly isThere: () => boolean },
  ): Promise<DeliveryTokens | undefined> {
    const { changes, outbox } = this.#parts;
    return changes.add([nameOf(address)], (batch) => {
      if (!isThere()) throw new CodedError("notFound");
      const key = accountKey(address);
      const before = this.#find(address);
      const after = changedTokens(before, change, nowMs);
      if (after !== undefined && "refused" in after) throw new CodedError(after.refused);
      if (after === before) return after;
      if (after !== undefined) outbox.refuseFull(brandOf(address));
      if (after === undefined) batch.remove("deliveryTokens", key);
      else batch.put("deliveryTokens", key, encodeDeliveryTokens(key, after));
      const payload = encodeNotice({ notice: "deliveryToken", isSet: after !== undefined });
      outbox.stageNotice(batch, { recipients: [{ account: address }], payload });
      return after;
    });
  }

  /** The account goes. */
  stageForget(batch: Batch, address: AccountAddress): void {
    batch.remove("deliveryTokens", accountKey(address));
  }
}

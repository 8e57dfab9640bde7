/**
 * Names that brands give to accounts, opaque bytes each, so that people can be found by them within their brand.
 *
 *   names   by brand and name        the account, and the whole name
 *   named   by account and name      nothing: so that the names of an account go with it
 *
 * A key holds the first 16 bytes of the name's SHA-256 in the place of an account id: names have any length, keys one.
 */
import { createHash } from "node:crypto";
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress, accountAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import { decodeName, encodeName } from "./account-rows.js";
import type { Changes } from "./changes.js";
import type { Batch, Database } from "./database.js";
import { nameOf } from "./queue-reader.js";
import { accountKey, encodeNumber, NAMED_KEY_BYTES, namedEnd, namedKey } from "./schema.js";

export interface BrandName {
  readonly brand: number;
  readonly name: Uint8Array;
}

export class Names {
  readonly #database: Database;
  readonly #changes: Changes;
  readonly #onDamage: (brand: number) => void;

  constructor(database: Database, changes: Changes, onDamage: (brand: number) => void) {
    this.#database = database;
    this.#changes = changes;
    this.#onDamage = onDamage;
  }

  /** The account of a name; undefined when nobody has it. */
  read(name: BrandName): AccountAddress | undefined {
    const key = accountKey(nameAddress(name));
    const row = this.#database.get("names", key);
    if (row === undefined) return undefined;
    const found = decodeName(key, row);
    if (found === undefined) this.#onDamage(name.brand);
    return found && equalBytes(found.name, name.name) ? accountAddress(name.brand, found.account) : undefined;
  }

  /** Gives the name to the account; false when it had it. Rejects with notFound, nameTaken or tooManyNames. */
  give(account: AccountAddress, name: BrandName, isThere: () => boolean): Promise<boolean> {
    return this.#changes.add([nameOf(account), keyNameOf(name)], (batch) => {
      const owner = this.read(name);
      if (!isThere()) throw new CodedError("notFound");
      if (owner !== undefined && !equalBytes(owner, account)) throw new CodedError("nameTaken");
      if (owner !== undefined) return false;
      if (this.#keysOf(account).length >= limits.namesPerAccountMax) throw new CodedError("tooManyNames");
      const key = accountKey(nameAddress(name));
      const back = namedKey(account, nameAddress(name));
      batch.put("names", key, encodeName(key, { account: account.subarray(2), name: name.name }));
      batch.put("named", back, encodeNumber(back, 0));
      return true;
    });
  }

  /** Takes the name from whoever has it. Rejects with notFound. */
  take(name: BrandName): Promise<void> {
    return this.#changes.add([keyNameOf(name)], (batch) => {
      const owner = this.read(name);
      if (owner === undefined) throw new CodedError("notFound");
      batch.remove("names", accountKey(nameAddress(name)));
      batch.remove("named", namedKey(owner, nameAddress(name)));
    });
  }

  /** The account goes, and its names with it. */
  stageForget(batch: Batch, account: AccountAddress): void {
    for (const key of this.#keysOf(account)) {
      const nameAt = new Uint8Array(ACCOUNT_ADDRESS_BYTES);
      nameAt.set(account.subarray(0, 2));
      nameAt.set(key.subarray(NAMED_KEY_BYTES - 16), 2);
      batch.remove("names", accountKey(nameAt));
      batch.remove("named", key);
    }
  }

  #keysOf(account: AccountAddress): Uint8Array[] {
    return [...this.#database.keys("named", { start: accountKey(account), end: namedEnd(account) })];
  }
}

/** What changes of the name touch: no account's address begins so. */
const keyNameOf = (name: BrandName): string => `name ${nameOf(nameAddress(name))}`;

/** A name in the form of an account's address: what its keys are made of. */
export function nameAddress({ brand, name }: BrandName): AccountAddress {
  const digest = createHash("sha256").update(name).digest();
  return accountAddress(brand, new Uint8Array(digest.subarray(0, 16)));
}

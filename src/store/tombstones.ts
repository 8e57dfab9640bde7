/**
 * What is left of devices and accounts that were removed.
 *
 *   tombstone   for good: tokens that were issued up to then sign nobody in. A device number may be registered again, as a
 *               new device, by a newer token
 *   erasure     until the next open: everything queued for the removed device must not reach a new one of its
 *               number. Its sequences lie at or below those of the new one (the kernel sees to that), so that what must go
 *               is named by a sequence, and goes the way of what is acked: reads obey at once, rows follow
 *
 * While the node lives the erasure is a floor in memory. After a crash the row says what to erase: all that was before this
 * open when the number was not registered again, else what lies up to the sequence that was noted then. Recovery
 * empties the journal under these floors, after which nothing of the removed devices is anywhere.
 */
import {
  type AccountAddress,
  accountOf,
  type DeviceAddress,
  deviceNumber,
  numberedDevice,
} from "../base/address.js";
import { assert } from "../base/assert.js";
import type { Batch, Database } from "./database.js";
import type { Floors } from "./floors.js";
import { nameOf } from "./queue-reader.js";
import { accountKey, addressInKey, decodeNumber, deviceKey, encodeNumber } from "./schema.js";

/** In an erasure's row: all that the device ever had. */
const EVERYTHING = 0;

export class Tombstones {
  readonly #database: Database;
  readonly #floors: Floors;
  readonly #onDamage: (address: Uint8Array) => void;
  /** Erasures of this run by device: the sequence up to which it goes. */
  readonly #through = new Map<string, number>();

  constructor(database: Database, floors: Floors, onDamage: (address: Uint8Array) => void) {
    this.#database = database;
    this.#floors = floors;
    this.#onDamage = onDamage;
  }

  /** Tokens of the device that were issued up to then are refused; undefined when none are. */
  refusedThroughMs(account: AccountAddress, number: number): number | undefined {
    const device = this.#read(deviceKey(numberedDevice(account, number)));
    const whole = this.#read(accountKey(account));
    return device === undefined ? whole : Math.max(device, whole ?? 0);
  }

  /** A damaged row refuses all tokens: it stands for a removal. */
  #read(key: Uint8Array): number | undefined {
    const row = this.#database.get("tombstones", key);
    if (row === undefined) return undefined;
    const ms = decodeNumber(key, row);
    if (ms === undefined) this.#onDamage(addressInKey(key));
    return ms ?? Number.POSITIVE_INFINITY;
  }

  stageRemoval(batch: Batch, account: AccountAddress, number: number, nowMs: number): void {
    const key = deviceKey(numberedDevice(account, number));
    this.#stageTombstone(batch, key, nowMs);
    batch.put("erasures", key, encodeNumber(key, EVERYTHING));
    this.#through.delete(nameOf(key));
  }

  stageAccount(batch: Batch, account: AccountAddress, nowMs: number): void {
    this.#stageTombstone(batch, accountKey(account), nowMs);
  }

  /** Never back: a clock that was set back must not let old tokens in again. */
  #stageTombstone(batch: Batch, key: Uint8Array, nowMs: number): void {
    const earlierMs = this.#read(key) ?? 0;
    const ms = Number.isFinite(earlierMs) ? Math.max(earlierMs, Math.ceil(nowMs)) : Number.MAX_SAFE_INTEGER;
    batch.put("tombstones", key, encodeNumber(key, ms));
  }

  /** The number is given to a new device. */
  stageReturn(batch: Batch, account: AccountAddress, number: number): void {
    const key = deviceKey(numberedDevice(account, number));
    if (this.#database.get("erasures", key) === undefined) return;
    const through = this.#through.get(nameOf(key));
    assert(through !== undefined, "a removal is carried out before anything else happens to its number");
    batch.put("erasures", key, encodeNumber(key, through));
  }

  /** A removal is on disk and carried out: everything of the device up to this sequence goes. */
  erase(device: DeviceAddress, through: number): void {
    const key = deviceKey(device);
    this.#through.set(nameOf(key), through);
    this.#floors.add(key, through);
  }

  /** At an open, before the journal is spilled: floors for what the last run had to erase. True when there is anything. */
  recover(
    firstSequence: number,
    isRegistered: (account: AccountAddress, number: number) => boolean,
  ): boolean {
    let hasAny = false;
    for (const { key, value } of this.#database.rows("erasures")) {
      hasAny = true;
      const device = addressInKey(key);
      const through = decodeNumber(key, value);
      if (through === undefined) this.#onDamage(device);
      const isAnew = through !== EVERYTHING && isRegistered(accountOf(device), deviceNumber(device));
      this.#floors.add(key, through !== undefined && isAnew ? through : firstSequence);
    }
    return hasAny;
  }

  /** After recovery: nothing is left to erase. */
  stageRecovered(batch: Batch): void {
    for (const key of this.#database.keys("erasures")) batch.remove("erasures", key);
  }
}

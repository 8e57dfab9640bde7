/**
 * Push targets: where devices want to be woken when they are away, and what became of the last wake-up. One row a
 * device, under its key, gone with the device: in the very transaction that removes it (accounts.ts).
 *
 *   push row    0 u32 crc   4 u8 flags (1: has connected since)   5 u8 kindBytes   6 u16 0
 *               8 u64 settledMs: when the last wake-up was done with, or the device came after it; 0 for never
 *              16 kind (ASCII)   target, up to the row's end
 *
 * A change touches the account as well as the target (changes.ts), so that nothing brings a row back that the removal of
 * its device has taken. What is noted of a wake-up is noted of the target that it went to, and not of one that came in
 * its place.
 */
import { accountOf, type DeviceAddress, deviceNumber } from "../base/address.js";
import { assert } from "../base/assert.js";
import { equalBytes } from "../base/bytes.js";
import { isPushKind, type PushTarget, type WakeHistory } from "../rules/push.js";
import { CodedError } from "../wire/coded-error.js";
import { decodeAccount } from "./account-rows.js";
import type { Changes } from "./changes.js";
import type { Batch, Database } from "./database.js";
import { nameOf } from "./queue-reader.js";
import { accountKey, addressInKey, deviceKey, isSealed, readU64, seal, writeU64 } from "./schema.js";

export interface StoredTarget extends PushTarget, WakeHistory {}

const HEADER_BYTES = 16;
const FLAG_CONNECTED = 1;

function encodeTarget(key: Uint8Array, { kind, target, settledMs, hasConnected }: StoredTarget): Uint8Array {
  assert(isPushKind(kind), "a kind has a short name");
  const row = new Uint8Array(HEADER_BYTES + kind.length + target.length);
  row[4] = hasConnected ? FLAG_CONNECTED : 0;
  row[5] = kind.length;
  writeU64(row, 8, settledMs);
  row.set(Buffer.from(kind, "ascii"), HEADER_BYTES);
  row.set(target, HEADER_BYTES + kind.length);
  return seal(key, row);
}

/** undefined when the row is damaged. */
export function decodeTarget(key: Uint8Array, row: Uint8Array): StoredTarget | undefined {
  if (row.length < HEADER_BYTES || !isSealed(key, row)) return undefined;
  const targetAt = HEADER_BYTES + (row[5] as number);
  if (targetAt > row.length) return undefined;
  return {
    kind: Buffer.from(row.subarray(HEADER_BYTES, targetAt)).toString("ascii"),
    target: new Uint8Array(row.subarray(targetAt)),
    settledMs: readU64(row, 8),
    hasConnected: ((row[4] as number) & FLAG_CONNECTED) !== 0,
  };
}

interface PushTargetOptions {
  readonly onDamage: (device: DeviceAddress) => void;
  /** Every read goes through it: it refuses when the store has ended, and ends the store when the read fails. */
  readonly guard: <T>(read: () => T) => T;
}

export class PushTargets {
  readonly #database: Database;
  readonly #changes: Changes;
  readonly #options: PushTargetOptions;

  constructor(database: Database, changes: Changes, options: PushTargetOptions) {
    this.#database = database;
    this.#changes = changes;
    this.#options = options;
  }

  read(device: DeviceAddress): StoredTarget | undefined {
    return this.#options.guard(() => this.#stored(device));
  }

  #stored(device: DeviceAddress): StoredTarget | undefined {
    const key = deviceKey(device);
    const row = this.#database.get("push", key);
    if (row === undefined) return undefined;
    const target = decodeTarget(key, row);
    if (target === undefined) this.#options.onDamage(device);
    return target;
  }

  /** Devices that have a target, at most `max` of them, behind `after` in the order of keys. */
  devicesAfter(after: DeviceAddress | undefined, max: number): DeviceAddress[] {
    const start = after && Buffer.concat([deviceKey(after), Buffer.of(0)]);
    const range = { ...(start && { start }), limit: max };
    return this.#options.guard(() => Array.from(this.#database.keys("push", range), addressInKey));
  }

  /** In the place of the device's earlier one. Rejects with notFound when the device is no longer registered. */
  register(device: DeviceAddress, { kind, target }: PushTarget, nowMs: number): Promise<void> {
    return this.#change(device, (before) => {
      if (!this.#isRegistered(device)) throw new CodedError("notFound");
      const isSame = before?.kind === kind && equalBytes(before.target, target);
      return isSame ? before : { kind, target, settledMs: nowMs, hasConnected: true };
    });
  }

  /** Whatever the target is, or only if it is still this one. */
  unregister(device: DeviceAddress, only?: PushTarget): Promise<void> {
    return this.#change(device, (before) =>
      only === undefined || isSameTarget(before, only) ? undefined : before,
    );
  }

  /** A wake-up of this target is done with. */
  settle(device: DeviceAddress, target: PushTarget, nowMs: number): Promise<void> {
    return this.#change(device, (before) =>
      before !== undefined && isSameTarget(before, target)
        ? { ...before, settledMs: nowMs, hasConnected: false }
        : before,
    );
  }

  /** The device has come. */
  connected(device: DeviceAddress, nowMs: number): Promise<void> {
    return this.#change(device, (before) => before && { ...before, settledMs: nowMs, hasConnected: true });
  }

  async #change(
    device: DeviceAddress,
    decide: (before: StoredTarget | undefined) => StoredTarget | undefined,
  ): Promise<void> {
    this.#options.guard(() => {});
    await this.#changes.add([nameOf(accountOf(device))], (batch) => {
      const before = this.#stored(device);
      const after = decide(before);
      if (after === before) return;
      if (after === undefined) removeTarget(batch, device);
      else batch.put("push", deviceKey(device), encodeTarget(deviceKey(device), after));
    });
  }

  #isRegistered(device: DeviceAddress): boolean {
    const key = accountKey(accountOf(device));
    const row = this.#database.get("accounts", key);
    const account = row && decodeAccount(key, row);
    return account?.devices.some(({ number }) => number === deviceNumber(device)) ?? false;
  }
}

export function removeTarget(batch: Batch, device: DeviceAddress): void {
  batch.remove("push", deviceKey(device));
}

function isSameTarget(a: PushTarget | undefined, b: PushTarget): boolean {
  return a !== undefined && a.kind === b.kind && equalBytes(a.target, b.target);
}

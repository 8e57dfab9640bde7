/**
 * Push targets: where devices want to be woken when they are away, and what became of the last wake-up. One row a
 * device, under its key, gone with the device (`stageRemoval`).
 *
 *   push row    0 u32 crc   4 u8 flags (1: has connected since)   5 u8 kindBytes   6 u16 0
 *               8 u64 settledMs: when the last wake-up was done with, or the device came after it; 0 for never
 *              16 kind (ASCII)   target, up to the row's end
 *
 * Works of one transaction see each other's changes, whatever their order: nothing brings a row back that another has
 * removed. What is noted of a wake-up is noted of the target that it went to, and not of one that came in its place.
 */
import { accountOf, type DeviceAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { equalBytes } from "../base/bytes.js";
import { isPushKind, type PushTarget, type WakeHistory } from "../rules/push.js";
import { CodedError } from "../wire/coded-error.js";
import type { Batch, Database } from "./database.js";
import { nameOf } from "./queue-reader.js";
import {
  accountKey,
  addressInKey,
  decodeAccount,
  deviceKey,
  isSealed,
  readU64,
  seal,
  writeU64,
} from "./schema.js";
import type { Writer } from "./writer.js";

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
  readonly #writer: Writer;
  readonly #options: PushTargetOptions;
  /** The transaction that is being put together, what it has made of rows, and whose devices go in it. */
  #batch: Batch | undefined;
  readonly #changed = new Map<string, StoredTarget | undefined>();
  readonly #removed = new Set<string>();

  constructor(database: Database, writer: Writer, options: PushTargetOptions) {
    this.#database = database;
    this.#writer = writer;
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
  async register(device: DeviceAddress, { kind, target }: PushTarget, nowMs: number): Promise<void> {
    let isRefused = false;
    await this.#change(device, (batch, before) => {
      const isRemovedHere = this.#batch === batch && this.#removed.has(nameOf(device));
      isRefused = isRemovedHere || !this.#isRegistered(device);
      if (isRefused) return before;
      const isSame = before?.kind === kind && equalBytes(before.target, target);
      return isSame ? before : { kind, target, settledMs: nowMs, hasConnected: true };
    });
    if (isRefused) throw new CodedError("notFound");
  }

  /** Whatever the target is, or only if it is still this one. */
  unregister(device: DeviceAddress, only?: PushTarget): Promise<void> {
    return this.#change(device, (_, before) =>
      only === undefined || isSameTarget(before, only) ? undefined : before,
    );
  }

  /** A wake-up of this target is done with. */
  settle(device: DeviceAddress, target: PushTarget, nowMs: number): Promise<void> {
    return this.#change(device, (_, before) =>
      before !== undefined && isSameTarget(before, target)
        ? { ...before, settledMs: nowMs, hasConnected: false }
        : before,
    );
  }

  /** The device has come. */
  connected(device: DeviceAddress, nowMs: number): Promise<void> {
    return this.#change(device, (_, before) => before && { ...before, settledMs: nowMs, hasConnected: true });
  }

  /** The device goes: its target goes in the same transaction. */
  stageRemoval(batch: Batch, device: DeviceAddress): void {
    this.#put(batch, device, undefined);
    this.#removed.add(nameOf(device));
  }

  async #change(
    device: DeviceAddress,
    decide: (batch: Batch, before: StoredTarget | undefined) => StoredTarget | undefined,
  ): Promise<void> {
    this.#options.guard(() => {});
    const stage = (batch: Batch): boolean => {
      const before = this.#isChangedIn(batch, device)
        ? this.#changed.get(nameOf(device))
        : this.#stored(device);
      const after = decide(batch, before);
      if (after !== before) this.#put(batch, device, after);
      return true;
    };
    await this.#writer.submitPrompt({ stage });
  }

  #isChangedIn(batch: Batch, device: DeviceAddress): boolean {
    return this.#batch === batch && this.#changed.has(nameOf(device));
  }

  #put(batch: Batch, device: DeviceAddress, target: StoredTarget | undefined): void {
    if (this.#batch !== batch) {
      this.#batch = batch;
      this.#changed.clear();
      this.#removed.clear();
    }
    this.#changed.set(nameOf(device), target);
    const key = deviceKey(device);
    if (target === undefined) batch.remove("push", key);
    else batch.put("push", key, encodeTarget(key, target));
  }

  #isRegistered(device: DeviceAddress): boolean {
    const key = accountKey(accountOf(device));
    const row = this.#database.get("accounts", key);
    const account = row && decodeAccount(key, row);
    const deviceNumber = ((device[18] as number) << 8) | (device[19] as number);
    return account?.devices.some(({ number }) => number === deviceNumber) ?? false;
  }
}

function isSameTarget(a: PushTarget | undefined, b: PushTarget): boolean {
  return a !== undefined && a.kind === b.kind && equalBytes(a.target, b.target);
}

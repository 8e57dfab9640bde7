/**
 * Accounts and their rosters: which devices an account has, under a version that rises with each change, and each
 * device's ordinal, which no other device ever gets.
 *
 * What a change brings with it is in the same transaction, so that no crash leaves one without the other: the notice to the account's other devices (outbox.ts),
 * and for each device that goes its tombstone, and the mark that its queue must be erased (tombstones.ts); its keys and its
 * push target go right there, and with an account its names and delivery tokens, while the groups that it has to leave are
 * noted (memberships.ts).
 *
 * Nobody reads a change before it is on disk and `onChanged` has been told of it, so that the rest of the node never
 * works with a roster whose removals it has not carried out.
 *
 * An account whose row is damaged is reported and reads as one that nobody signed into; when a device registers again
 * its version becomes the new ordinal, which is above any version the account ever had by registrations alone.
 */
import { type AccountAddress, brandOf, numberedDevice } from "../base/address.js";
import { assert } from "../base/assert.js";
import { limits } from "../rules/limits.js";
import { type DeliveryTokens, SEALED_ORDINAL, type TokenChange } from "../rules/sealed.js";
import { isTokenRevoked } from "../rules/sign-in.js";
import { CodedError } from "../wire/coded-error.js";
import { encodeNotice } from "../wire/notices.js";
import { decodeAccount, encodeAccount } from "./account-rows.js";
import type { Changes } from "./changes.js";
import { type ContactChange, Contacts } from "./contacts.js";
import type { Batch, Database } from "./database.js";
import { DeliveryTokenRows } from "./delivery-tokens.js";
import { removeKeys } from "./keys.js";
import type { Memberships } from "./memberships.js";
import type { Names } from "./names.js";
import type { Outbox } from "./outbox.js";
import { removeTarget } from "./push-targets.js";
import { nameOf } from "./queue-reader.js";
import { accountKey, encodeNumber, metaKeys } from "./schema.js";
import type { Tombstones } from "./tombstones.js";

export interface DeviceEntry {
  readonly number: number;
  readonly ordinal: number;
}

export interface AccountRecord {
  readonly address: AccountAddress;
  readonly version: number;
  /** In order of registration: the kernel extends a resident account by what stands behind the devices it has. */
  readonly devices: readonly DeviceEntry[];
  /** It was removed: nobody is there, and only its version lives on. */
  readonly isRemoved?: boolean;
}

export interface RosterChange {
  readonly record: AccountRecord;
  readonly isChanged: boolean;
}

/** A device that comes with a token. */
export interface Arrival {
  /** When the token was issued; what comes without one is as new as can be. */
  readonly issuedMs?: number;
  /** False when only devices that are registered already may come. */
  readonly mayRegister?: boolean;
}

/** Says what the account is to be; the same record when nothing changes. Throws CodedError to refuse. */
type Decide = (before: AccountRecord | undefined) => AccountRecord;

interface AccountParts {
  readonly database: Database;
  readonly changes: Changes;
  readonly outbox: Outbox;
  readonly tombstones: Tombstones;
  readonly names: Names;
  readonly memberships: Memberships;
  readonly nextOrdinal: number;
  readonly onDamage: (address: AccountAddress, table: "accounts" | "deliveryTokens" | "contacts") => void;
  /** Called when a change is on disk, before anybody else sees it; `removed` are the numbers of devices that went. */
  readonly onChanged: (record: AccountRecord, removed: readonly number[]) => void;
  readonly onContactsChanged: (change: ContactChange) => void;
}

export class Accounts {
  readonly deliveryTokens: DeliveryTokenRows;
  readonly contacts: Contacts;
  readonly #parts: AccountParts;
  #nextOrdinal: number;
  /** What accounts were before the transaction that is being written. */
  readonly #unseen = new Map<string, AccountRecord | undefined>();

  constructor(parts: AccountParts) {
    this.#parts = parts;
    this.deliveryTokens = new DeliveryTokenRows({
      ...parts,
      onDamage: (address) => parts.onDamage(address, "deliveryTokens"),
    });
    this.contacts = new Contacts({
      ...parts,
      versionOf: (address) => this.read(address)?.version ?? 0,
      isThere: (address) => this.isThere(address),
      onDamage: (address) => parts.onDamage(address, "contacts"),
      onChanged: parts.onContactsChanged,
    });
    this.#nextOrdinal = parts.nextOrdinal;
  }

  read(address: AccountAddress): AccountRecord | undefined {
    const name = nameOf(address);
    return this.#unseen.has(name) ? this.#unseen.get(name) : this.#stored(address);
  }

  #stored(address: AccountAddress): AccountRecord | undefined {
    const key = accountKey(address);
    const value = this.#parts.database.get("accounts", key);
    if (value === undefined) return undefined;
    const row = decodeAccount(key, value);
    if (row === undefined) this.#parts.onDamage(address, "accounts");
    return row && { address: new Uint8Array(address), ...row };
  }

  /** Whether the account is registered and was not removed. */
  isThere(address: AccountAddress): boolean {
    const record = this.#stored(address);
    return record !== undefined && !record.isRemoved;
  }

  /** A device comes in: it is added if it is not there. Rejects with tokenRevoked, deviceUnknown, tooManyDevices or rateLimited. */
  async register(address: AccountAddress, number: number, arrival: Arrival = {}): Promise<RosterChange> {
    assert(
      Number.isInteger(number) && number >= 1 && number <= limits.deviceNumberMax,
      "a device number is 1 to 65535",
    );
    const { issuedMs = Number.POSITIVE_INFINITY, mayRegister = true } = arrival;
    const isKnown = (record: AccountRecord | undefined): record is AccountRecord => {
      const refusedThroughMs = this.#parts.tombstones.refusedThroughMs(address, number);
      if (isTokenRevoked(issuedMs, refusedThroughMs)) throw new CodedError("tokenRevoked");
      return record !== undefined && has(record, number);
    };
    const record = this.read(address);
    if (isKnown(record)) return { record, isChanged: false };
    return this.#change(address, 0, (before) => {
      // Asked again: the device may have been removed since.
      if (isKnown(before)) return before;
      if (!mayRegister) throw new CodedError("deviceUnknown");
      return this.#with(address, before, number);
    });
  }

  /** Adds a device ahead of its first sign-in. Rejects with notFound (no such account), tooManyDevices or rateLimited. */
  add(address: AccountAddress, number: number): Promise<RosterChange> {
    return this.#change(address, 0, (before) => {
      const known = required(before);
      return has(known, number) ? known : this.#with(address, known, number);
    });
  }

  /** Rejects with notFound. */
  remove(address: AccountAddress, number: number, nowMs: number): Promise<RosterChange> {
    return this.#change(address, nowMs, (before) => {
      const known = required(before);
      if (!has(known, number)) throw new CodedError("notFound");
      const devices = known.devices.filter((device) => device.number !== number);
      return { ...known, version: known.version + 1, devices };
    });
  }

  /** An account without devices, if there is none yet. */
  create(address: AccountAddress): Promise<RosterChange> {
    return this.#change(address, 0, (before) => {
      if (before !== undefined && !before.isRemoved) return before;
      return { address, version: (before?.version ?? 0) + 1, devices: [] };
    });
  }

  /**
   * All devices go, and the account's names and agreements, and it is to leave its groups; only its version stays.
   * Rejects with notFound.
   */
  removeAll(address: AccountAddress, nowMs: number): Promise<RosterChange> {
    return this.#change(address, nowMs, (before) => {
      const known = required(before);
      return { address, version: known.version + 1, devices: [], isRemoved: true };
    });
  }

  /** Told to the account's devices. Rejects with notFound: no such account, or nothing to rotate. */
  changeDeliveryTokens(
    address: AccountAddress,
    change: TokenChange,
    nowMs: number,
  ): Promise<DeliveryTokens | undefined> {
    return this.deliveryTokens.change(address, change, { nowMs, isThere: () => this.isThere(address) });
  }

  #with(address: AccountAddress, before: AccountRecord | undefined, number: number): AccountRecord {
    const devices = before?.devices ?? [];
    if (devices.length >= limits.devicesPerAccountMax) throw new CodedError("tooManyDevices");
    const ordinal = this.#nextOrdinal++;
    assert(ordinal < SEALED_ORDINAL, "ordinals are u32, and the last is no device's");
    const version = before === undefined ? this.#firstVersion(address, ordinal) : before.version + 1;
    return { address: new Uint8Array(address), version, devices: [...devices, { number, ordinal }] };
  }

  #firstVersion(address: AccountAddress, ordinal: number): number {
    return this.#parts.database.get("accounts", accountKey(address)) === undefined ? 1 : ordinal;
  }

  /** Decides by the account as it is on disk, and stages what the change brings with it. */
  #change(address: AccountAddress, nowMs: number, decide: Decide): Promise<RosterChange> {
    const { database, changes, outbox, tombstones, names, memberships, onChanged } = this.#parts;
    return changes.add([nameOf(address)], (batch) => {
      const before = this.#stored(address);
      const record = decide(before);
      if (record === before) return { record, isChanged: false };
      const removed = missingIn(record, before);
      if (removed.length === 0 && audienceOf(before, record).length > 0) outbox.refuseFull(brandOf(address));
      for (const number of removed) {
        tombstones.stageRemoval(batch, address, number, nowMs);
        removeKeys(database, batch, numberedDevice(address, number));
        removeTarget(batch, numberedDevice(address, number));
      }
      for (const number of missingIn(before, record)) tombstones.stageReturn(batch, address, number);
      if (record.isRemoved) {
        tombstones.stageAccount(batch, address, nowMs);
        names.stageForget(batch, address);
        this.deliveryTokens.stageForget(batch, address);
        memberships.stageRemoval(batch, address);
        this.contacts.stageForget(batch, address, record.version);
      }
      this.#put(batch, before, record);
      batch.whenWritten(() => {
        this.#unseen.delete(nameOf(address));
        onChanged(record, removed);
      });
      return { record, isChanged: true };
    });
  }

  #put(batch: Batch, before: AccountRecord | undefined, after: AccountRecord): void {
    const key = accountKey(after.address);
    this.#unseen.set(nameOf(after.address), before);
    batch.put("accounts", key, encodeAccount(key, after));
    batch.put("meta", metaKeys.ordinal, encodeNumber(metaKeys.ordinal, this.#nextOrdinal));
    const audience = audienceOf(before, after);
    if (audience.length === 0) return;
    this.#parts.outbox.stageNotice(batch, {
      recipients: [{ account: after.address, devices: audience }],
      payload: encodeNotice({
        notice: "roster",
        version: after.version,
        devices: after.devices.map(({ number }) => number),
      }),
    });
  }
}

/** Devices that were there before and stay: a new one asks when it comes. */
function audienceOf(before: AccountRecord | undefined, after: AccountRecord): number[] {
  return before?.devices.map(({ number }) => number).filter((number) => has(after, number)) ?? [];
}

function has({ devices }: AccountRecord, number: number): boolean {
  return devices.some((device) => device.number === number);
}

function required(record: AccountRecord | undefined): AccountRecord {
  if (record === undefined || record.isRemoved) throw new CodedError("notFound");
  return record;
}

/** The numbers of devices of `of` that `record` has not. */
function missingIn(record: AccountRecord | undefined, of: AccountRecord | undefined): number[] {
  const kept = new Set(record?.devices.map(({ ordinal }) => ordinal));
  return of?.devices.filter(({ ordinal }) => !kept.has(ordinal)).map(({ number }) => number) ?? [];
}

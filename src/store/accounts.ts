/**
 * Accounts and their rosters: which devices an account has, under a version
 * that rises with each change, and each device's ordinal, which no other
 * device ever gets.
 *
 * Registrations are grouped: all that wait go into one transaction. An account
 * whose row is damaged is reported and reads as one that nobody signed into;
 * when a device registers again its version becomes the new ordinal, which is
 * above any version the account ever had, since each device takes one of both.
 */
import type { AccountAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";
import { encodeNotice } from "../wire/notices.js";
import type { Batch, Database } from "./database.js";
import type { Outbox } from "./outbox.js";
import { accountKey, decodeAccount, encodeAccount, encodeNumber, metaKeys } from "./schema.js";
import type { Work, Writer } from "./writer.js";

export interface DeviceEntry {
  readonly number: number;
  readonly ordinal: number;
}

export interface AccountRecord {
  readonly address: AccountAddress;
  readonly version: number;
  readonly devices: readonly DeviceEntry[];
}

/** One call of register(); `record` or `refusal` is known once it is staged. */
interface Registration {
  readonly address: AccountAddress;
  readonly number: number;
  record: AccountRecord | undefined;
  refusal: CodedError | undefined;
}

export class Accounts implements Work {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #outbox: Outbox;
  readonly #onDamage: (address: AccountAddress) => void;
  #nextOrdinal: number;
  #waiting: Registration[] = [];
  #staged: Promise<void> | undefined;

  constructor(
    database: Database,
    writer: Writer,
    outbox: Outbox,
    options: { nextOrdinal: number; onDamage: (address: AccountAddress) => void },
  ) {
    this.#database = database;
    this.#writer = writer;
    this.#outbox = outbox;
    this.#nextOrdinal = options.nextOrdinal;
    this.#onDamage = options.onDamage;
  }

  read(address: AccountAddress): AccountRecord | undefined {
    const key = accountKey(address);
    const value = this.#database.get("accounts", key);
    if (value === undefined) return undefined;
    const row = decodeAccount(key, value);
    if (row === undefined) this.#onDamage(address);
    return row && { address: new Uint8Array(address), ...row };
  }

  /** Resolves with the roster that lists the device, once that is durable. */
  async register(address: AccountAddress, number: number): Promise<AccountRecord> {
    assert(
      Number.isInteger(number) && number >= 1 && number <= limits.deviceNumberMax,
      "a device number is 1 to 65535",
    );
    const durable = this.read(address);
    if (durable?.devices.some((device) => device.number === number)) return durable;
    const registration: Registration = { address, number, record: undefined, refusal: undefined };
    this.#waiting.push(registration);
    await this.#nextTransaction();
    if (registration.refusal) throw registration.refusal;
    assert(registration.record !== undefined, "a registration that was written has a record");
    return registration.record;
  }

  /** Settles with the transaction that takes what is waiting now. An idle writer stages at once, inside submit. */
  #nextTransaction(): Promise<void> {
    if (this.#staged) return this.#staged;
    const staged = this.#writer.submitPrompt(this);
    if (this.#waiting.length > 0) this.#staged = staged;
    return staged;
  }

  /** All waiting registrations, those of one account after each other. */
  stage(batch: Batch): boolean {
    this.#staged = undefined;
    const changed = new Map<string, AccountRecord>();
    for (const registration of this.#waiting.splice(0)) {
      const name = Buffer.from(registration.address).toString("latin1");
      const before = changed.get(name) ?? this.read(registration.address);
      if (before?.devices.some((device) => device.number === registration.number)) {
        registration.record = before;
      } else if ((before?.devices.length ?? 0) >= limits.devicesPerAccountMax) {
        registration.refusal = new CodedError("tooManyDevices");
      } else {
        registration.record = this.#added(registration, before);
        changed.set(name, registration.record);
        this.#announce(batch, registration.record, before);
      }
    }
    for (const record of changed.values()) {
      const key = accountKey(record.address);
      batch.put("accounts", key, encodeAccount(key, record));
    }
    if (changed.size > 0) {
      batch.put("meta", metaKeys.ordinal, encodeNumber(metaKeys.ordinal, this.#nextOrdinal));
    }
    return true;
  }

  /** To the devices that the account had before: the new one asks when it comes. */
  #announce(
    batch: Batch,
    { address, version, devices }: AccountRecord,
    before: AccountRecord | undefined,
  ): void {
    if (before === undefined || before.devices.length === 0) return;
    const numbers = devices.map(({ number }) => number);
    this.#outbox.stageNotice(batch, {
      recipients: [{ account: address, devices: before.devices.map(({ number }) => number) }],
      payload: encodeNotice({ notice: "roster", version, devices: numbers }),
    });
  }

  #added({ address, number }: Registration, before: AccountRecord | undefined): AccountRecord {
    const ordinal = this.#nextOrdinal++;
    assert(ordinal <= 0xffffffff, "ordinals are u32");
    // In order of registration: the kernel extends a resident account by what stands behind the devices it has.
    const devices = [...(before?.devices ?? []), { number, ordinal }];
    const version = before === undefined ? this.#firstVersion(address, ordinal) : before.version + 1;
    return { address: new Uint8Array(address), version, devices };
  }

  #firstVersion(address: AccountAddress, ordinal: number): number {
    return this.#database.get("accounts", accountKey(address)) === undefined ? 1 : ordinal;
  }
}

/**
 * The stores that libsignal asks for, in memory. Each can be copied with all that it holds.
 *
 * Records are kept as their serialised bytes, as a database would keep them, so
 * that nothing outside holds a live native object that a later operation changes.
 * Identities are trusted at first use, and replaced only when the cipher is told of a change.
 */
import {
  IdentityChange,
  type IdentityKeyPair,
  IdentityKeyStore,
  KyberPreKeyRecord,
  KyberPreKeyStore,
  PreKeyRecord,
  PreKeyStore,
  type PrivateKey,
  type ProtocolAddress,
  PublicKey,
  SenderKeyRecord,
  SenderKeyStore,
  SessionRecord,
  SessionStore,
  SignedPreKeyRecord,
  SignedPreKeyStore,
} from "@signalapp/libsignal-client";

type Bytes = Uint8Array<ArrayBuffer>;

/** The record under `id`, or an error naming what is missing. */
function required(records: ReadonlyMap<number, Bytes>, id: number, what: string): Bytes {
  const bytes = records.get(id);
  if (bytes === undefined) throw new Error(`this device has no ${what} with id ${id}`);
  return bytes;
}

/** The Double Ratchet states, one per device this device talks to. */
export class RatchetStates extends SessionStore {
  readonly #records: Map<string, Bytes>;

  constructor(records: Iterable<readonly [string, Bytes]> = []) {
    super();
    this.#records = new Map(records);
  }

  copy(): RatchetStates {
    return new RatchetStates(this.#records);
  }

  has(name: ProtocolAddress): boolean {
    return this.#records.has(name.toString());
  }

  remove(name: ProtocolAddress): void {
    this.#records.delete(name.toString());
  }

  override async saveSession(name: ProtocolAddress, record: SessionRecord): Promise<void> {
    this.#records.set(name.toString(), record.serialize());
  }

  override async getSession(name: ProtocolAddress): Promise<SessionRecord | null> {
    const bytes = this.#records.get(name.toString());
    return bytes === undefined ? null : SessionRecord.deserialize(bytes);
  }

  override async getExistingSessions(names: ProtocolAddress[]): Promise<SessionRecord[]> {
    const records = await Promise.all(names.map((name) => this.getSession(name)));
    return records.filter((record) => record !== null);
  }
}

/** This device's identity, and the identities it has met. */
export class Identities extends IdentityKeyStore {
  readonly #own: IdentityKeyPair;
  readonly #registrationId: number;
  readonly #met: Map<string, Bytes>;

  constructor(own: IdentityKeyPair, registrationId: number, met: Iterable<readonly [string, Bytes]> = []) {
    super();
    this.#own = own;
    this.#registrationId = registrationId;
    this.#met = new Map(met);
  }

  copy(): Identities {
    return new Identities(this.#own, this.#registrationId, this.#met);
  }

  remove(name: ProtocolAddress): void {
    this.#met.delete(name.toString());
  }

  override async getIdentityKey(): Promise<PrivateKey> {
    return this.#own.privateKey;
  }

  override async getIdentityKeyPair(): Promise<IdentityKeyPair> {
    return this.#own;
  }

  override async getLocalRegistrationId(): Promise<number> {
    return this.#registrationId;
  }

  override async saveIdentity(name: ProtocolAddress, key: PublicKey): Promise<IdentityChange> {
    const known = await this.getIdentity(name);
    this.#met.set(name.toString(), key.serialize());
    return known === null || known.equals(key)
      ? IdentityChange.NewOrUnchanged
      : IdentityChange.ReplacedExisting;
  }

  override async isTrustedIdentity(name: ProtocolAddress, key: PublicKey): Promise<boolean> {
    const known = await this.getIdentity(name);
    return known === null || known.equals(key);
  }

  override async getIdentity(name: ProtocolAddress): Promise<PublicKey | null> {
    const bytes = this.#met.get(name.toString());
    return bytes === undefined ? null : PublicKey.deserialize(bytes);
  }
}

/** One-time curve keys: gone once used. */
export class OneTimeKeys extends PreKeyStore {
  readonly #records: Map<number, Bytes>;

  constructor(records: Iterable<readonly [number, Bytes]> = []) {
    super();
    this.#records = new Map(records);
  }

  copy(): OneTimeKeys {
    return new OneTimeKeys(this.#records);
  }

  has(id: number): boolean {
    return this.#records.has(id);
  }

  removeThrough(id: number): void {
    for (const known of this.#records.keys()) if (known <= id) this.#records.delete(known);
  }

  override async savePreKey(id: number, record: PreKeyRecord): Promise<void> {
    this.#records.set(id, record.serialize());
  }

  override async getPreKey(id: number): Promise<PreKeyRecord> {
    return PreKeyRecord.deserialize(required(this.#records, id, "one-time key"));
  }

  override async removePreKey(id: number): Promise<void> {
    this.#records.delete(id);
  }
}

export class SignedKeys extends SignedPreKeyStore {
  readonly #records: Map<number, Bytes>;

  constructor(records: Iterable<readonly [number, Bytes]> = []) {
    super();
    this.#records = new Map(records);
  }

  copy(): SignedKeys {
    return new SignedKeys(this.#records);
  }

  override async saveSignedPreKey(id: number, record: SignedPreKeyRecord): Promise<void> {
    this.#records.set(id, record.serialize());
  }

  override async getSignedPreKey(id: number): Promise<SignedPreKeyRecord> {
    return SignedPreKeyRecord.deserialize(required(this.#records, id, "signed pre-key"));
  }

  remove(id: number): void {
    this.#records.delete(id);
  }
}

/**
 * Kyber keys: a one-time key is gone once used; last-resort keys, whose ids are `firstLastingId` and above, stay, but
 * never serve the same opening message twice.
 */
export class KyberKeys extends KyberPreKeyStore {
  readonly #firstLastingId: number;
  readonly #records: Map<number, Bytes>;
  readonly #openings: Set<string>;

  constructor(
    firstLastingId: number,
    records: Iterable<readonly [number, Bytes]> = [],
    openings: Iterable<string> = [],
  ) {
    super();
    this.#firstLastingId = firstLastingId;
    this.#records = new Map(records);
    this.#openings = new Set(openings);
  }

  copy(): KyberKeys {
    return new KyberKeys(this.#firstLastingId, this.#records, this.#openings);
  }

  /** With what it has opened. */
  remove(id: number): void {
    this.#records.delete(id);
    for (const opening of this.#openings) if (opening.startsWith(`${id}/`)) this.#openings.delete(opening);
  }

  removeOneTimeThrough(id: number): void {
    for (const known of this.#records.keys())
      if (known <= id && known < this.#firstLastingId) this.#records.delete(known);
  }

  override async saveKyberPreKey(id: number, record: KyberPreKeyRecord): Promise<void> {
    this.#records.set(id, record.serialize());
  }

  override async getKyberPreKey(id: number): Promise<KyberPreKeyRecord> {
    return KyberPreKeyRecord.deserialize(required(this.#records, id, "Kyber key"));
  }

  override async markKyberPreKeyUsed(id: number, signedPreKeyId: number, baseKey: PublicKey): Promise<void> {
    if (id < this.#firstLastingId) {
      this.#records.delete(id);
      return;
    }
    const opening = `${id}/${signedPreKeyId}/${Buffer.from(baseKey.serialize()).toString("hex")}`;
    if (this.#openings.has(opening)) throw new Error("this opening message was used before");
    this.#openings.add(opening);
  }
}

/** Sender keys: this device's own and those it was given, by sender and distribution id. */
export class SenderKeys extends SenderKeyStore {
  readonly #records: Map<string, Bytes>;

  constructor(records: Iterable<readonly [string, Bytes]> = []) {
    super();
    this.#records = new Map(records);
  }

  copy(): SenderKeys {
    return new SenderKeys(this.#records);
  }

  override async saveSenderKey(
    sender: ProtocolAddress,
    distributionId: string,
    record: SenderKeyRecord,
  ): Promise<void> {
    this.#records.set(`${sender.toString()} ${distributionId}`, record.serialize());
  }

  override async getSenderKey(
    sender: ProtocolAddress,
    distributionId: string,
  ): Promise<SenderKeyRecord | null> {
    const bytes = this.#records.get(`${sender.toString()} ${distributionId}`);
    return bytes === undefined ? null : SenderKeyRecord.deserialize(bytes);
  }
}

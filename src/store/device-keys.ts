/**
 * The key rows of one device as one transaction sees and changes them: its head
 * and its keys, the accounts that hold its keys, the bucket of claims without a
 * name, and the buckets of its own claims. What a row means is drawn in key-rows.ts; what may be done is decided
 * in rules/keys.ts.
 *
 * Damage. A one-time key that is damaged or missing is reported and passed over,
 * never handed out. A damaged head is made again from the rows it counts: its
 * buckets are full then, and `claimedThrough` is the id before the first key
 * that is left (0 without any).
 */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { isOneTime, type KeyKind, type KeyStock, type OneTimeKind, type PublicKey } from "../wire/keys.js";
import type { Batch, Database } from "./database.js";
import {
  decodeHead,
  decodeKey,
  decodeMark,
  emptyHead,
  encodeHead,
  encodeKey,
  encodeMark,
  headKey,
  holderKey,
  holderRange,
  type KeyHead,
  type KeyRange,
  keyKey,
  kindRange,
  pairKey,
  pairRange,
  placeOf,
  type Shelf,
  sealedKey,
} from "./key-rows.js";
import { deviceKey } from "./schema.js";

/** What the devices of one transaction share. */
export interface KeyContext {
  readonly database: Database;
  readonly batch: Batch;
  readonly onDamage: (device: DeviceAddress, detail: string) => void;
}

/** Pairs that one new pair makes room for, if they have refilled: more than one, so that they do not pile up. */
const PAIRS_PER_VISIT = 2;

export class DeviceKeys {
  readonly device: DeviceAddress;
  readonly #context: KeyContext;
  readonly #key: Uint8Array;
  #head: KeyHead;
  #isChanged = false;

  constructor(context: KeyContext, device: DeviceAddress) {
    this.device = device;
    this.#context = context;
    this.#key = deviceKey(device);
    this.#head = this.#readHead();
  }

  get head(): KeyHead {
    return this.#head;
  }

  change(change: Partial<KeyHead>): void {
    this.#head = { ...this.#head, ...change };
    this.#isChanged = true;
  }

  /** Puts the head into the transaction, if it changed. */
  save(): void {
    if (!this.#isChanged) return;
    const key = headKey(this.#key);
    this.#context.batch.put("keys", key, encodeHead(key, this.#head));
  }

  // --- keys ---

  count(kind: KeyKind): number {
    if (!isOneTime(kind)) return this.single(kind) === undefined ? 0 : 1;
    const { first, next } = this.#head.shelves[kind];
    return next - first;
  }

  stock(kind: KeyKind): KeyStock {
    const claimedThrough = isOneTime(kind) ? this.#head.shelves[kind].claimedThrough : 0;
    return { count: this.count(kind), claimedThrough };
  }

  single(kind: KeyKind): PublicKey | undefined {
    return this.#keyAt(kind, 0);
  }

  /** All keys of a kind by rising ids, without those that are damaged. */
  all(kind: KeyKind): PublicKey[] {
    const { first, next } = isOneTime(kind) ? this.#head.shelves[kind] : { first: 0, next: 1 };
    const keys: PublicKey[] = [];
    for (let index = first; index < next; index++) {
      const key = this.#keyAt(kind, index);
      if (key !== undefined) keys.push(key);
    }
    return keys;
  }

  /** Puts `keys` in the place of all keys of the kind, but for those that were handed out already. */
  replace(kind: KeyKind, keys: readonly PublicKey[]): void {
    if (!isOneTime(kind)) {
      this.#remove(kind, 0);
      for (const key of keys) this.#put(kind, 0, key);
      return;
    }
    const { first, next, claimedThrough } = this.#head.shelves[kind];
    for (let index = first; index < next; index++) this.#remove(kind, index);
    const kept = keys.filter(({ id }) => id > claimedThrough);
    kept.forEach((key, i) => {
      this.#put(kind, next + i, key);
    });
    this.#setShelf(kind, { first: next, next: next + kept.length, claimedThrough });
  }

  /** Takes the next one-time key out, for ever; undefined when none is left. */
  take(kind: OneTimeKind): PublicKey | undefined {
    const { next, claimedThrough } = this.#head.shelves[kind];
    for (let index = this.#head.shelves[kind].first; index < next; index++) {
      const key = this.#keyAt(kind, index);
      this.#remove(kind, index);
      this.#setShelf(kind, { first: index + 1, next, claimedThrough: key?.id ?? claimedThrough });
      if (key !== undefined) return key;
      this.#context.onDamage(this.device, `one-time key ${index} of kind ${kind} is missing`);
    }
    return undefined;
  }

  // --- accounts that hold this device's keys ---

  /** Remembers an account; beyond `max`, another one is forgotten for it: the next in the order of keys, as good as any. */
  addHolder(account: AccountAddress, max: number): void {
    const { batch, database } = this.#context;
    const key = holderKey(this.#key, account);
    if (batch.row(database, "keys", key) !== undefined) return;
    const range = holderRange(this.#key);
    const isFull = this.#head.holderCount >= max;
    const victim = isFull ? (this.#firstKey({ ...range, start: key }) ?? this.#firstKey(range)) : undefined;
    if (victim !== undefined) batch.remove("keys", victim);
    else this.change({ holderCount: this.#head.holderCount + 1 });
    batch.put("keys", key, encodeMark(key, 0));
  }

  holders(): AccountAddress[] {
    const range = holderRange(this.#key);
    const stored = this.#keysIn(range);
    const put = this.#context.batch.putKeys("keys", range);
    const places = [...stored, ...put].map(placeOf);
    const accounts = places.flatMap((place) => (place?.section === "holder" ? [place.address] : []));
    return [...new Map(accounts.map((account) => [toHex(account), account])).values()];
  }

  // --- the bucket of claims of this device by nobody in particular ---

  /** When it will be full; a damaged one is. */
  get sealedFullAtMs(): number {
    const key = sealedKey(this.#key);
    const row = this.#context.batch.row(this.#context.database, "keys", key);
    return (row && decodeMark(key, row)) ?? 0;
  }

  setSealed(fullAtMs: number): void {
    const key = sealedKey(this.#key);
    this.#context.batch.put("keys", key, encodeMark(key, fullAtMs));
  }

  // --- the buckets of this device's own claims ---

  /** When the bucket of claims there will be full; undefined when there is none. */
  pair(target: DeviceAddress): number | undefined {
    const key = pairKey(this.#key, target);
    const row = this.#context.batch.row(this.#context.database, "keys", key);
    return row === undefined ? undefined : (decodeMark(key, row) ?? 0);
  }

  setPair(target: DeviceAddress, fullAtMs: number): void {
    const key = pairKey(this.#key, target);
    if (this.#context.batch.row(this.#context.database, "keys", key) === undefined) {
      this.change({ pairCount: this.#head.pairCount + 1 });
    }
    this.#context.batch.put("keys", key, encodeMark(key, fullAtMs));
  }

  /** Looks at the next few pairs, going round, and drops those that are full again. */
  prunePairs(nowMs: number): void {
    if (this.#head.pairCount === 0) return;
    const start = Buffer.concat([pairKey(this.#key, this.#head.pairCursor), Buffer.of(0)]);
    const seen = this.#keysIn({ ...pairRange(this.#key), start }, PAIRS_PER_VISIT);
    let dropped = 0;
    for (const key of seen) {
      const row = this.#context.batch.row(this.#context.database, "keys", key);
      if (row === undefined || (decodeMark(key, row) ?? 0) > nowMs) continue;
      this.#context.batch.remove("keys", key);
      dropped++;
    }
    const last = seen.length < PAIRS_PER_VISIT ? undefined : placeOf(seen.at(-1) as Uint8Array);
    const pairCursor = last?.section === "pair" ? last.address : emptyHead.pairCursor;
    this.change({ pairCount: this.#head.pairCount - dropped, pairCursor });
  }

  // --- rows ---

  #keyAt(kind: KeyKind, index: number): PublicKey | undefined {
    const key = keyKey(this.#key, kind, index);
    const row = this.#context.batch.row(this.#context.database, "keys", key);
    const found = row && decodeKey(key, row);
    if (row !== undefined && found === undefined) {
      this.#context.onDamage(this.device, `key ${index} of kind ${kind} is damaged`);
    }
    return found;
  }

  #put(kind: KeyKind, index: number, value: PublicKey): void {
    const key = keyKey(this.#key, kind, index);
    this.#context.batch.put("keys", key, encodeKey(key, value));
  }

  #remove(kind: KeyKind, index: number): void {
    this.#context.batch.remove("keys", keyKey(this.#key, kind, index));
  }

  #setShelf(kind: OneTimeKind, shelf: Shelf): void {
    this.change({ shelves: { ...this.#head.shelves, [kind]: shelf } });
  }

  /** Keys of rows that are in the database and still there, in order. */
  #keysIn(range: KeyRange, limit?: number): Uint8Array[] {
    const { database, batch } = this.#context;
    const found = [...database.keys("keys", { ...range, ...(limit !== undefined && { limit }) })];
    return found.filter((key) => batch.row(database, "keys", key) !== undefined);
  }

  /** The first of them. */
  #firstKey(range: KeyRange): Uint8Array | undefined {
    const { database, batch } = this.#context;
    for (const key of database.keys("keys", range)) {
      if (batch.row(database, "keys", key) !== undefined) return key;
    }
    return undefined;
  }

  #readHead(): KeyHead {
    const key = headKey(this.#key);
    const row = this.#context.batch.row(this.#context.database, "keys", key);
    if (row === undefined) return emptyHead;
    const head = decodeHead(key, row);
    if (head !== undefined) return head;
    this.#context.onDamage(this.device, "the head of a device's keys is damaged");
    this.#isChanged = true;
    return this.#headFromRows();
  }

  #headFromRows(): KeyHead {
    const shelf = (kind: OneTimeKind): Shelf => {
      const places = this.#keysIn(kindRange(this.#key, kind)).map(placeOf);
      const indexes = places.flatMap((place) => (place?.section === "key" ? [place.index] : []));
      const [first = 0] = indexes;
      const firstId = indexes.length === 0 ? undefined : this.#keyAt(kind, first)?.id;
      return { first, next: (indexes.at(-1) ?? -1) + 1, claimedThrough: Math.max(0, (firstId ?? 1) - 1) };
    };
    return {
      ...emptyHead,
      pairCount: this.#keysIn(pairRange(this.#key)).length,
      holderCount: this.#keysIn(holderRange(this.#key)).length,
      shelves: {
        preKey: shelf("preKey"),
        kyberPreKey: shelf("kyberPreKey"),
        keyPackage: shelf("keyPackage"),
      },
    };
  }
}

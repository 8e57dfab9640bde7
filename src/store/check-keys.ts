/** The part of check.ts that reads the key directory: all rows of a device in one snapshot, its head first. */
import { isOneTime, type KeyKind, oneTimeKinds } from "../wire/keys.js";
import type { CheckReport } from "./check-report.js";
import type { Checker } from "./checker.js";
import type { Row } from "./database.js";
import {
  decodeHead,
  decodeKey,
  decodeMark,
  emptyHead,
  type KeyHead,
  keyRowsOf,
  placeOf,
} from "./key-rows.js";
import { addressInKey, DEVICE_KEY_BYTES } from "./schema.js";

class DeviceCheck {
  readonly #checker: Checker;
  readonly #address: Uint8Array;
  #head: KeyHead | undefined;
  #pairs = 0;
  #holders = 0;
  keys = 0;
  /** Index and id of the key before, by kind. */
  readonly #last = new Map<KeyKind, { readonly index: number; readonly id: number }>();

  constructor(checker: Checker, address: Uint8Array) {
    this.#checker = checker;
    this.#address = address;
  }

  row({ key, value }: Row): void {
    const place = placeOf(key);
    if (place === undefined) this.#find("damaged", "no row may stand under its key");
    else if (place.section === "head") {
      this.#head = decodeHead(key, value);
      if (this.#head === undefined) this.#find("damaged", "the head is damaged");
    } else if (place.section === "key") this.#key(place.kind, place.index, { key, value });
    else {
      if (place.section === "pair") this.#pairs++;
      if (place.section === "holder") this.#holders++;
      if (decodeMark(key, value) === undefined) this.#find("damaged", `a ${place.section}'s row is damaged`);
    }
  }

  #key(kind: KeyKind, index: number, { key, value }: Row): void {
    this.keys++;
    const found = decodeKey(key, value);
    if (found === undefined) {
      this.#find("damaged", `${kind} ${index} is damaged`, index);
      this.#last.set(kind, { index, id: this.#before(kind).id });
      return;
    }
    if (isOneTime(kind)) {
      const before = this.#before(kind);
      if (index !== before.index + 1) this.#find("order", `${kind}s before ${index} are missing`, index);
      if (found.id <= before.id) this.#find("order", `the ids of ${kind}s do not rise`, index);
    } else if (index !== 0) this.#find("order", `there are two of ${kind}`, index);
    this.#last.set(kind, { index, id: found.id });
  }

  #before(kind: KeyKind): { readonly index: number; readonly id: number } {
    const last = this.#last.get(kind);
    if (last !== undefined || !isOneTime(kind)) return last ?? { index: 0, id: 0 };
    const { first, claimedThrough } = (this.#head ?? emptyHead).shelves[kind];
    return { index: first - 1, id: claimedThrough };
  }

  end(): void {
    if (this.#head === undefined) {
      this.#find("totals", "its keys have no head");
      return;
    }
    for (const kind of oneTimeKinds) {
      const { next } = this.#head.shelves[kind];
      if (this.#before(kind).index + 1 !== next) this.#find("totals", `${kind}s up to ${next} are missing`);
    }
    if (this.#pairs !== this.#head.pairCount || this.#holders !== this.#head.holderCount) {
      const { pairCount, holderCount } = this.#head;
      const detail = `it counts ${pairCount} pairs and ${holderCount} holders where ${this.#pairs} and ${this.#holders} are`;
      this.#find("totals", detail);
    }
  }

  #find(kind: "damaged" | "order" | "totals", detail: string, number?: number): void {
    const where = number === undefined ? {} : { number };
    this.#checker.find({ table: "keys", kind, detail, address: this.#address, ...where });
  }
}

export async function checkKeys(checker: Checker): Promise<CheckReport["keys"]> {
  const counts = { devices: 0, rows: 0, keys: 0 };
  if (!checker.database.has("keys")) return counts;
  let start: Uint8Array | undefined;
  try {
    for (;;) {
      checker.database.refresh();
      const [key] = checker.database.keys("keys", { ...(start && { start }), limit: 1 });
      if (key === undefined) break;
      const address = addressInKey(key.slice(0, DEVICE_KEY_BYTES));
      const range = keyRowsOf(address);
      const device = new DeviceCheck(checker, address);
      checker.requirePartition("keys", key);
      checker.requireRegistered("keys", address, 0);
      for (const row of checker.database.rows("keys", { ...range, start: key })) {
        device.row(row);
        counts.rows++;
      }
      device.end();
      counts.devices++;
      counts.keys += device.keys;
      start = range.end;
      if (counts.devices % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    checker.find({ table: "keys", kind: "unreadable", detail: (error as Error).message });
  }
  return counts;
}

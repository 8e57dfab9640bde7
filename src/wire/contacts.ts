/**
 * Agreements between accounts on the wire: what one covers, as bits of a number, and lists of them.
 *
 *   covers   1 signals: ephemerals pass both ways   2 presence: each is told when the other comes and goes   3 both
 *
 * A list is two byte strings: `accounts`, their 18-byte addresses one behind the other, and `covers`, one byte for each.
 */
import type { AccountAddress } from "../base/address.js";
import { concatBytes } from "../base/bytes.js";
import type { Fields } from "./fields.js";
import { readAccounts } from "./groups.js";
import type { MsgpackMap } from "./msgpack-value.js";

export const coverage = { signals: 1, presence: 2 } as const;
export type Coverage = keyof typeof coverage;

export const COVERS_ALL = coverage.signals | coverage.presence;

/** What an account has agreed to with another one. */
export interface Agreement {
  readonly account: AccountAddress;
  /** Bits of `coverage`, at least one. */
  readonly covers: number;
}

export function agreementsBody(agreements: readonly Agreement[]): MsgpackMap {
  return {
    accounts: concatBytes(agreements.map(({ account }) => account)),
    covers: Uint8Array.from(agreements, ({ covers }) => covers),
  };
}

/** Copies. Throws the fields' fault. */
export function readAgreements(body: Fields): Agreement[] {
  const accounts = readAccounts(body.bin("accounts", { min: 0, max: Number.MAX_SAFE_INTEGER }).slice());
  if (accounts === undefined) throw body.fault("accounts are 18 bytes each");
  const covers = body.binOf("covers", accounts.length);
  return accounts.map((account, i) => ({ account, covers: covers[i] as number }));
}

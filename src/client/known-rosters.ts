/**
 * Which devices accounts have, as far as this device has heard. A direct send tells when that is out of date (the
 * refusal says what differs); a group send does not, so for groups a roster may only have a certain age.
 */
import type { AccountAddress } from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import type { RosterDifference } from "../wire/protocol.js";
import type { Roster } from "./types.js";

/** Queries that wait for their answers at the same time. */
const QUERIES_AT_ONCE = 256;

interface Known {
  readonly roster: Roster;
  /** On performance.now()'s clock. */
  readonly askedAtMs: number;
}

export class KnownRosters {
  readonly #query: (account: AccountAddress) => Promise<Roster>;
  readonly #known = new Map<string, Known>();

  constructor(query: (account: AccountAddress) => Promise<Roster>) {
    this.#query = query;
  }

  /** In the order of `accounts`; asked for again when older than `ageMsMax`. */
  async of(accounts: readonly AccountAddress[], ageMsMax = Number.POSITIVE_INFINITY): Promise<Roster[]> {
    const rosters: Roster[] = [];
    for (let at = 0; at < accounts.length; at += QUERIES_AT_ONCE) {
      const together = accounts.slice(at, at + QUERIES_AT_ONCE);
      rosters.push(...(await Promise.all(together.map((account) => this.#one(account, ageMsMax)))));
    }
    return rosters;
  }

  /** What a refusal said: the roster as it is, from the one the refused envelope was made for, which need not be the one known by now. */
  repair({ account, version, missing, surplus }: RosterDifference, madeFor: readonly Roster[]): void {
    const known = this.#known.get(toHex(account));
    if (known === undefined || known.roster.version >= version) return;
    const before = madeFor.find((roster) => equalBytes(roster.account, account)) ?? known.roster;
    const devices = before.devices.filter((device) => !surplus.includes(device));
    const roster = { account, version, devices: [...devices, ...missing] };
    this.#known.set(toHex(account), { roster, askedAtMs: performance.now() });
  }

  forget(account: AccountAddress): void {
    this.#known.delete(toHex(account));
  }

  async #one(account: AccountAddress, ageMsMax: number): Promise<Roster> {
    const known = this.#known.get(toHex(account));
    const nowMs = performance.now();
    if (known !== undefined && nowMs - known.askedAtMs <= ageMsMax) return known.roster;
    const roster = await this.#query(account);
    this.#known.set(toHex(account), { roster, askedAtMs: nowMs });
    return roster;
  }
}

/**
 * A group as this device sees it: the roster it has asked for, kept up by the events that come, and how far it has heard
 * of the group in order with the group's envelopes.
 */
import type { AccountAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { GroupEvent, Member } from "../wire/groups.js";
import type { GroupRoster } from "./types.js";

export class GroupView {
  readonly address: AccountAddress;
  /** Everything that was sent for earlier versions than this has been handed over; 0 when that is not known. */
  heardVersion = 0;
  /** Counts what has come: events and envelopes of the group. */
  moves = 0;
  readonly #query: () => Promise<GroupRoster>;
  #roster: GroupRoster | undefined;
  #waiters: (() => void)[] = [];

  constructor(address: AccountAddress, query: () => Promise<GroupRoster>) {
    this.address = address;
    this.#query = query;
  }

  /** Never older than what was heard. Rejects with `notFound` for everybody but members. */
  async roster(): Promise<GroupRoster> {
    while (this.#roster === undefined || this.#roster.version < this.heardVersion)
      this.#roster = await this.#query();
    return this.#roster;
  }

  /** It is out of date, says a refusal. */
  forget(): void {
    this.#roster = undefined;
  }

  follow(event: GroupEvent): void {
    if (event.version > this.heardVersion) this.heardVersion = event.version;
    if (this.#roster?.version === event.version - 1) {
      const { group, version } = event;
      this.#roster = { group, version, members: membersAfter(event, this.#roster.members) };
    }
    this.moved();
  }

  moved(): void {
    this.moves += 1;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Resolves when more has come than `moves`, or after `waitMs`. */
  async next(moves: number, waitMs: number): Promise<void> {
    if (this.moves > moves) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function membersAfter(change: GroupEvent, members: readonly Member[]): readonly Member[] {
  const { event, accounts, role, promoted } = change;
  const isNamed = ({ account }: Member): boolean => accounts.some((named) => equalBytes(named, account));
  switch (event) {
    case "created":
      return members;
    case "added":
      return [...members, ...accounts.map((account): Member => ({ account, role: "member" }))];
    case "role":
      return members.map((member) => (isNamed(member) && role !== undefined ? { ...member, role } : member));
    case "removed":
    case "left":
      return members
        .filter((member) => !isNamed(member))
        .map((member) =>
          promoted !== undefined && equalBytes(promoted, member.account)
            ? { ...member, role: "admin" }
            : member,
        );
  }
}

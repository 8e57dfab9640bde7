/**
 * Groups: rosters of accounts of any brand, kept by the node under a version that every change raises.
 *
 * A change names the version that it was made for and rejects with `groupStale` when there is another one by now: get
 * the roster, and decide anew. None of them is repeated after a lost connection (`connectionLost`: get the roster to see
 * whether it was done). What others change arrives as `group` events, in order with the group's envelopes.
 */
import { ACCOUNT_ADDRESS_BYTES } from "../base/address.js";
import { concatBytes } from "../base/bytes.js";
import { Fields } from "../wire/fields.js";
import { readAccounts, roleOf } from "../wire/groups.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { accountOfLike } from "./requests.js";
import type { AccountLike, Ask, GroupChangeRequest, GroupRoster, GroupVersion, Role } from "./types.js";

const ANY_BYTES = { min: 0, max: Number.MAX_SAFE_INTEGER };

export class Groups {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** A new group of this account, which is its admin, and the others. Rejects with `groupFull`, `memberAlready`, `brandsClosed` or `tooManyGroups`. */
  create(others: readonly AccountLike[]): Promise<GroupVersion> {
    return this.#ask({ method: "groups.create", body: { accounts: packed(others) } }, readVersion);
  }

  /** The groups that the account is in, in the order in which it joined. */
  list(): Promise<readonly Uint8Array[]> {
    return this.#ask({ method: "groups.list", isRepeatable: true }, (body) => {
      const groups = readAccounts(new Fields(body, badFrame).bin("groups", ANY_BYTES).slice());
      if (groups === undefined) throw badFrame("groups are 18 bytes each");
      return groups;
    });
  }

  /** The roster, in the order in which its members joined. Rejects with `notFound` for everybody but members. */
  get(group: AccountLike): Promise<GroupRoster> {
    return this.#ask(
      { method: "groups.get", body: { group: accountOfLike(group) }, isRepeatable: true },
      readRoster,
    );
  }

  /** Admins only. Rejects with `notFound`, `groupStale`, `notAllowed`, `memberAlready`, `groupFull`, `brandsClosed` or `tooManyGroups`. */
  add(change: GroupChangeRequest): Promise<GroupVersion> {
    return this.#change("groups.add", change);
  }

  /** Admins only, and not themselves. Rejects with `notFound`, `groupStale`, `notAllowed` or `memberUnknown`. */
  remove(change: GroupChangeRequest): Promise<GroupVersion> {
    return this.#change("groups.remove", change);
  }

  /** Admins only. Rejects with `notFound`, `groupStale`, `notAllowed`, `memberUnknown` or `lastAdmin`. */
  setRole(change: GroupChangeRequest & { readonly role: Role }): Promise<GroupVersion> {
    return this.#change("groups.setRole", change, { role: change.role });
  }

  /**
   * Leaves the group, whatever its version. When no admin is left, the member who has been in it longest becomes one;
   * when nobody is left, the group is gone.
   */
  leave(group: AccountLike): Promise<GroupVersion> {
    return this.#ask({ method: "groups.leave", body: { group: accountOfLike(group) } }, readVersion);
  }

  #change(
    method: string,
    { group, version, accounts }: GroupChangeRequest,
    more: MsgpackMap = {},
  ): Promise<GroupVersion> {
    const body = { group: accountOfLike(group), version, accounts: packed(accounts), ...more };
    return this.#ask({ method, body }, readVersion);
  }
}

const packed = (accounts: readonly AccountLike[]): Uint8Array => concatBytes(accounts.map(accountOfLike));

function readVersion(body: MsgpackMap): GroupVersion {
  const fields = new Fields(body, badFrame);
  return { group: fields.binOf("group", ACCOUNT_ADDRESS_BYTES).slice(), version: fields.uint("version") };
}

function readRoster(body: MsgpackMap): GroupRoster {
  const fields = new Fields(body, badFrame);
  const accounts = readAccounts(fields.bin("accounts", ANY_BYTES).slice());
  if (accounts === undefined) throw badFrame("accounts are 18 bytes each");
  const numbers = fields.binOf("roles", accounts.length);
  const members = accounts.map((account, i) => {
    const role = roleOf(numbers[i] as number);
    if (role === undefined) throw badFrame("a member has a role");
    return { account, role };
  });
  return { ...readVersion(body), members };
}

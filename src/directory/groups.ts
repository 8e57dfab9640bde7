/**
 * Groups: what signed-in devices ask about them, and how a change takes effect. Any device of a member acts for him.
 *
 *   request ─▶ rules/groups.ts ─▶ one transaction: roster and event ─▶ answer
 *                                            └─▶ path/notices.ts: the event, in order with the group's messages
 *
 * An account that is removed leaves its groups: the store keeps what is owed (store/memberships.ts), and each of them is a
 * change like any other, made as soon as that may be, here or after the next start.
 *
 * One change of a group after the other, and none before everybody was told of the one before: two events of a group
 * are never on their way together, so that nothing can turn them round.
 */
import { randomBytes } from "node:crypto";
import {
  ACCOUNT_ADDRESS_BYTES,
  ACCOUNT_ID_BYTES,
  type AccountAddress,
  accountOf,
  brandOf,
  type DeviceAddress,
} from "../base/address.js";
import { concatBytes, toHex } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import {
  applyChange,
  type Group,
  type GroupChange,
  judgeChange,
  judgeCreation,
  type MayMeet,
  newGroup,
  roleIn,
} from "../rules/groups.js";
import { limits } from "../rules/limits.js";
import type { Notice, Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";
import type { CodeName } from "../wire/codes.js";
import type { Fields } from "../wire/fields.js";
import {
  encodeGroupEvent,
  type GroupEvent,
  type Role,
  readAccounts,
  roleNamed,
  roles,
} from "../wire/groups.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { RateLimiter } from "./rate-limiter.js";
import type { Methods } from "./requests.js";

/** What this service needs of the store. */
export type GroupStore = Pick<Store, "readGroup" | "changeGroup" | "settledGroup" | "memberships">;

const BUSY_RETRY_MS = 250;

export interface GroupBounds {
  readonly groupAccountsBurst: number;
  readonly groupAccountsPerSecond: number;
  readonly changersCountedMax: number;
}

export function groupMethods(groups: Groups, clock: Clock, bounds: GroupBounds): Methods {
  const limiter = new RateLimiter({
    ...{ burst: bounds.groupAccountsBurst, perSecond: bounds.groupAccountsPerSecond },
    ...{ countedMax: bounds.changersCountedMax, clock },
  });
  /** Who makes a change that names so many others. */
  const changer = (caller: DeviceAddress, others: number): AccountAddress => {
    const account = accountOf(caller);
    limiter.take(account, 1 + others);
    return account;
  };
  const changeOf =
    (read: (body: Fields) => GroupChange) =>
    async (caller: DeviceAddress, body: Fields): Promise<MsgpackMap> => {
      const change = read(body);
      const others = change.kind === "leave" ? 0 : change.accounts.length;
      return groups.change(groupIn(body), changer(caller, others), change);
    };
  return {
    "groups.create": async (caller, body) => {
      const others = accountsIn(body, limits.groupMembersMax);
      return groups.create(changer(caller, others.length), others);
    },
    "groups.list": (caller) => groups.list(accountOf(caller)),
    "groups.get": (caller, body) => groups.get(groupIn(body), accountOf(caller)),
    "groups.add": changeOf((body) => ({ kind: "add", ...namedIn(body) })),
    "groups.remove": changeOf((body) => ({ kind: "remove", ...namedIn(body) })),
    "groups.setRole": changeOf((body) => ({ kind: "setRole", ...namedIn(body), role: roleOfBody(body) })),
    "groups.leave": changeOf(() => ({ kind: "leave" })),
  };
}

export class Groups {
  readonly #store: GroupStore;
  readonly #mayMeet: MayMeet;
  /** By group: the last change that waits or is under way. */
  readonly #lines = new Map<string, Promise<unknown>>();

  constructor(store: GroupStore, mayMeet: MayMeet) {
    this.#store = store;
    this.#mayMeet = mayMeet;
  }

  async create(by: AccountAddress, others: readonly AccountAddress[]): Promise<MsgpackMap> {
    refuse(judgeCreation(by, others, this.#mayMeet));
    const address = concatBytes([by.subarray(0, 2), randomBytes(ACCOUNT_ID_BYTES)]);
    const group = newGroup(address, by, others);
    return this.#write(group, { event: "created", by, accounts: [] }, []);
  }

  list(by: AccountAddress): MsgpackMap {
    return { groups: concatBytes(this.#store.memberships.of(by)) };
  }

  get(address: AccountAddress, by: AccountAddress): MsgpackMap {
    const group = this.#groupOf(address, by);
    const { version, members } = group;
    return {
      group: address,
      version,
      accounts: concatBytes(members.map(({ account }) => account)),
      roles: Uint8Array.from(members, ({ role }) => roles[role]),
    };
  }

  change(address: AccountAddress, by: AccountAddress, change: GroupChange): Promise<MsgpackMap> {
    return this.#inLine(address, async () => {
      const known = this.#groupOf(address, by);
      const group = (await this.#settled(address)) ? this.#store.readGroup(address) : known;
      refuse(judgeChange(group, by, change, this.#mayMeet), group);
      const { group: changed, promoted } = applyChange(group as Group, by, change);
      const accounts = change.kind === "leave" ? [by] : change.accounts;
      const event = { event: eventNames[change.kind], by, accounts, ...(promoted && { promoted }) };
      const isGone = change.kind === "leave" || change.kind === "remove";
      const role = change.kind === "setRole" ? { role: change.role } : {};
      return this.#write(changed, { ...event, ...role }, isGone ? accounts : []);
    });
  }

  /** An account that was removed leaves its groups, each as soon as everybody was told of the change before. */
  async dismiss(account: AccountAddress): Promise<void> {
    for (const group of this.#store.memberships.toLeave(account))
      for (let hasLeft = false; !hasLeft; ) hasLeft = await this.#leave(group, account);
  }

  /** False when it has to be tried again. */
  async #leave(group: AccountAddress, account: AccountAddress): Promise<boolean> {
    try {
      await this.change(group, account, { kind: "leave" });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      // It is no member any more, or the store has ended and the next start goes on.
      return error.code !== "groupBusy";
    }
    return true;
  }

  /** The group as its members know it; for anybody else there is none. */
  #groupOf(address: AccountAddress, by: AccountAddress): Group {
    const group = this.#store.readGroup(address);
    if (group === undefined || roleIn(group, by) === undefined) throw new CodedError("notFound");
    return group;
  }

  /** Resolves when everybody was told of the last change; tells whether that took any time. */
  async #settled(address: AccountAddress): Promise<boolean> {
    const settled = this.#store.settledGroup(address);
    if (settled === undefined) return false;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new CodedError("groupBusy", { retryAfterMs: BUSY_RETRY_MS });
      timer = setTimeout(() => reject(error), limits.groupEventWaitMs);
    });
    try {
      await Promise.race([settled, late]);
      return true;
    } finally {
      clearTimeout(timer);
    }
  }

  /** `gone`: who is told although no member any more. */
  async #write(
    group: Group,
    change: Omit<GroupEvent, "group" | "version">,
    gone: readonly AccountAddress[],
  ): Promise<MsgpackMap> {
    const { address, version } = group;
    const payload = encodeGroupEvent({ group: address, version, ...change });
    const of = { address, version };
    const common = { payload, group: of, brand: brandOf(change.by) };
    const notices: Notice[] = group.members.length > 0 ? [{ recipients: [], ...common }] : [];
    for (let i = 0; i < gone.length; i += limits.accountsPerSendMax) {
      const recipients = gone.slice(i, i + limits.accountsPerSendMax).map((account) => ({ account }));
      notices.push({ recipients, ...common });
    }
    const removed = await this.#store.changeGroup({ group, notices });
    for (const account of removed) void this.dismiss(account);
    return { group: address, version };
  }

  async #inLine<T>(address: AccountAddress, work: () => Promise<T>): Promise<T> {
    const name = toHex(address);
    const before = this.#lines.get(name) ?? Promise.resolve();
    const mine = before.then(work);
    const ended = mine.then(
      () => {},
      () => {},
    );
    this.#lines.set(name, ended);
    try {
      return await mine;
    } finally {
      if (this.#lines.get(name) === ended) this.#lines.delete(name);
    }
  }
}

const eventNames = { add: "added", remove: "removed", setRole: "role", leave: "left" } as const;

/** A stale change is told which version there is now. */
function refuse(code: CodeName | undefined, group?: Group): void {
  if (code === undefined) return;
  throw new CodedError(code, code === "groupStale" && group ? { body: { version: group.version } } : {});
}

function groupIn(body: Fields): AccountAddress {
  return body.binOf("group", ACCOUNT_ADDRESS_BYTES).slice();
}

function namedIn(body: Fields): { readonly version: number; readonly accounts: readonly AccountAddress[] } {
  return { version: body.uint("version"), accounts: accountsIn(body, limits.groupChangeAccountsMax) };
}

function accountsIn(body: Fields, max: number): readonly AccountAddress[] {
  const accounts = readAccounts(body.bin("accounts", { min: 0, max: max * ACCOUNT_ADDRESS_BYTES }).slice());
  if (accounts === undefined) throw body.fault("accounts are 18 bytes each, one behind the other");
  return accounts;
}

function roleOfBody(body: Fields): Role {
  const role = roleNamed(body.str("role"));
  if (role === undefined) throw body.fault(`role is one of ${Object.keys(roles).join(", ")}`);
  return role;
}

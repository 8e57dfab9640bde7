/**
 * Groups on the wire: roles, lists of accounts, and the event that tells of a change.
 *
 *   accounts   a byte string: the accounts' 18-byte addresses, one behind the other
 *   roles      a byte string: one byte for each account, 1 admin, 2 member
 *
 * An event is a notice (wire/notices.ts) with the body of `GroupEvent`; docs/protocol.md says who gets it and when.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress } from "../base/address.js";
import { concatBytes } from "../base/bytes.js";
import { Fields } from "./fields.js";
import { badFrame } from "./msgpack.js";
import { encodeNotice, type NoticeBody } from "./notices.js";

export const roles = { admin: 1, member: 2 } as const;
export type Role = keyof typeof roles;

export interface Member {
  readonly account: AccountAddress;
  readonly role: Role;
}

const groupEventNames = ["created", "added", "removed", "left", "role"] as const;
export type GroupEventName = (typeof groupEventNames)[number];

/** What has changed: everything that the group's members get before it was sent under an earlier version. */
export interface GroupEvent {
  /** 18 bytes. */
  readonly group: AccountAddress;
  /** The roster's version from here on. */
  readonly version: number;
  readonly event: GroupEventName;
  /** Whose device asked for the change. */
  readonly by: AccountAddress;
  /** Who was added, removed, left, or has another role now; of a new group nobody: ask for its roster. */
  readonly accounts: readonly AccountAddress[];
  /** The role that they have now, where that is what has changed. */
  readonly role?: Role;
  /** Who is an admin in the place of the last one, who has left. */
  readonly promoted?: AccountAddress;
}

export const GROUP_NOTICE = "group";

const roleNames = new Map<number, Role>(
  Object.entries(roles).map(([name, number]) => [number, name as Role]),
);

/** undefined for a number that stands for no role. */
export function roleOf(number: number): Role | undefined {
  return roleNames.get(number);
}

export function roleNamed(name: string): Role | undefined {
  return Object.hasOwn(roles, name) ? (name as Role) : undefined;
}

/** The addresses, as views; undefined when the bytes are not a whole number of them. */
export function readAccounts(bytes: Uint8Array): AccountAddress[] | undefined {
  if (bytes.length % ACCOUNT_ADDRESS_BYTES !== 0) return undefined;
  return Array.from({ length: bytes.length / ACCOUNT_ADDRESS_BYTES }, (_, i) =>
    bytes.subarray(i * ACCOUNT_ADDRESS_BYTES, (i + 1) * ACCOUNT_ADDRESS_BYTES),
  );
}

export function encodeGroupEvent({ accounts, role, promoted, ...event }: GroupEvent): Uint8Array {
  return encodeNotice({
    notice: GROUP_NOTICE,
    ...event,
    accounts: concatBytes(accounts),
    ...(role && { role }),
    ...(promoted && { promoted }),
  });
}

const ANY_BYTES = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** Copies. Throws CodedError `badFrame`, also for an event that only a later version knows. */
export function readGroupEvent(body: NoticeBody): GroupEvent {
  const fields = new Fields(body, badFrame);
  const event = groupEventNames.find((name) => name === fields.str("event"));
  const accounts = readAccounts(fields.bin("accounts", ANY_BYTES).slice());
  const role = fields.has("role") ? roleNamed(fields.str("role")) : undefined;
  if (event === undefined || accounts === undefined) throw badFrame("no event of a group that is known here");
  return {
    group: fields.binOf("group", ACCOUNT_ADDRESS_BYTES).slice(),
    version: fields.uint("version"),
    event,
    by: fields.binOf("by", ACCOUNT_ADDRESS_BYTES).slice(),
    accounts,
    ...(role && { role }),
    ...(fields.has("promoted") && { promoted: fields.binOf("promoted", ACCOUNT_ADDRESS_BYTES).slice() }),
  };
}

/**
 * What the program that is killed (recovery-child.ts) and its judge (recovery-judge.ts) say to each other: the little
 * world that the operations are about, the operations, and a directory's whole state as it was found after an open.
 * Words only. Accounts and groups are 18 bytes, devices 20, in hex.
 *
 * The child writes one of these lines, in JSON, for everything that happens:
 *
 *   ["asked", id, clockMs, operation]   just before the store is asked
 *   ["naming", id, group]               the address that a group gets, before it is written
 *   ["answered", id, outcome, ordinals] what was answered; of a roster, its devices' ordinals by their numbers
 *   ["dropping", notices]               just before the store is told that these are sent
 *   ["found", state]                    after an open, before anything is asked
 *   ["drained", parts, bytes]           everything is acked and swept: shared parts and bytes that are left
 *   ["bad", detail]                     the store has reported damage
 */

const ACCOUNTS_PER_BRAND = 3;
export const worldAccounts: readonly string[] = [1, 2].flatMap((brand) =>
  Array.from({ length: ACCOUNTS_PER_BRAND }, (_, i) => `000${brand}${String(i + 1).padStart(32, "a")}`),
);
export const worldNumbers = [1, 2, 3] as const;
export const worldNames = ["ann", "bob", "cleo", "dan"] as const;
export const worldDevices: readonly string[] = worldAccounts.flatMap((account) =>
  worldNumbers.map((number) => deviceOf(account, number)),
);
/** A send is known again until so many later ones were accepted. */
export const REPEATS_KNOWN = 40;
/** A device is told of its stock when this many one-time keys of a kind are not left. */
export const KEYS_LOW = 3;

export function deviceOf(account: string, number: number): string {
  return `${account}000${number}`;
}

export const bytesOf = (address: string): Uint8Array => Uint8Array.from(Buffer.from(address, "hex"));
export const accountIn = (device: string): string => device.slice(0, 36);
export const numberIn = (device: string): number => Number.parseInt(device.slice(36), 16);

export const keyNumbers = {
  identity: 1,
  signedPreKey: 2,
  lastResortKyber: 3,
  lastResortKeyPackage: 4,
  preKey: 16,
  kyberPreKey: 17,
  keyPackage: 18,
} as const;
export type Kind = keyof typeof keyNumbers;
/** An id, and bytes in hex. */
export type Key = readonly [number, string];
export type Role = "admin" | "member";

export interface Change {
  readonly kind: "add" | "remove" | "setRole" | "leave";
  readonly version: number;
  readonly accounts: readonly string[];
  readonly role: Role;
}

/** Entries are `<sequence>`, or `<sequence>/<shared part>`. */
export interface Run {
  readonly device: string;
  readonly ordinal: number;
  readonly entries: readonly string[];
}

export interface AskedAck {
  readonly device: string;
  readonly ordinal: number;
  readonly floor: number;
}

export type Operation =
  /** `isOld`: with a token as old as can be. */
  | {
      readonly op: "register";
      readonly account: string;
      readonly number: number;
      readonly isOld: boolean;
      readonly mayRegister: boolean;
    }
  | { readonly op: "addDevice"; readonly account: string; readonly number: number }
  | {
      readonly op: "removeDevice";
      readonly account: string;
      readonly number: number;
      readonly nowMs: number;
    }
  | { readonly op: "createAccount"; readonly account: string }
  | { readonly op: "removeAccount"; readonly account: string; readonly nowMs: number }
  | { readonly op: "giveName"; readonly account: string; readonly name: string }
  | { readonly op: "takeName"; readonly name: string }
  | {
      readonly op: "changeTokens";
      readonly account: string;
      readonly kind: "set" | "rotate" | "revoke";
      /** Any text; a rotation leaves the one before good for so long. */
      readonly token: string;
      readonly overlapMs: number;
      readonly nowMs: number;
    }
  | {
      readonly op: "upload";
      readonly device: string;
      readonly keys: { readonly [K in Kind]?: readonly Key[] };
    }
  | {
      readonly op: "claim";
      readonly by: string;
      readonly device: string;
      readonly suite: "signal" | "mls";
    }
  | {
      readonly op: "setTarget" | "settleTarget";
      readonly device: string;
      readonly target: string;
      readonly nowMs: number;
    }
  | { readonly op: "unsetTarget"; readonly device: string }
  | { readonly op: "connected"; readonly device: string; readonly nowMs: number }
  | {
      readonly op: "createGroup";
      readonly by: string;
      readonly others: readonly string[];
      readonly group?: string;
    }
  | {
      readonly op: "changeGroup";
      readonly group: string;
      readonly by: string;
      readonly change: Change;
    }
  | {
      readonly op: "agree" | "takeBack";
      readonly account: string;
      readonly other: string;
      readonly covers: number;
    }
  | {
      readonly op: "commit";
      readonly runs: readonly Run[];
      readonly acks: readonly AskedAck[];
      /** Of the sends that it holds: `<sending device> <its ordinal> <number>`. */
      readonly sends: readonly string[];
    };

/** What was answered, as JSON: `{ code }` for a refusal. */
export type Outcome = { readonly code: string } | { readonly [name: string]: unknown };

export interface FoundNotice {
  readonly number: number;
  readonly id: string;
  /** Each with the numbers of its devices; without them, all. */
  readonly to: readonly (readonly [string, readonly number[] | null])[];
  readonly group: readonly [string, number] | null;
  /** In hex. */
  readonly payload: string;
}

export interface Target {
  readonly target: string;
  readonly settledMs: number;
  readonly hasConnected: boolean;
}

/** Delivery tokens: digests, the one before empty without one. */
export interface Tokens {
  readonly current: string;
  readonly previous: string;
  readonly previousUntilMs: number;
}

export interface FoundState {
  readonly epoch: number;
  readonly firstPart: number;
  readonly sharedParts: number;
  readonly accounts: Readonly<
    Record<
      string,
      {
        readonly version: number;
        readonly isRemoved: boolean;
        readonly devices: readonly (readonly [number, number])[];
      }
    >
  >;
  /** By device: tokens issued up to then are refused. */
  readonly refused: Readonly<Record<string, number>>;
  readonly names: Readonly<Record<string, string>>;
  readonly tokens: Readonly<Record<string, Tokens>>;
  readonly targets: Readonly<Record<string, Target>>;
  /** By device and kind, where there is anything: count, claimedThrough, digest (empty for a device that is not registered). */
  readonly keys: Readonly<Record<string, readonly [number, number, string]>>;
  readonly groups: Readonly<
    Record<string, { readonly version: number; readonly members: readonly (readonly [string, string])[] }>
  >;
  /** By account: the groups that it is in, and those that it has to leave because it was removed. */
  readonly memberships: Readonly<Record<string, readonly string[]>>;
  readonly leaving: Readonly<Record<string, readonly string[]>>;
  /** By account: with whom it has agreed to what. By two accounts, the lesser first: what both have. */
  readonly contacts: Readonly<Record<string, readonly (readonly [string, number])[]>>;
  readonly agreed: Readonly<Record<string, number>>;
  readonly queues: Readonly<Record<string, readonly string[]>>;
  /** Of the sends that were asked for again and whose device is there: whether each was taken for a repeat. */
  readonly repeats: Readonly<Record<string, boolean>>;
  readonly notices: readonly FoundNotice[];
}

/** When the child ends itself: at its so-manieth callback of the store, or so many turns after its so-manieth question. */
export interface KillOrder {
  readonly callbacks?: number;
  readonly asks?: number;
  readonly turns?: number;
}

/** What the child is given. */
export interface ChildOrders {
  readonly seed: number;
  /** Its clock begins here; it moves with what is asked. */
  readonly clockMs: number;
  readonly groups: readonly string[];
  /** What is sent again when the store is open. */
  readonly sends: readonly string[];
  readonly kill: KillOrder;
}

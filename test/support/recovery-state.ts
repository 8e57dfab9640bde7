/** What recovery-model.ts and recovery-group-model.ts work on: all that a directory holds, as plain objects that never change. */
import type { Key, Kind, Outcome, Role, Target, Tokens } from "./recovery-operations.js";

export type Table<T> = Readonly<Record<string, T>>;

export interface ModelDevice {
  readonly number: number;
  /** The version of the roster that it came with. */
  readonly since: number;
  /** 0 until an answer or an open has told it. */
  readonly ordinal: number;
}

export interface Account {
  readonly version: number;
  readonly isRemoved: boolean;
  readonly devices: readonly ModelDevice[];
}

export interface DeviceKeys {
  readonly kinds: { readonly [K in Kind]?: readonly Key[] };
  readonly claimedThrough: Table<number>;
  readonly holders: readonly string[];
}

export interface Group {
  readonly version: number;
  readonly members: readonly (readonly [string, Role])[];
}

export interface Given {
  readonly other: string;
  readonly covers: number;
  /** How often the other account had been removed when it was given. */
  readonly to: number;
}

export interface State {
  readonly accounts: Table<Account>;
  /** By account or device. */
  readonly refused: Table<number>;
  readonly names: Table<string>;
  readonly tokens: Table<Tokens>;
  readonly targets: Table<Target>;
  readonly keys: Table<DeviceKeys>;
  readonly groups: Table<Group>;
  /** By account: the groups that it is in, or has to leave since it was removed, in the order in which it came to them. */
  readonly memberships: Table<readonly string[]>;
  readonly leaving: Table<readonly string[]>;
  /** By account: what it has given, and how often it was removed. */
  readonly contacts: Table<readonly Given[]>;
  readonly removals: Table<number>;
  readonly queues: Table<readonly string[]>;
  /** Sends that were accepted, oldest first, as far back as anybody asks. */
  readonly sends: readonly string[];
  readonly notices: readonly string[];
}

export const emptyState: State = {
  accounts: {},
  refused: {},
  names: {},
  tokens: {},
  targets: {},
  keys: {},
  groups: {},
  memberships: {},
  leaving: {},
  contacts: {},
  removals: {},
  queues: {},
  sends: [],
  notices: [],
};

export interface Step {
  readonly state: State;
  readonly outcome: Outcome;
  /** Of an operation that answers with a roster. */
  readonly roster?: { readonly account: string; readonly devices: readonly ModelDevice[] };
}

export const sequenceIn = (entry: string): number => Number(entry.split("/")[0]);

export function noticeText(
  to: readonly (readonly [string, readonly number[] | null])[],
  group: readonly [string, number] | null,
  body: Readonly<Record<string, unknown>>,
): string {
  const fields = Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([[...to].sort(([a], [b]) => (a < b ? -1 : 1)), group, fields]);
}

export const refuse = (state: State, code: string): Step => ({ state, outcome: { code } });

export function without<T>(table: Table<T>, isGone: (key: string) => boolean): Table<T> {
  return Object.fromEntries(Object.entries(table).filter(([key]) => !isGone(key)));
}

/** Reads the whole state of a data directory through an open store, as recovery-operations.ts says it. */
import type { AccountAddress } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import { limits } from "../../src/rules/limits.js";
import { noTokens } from "../../src/rules/sealed.js";
import type { QueueItem, Store } from "../../src/store/store.js";
import { framesIn, testPayload } from "./journal-record.js";
import { sorted } from "./recovery-contact-model.js";
import {
  accountIn,
  bytesOf,
  type FoundNotice,
  type FoundState,
  type Kind,
  keyNumbers,
  numberIn,
  type Target,
  type Tokens,
  worldAccounts,
  worldDevices,
  worldNames,
} from "./recovery-operations.js";
import { repeatsIn } from "./recovery-repeats.js";

const ALL = 1 << 30;
/** Brand 1 gives the names. */
export const NAMING_BRAND = 1;
export const nameBytes = (name: string): Uint8Array => new TextEncoder().encode(name);

/** Two accounts, the lesser first. */
const pairs = worldAccounts.flatMap((one) =>
  worldAccounts.filter((other) => one < other).map((other) => `${one} ${other}`),
);

export async function readState(
  store: Store,
  {
    groups,
    sends,
    clockMs,
  }: { readonly groups: readonly string[]; readonly sends: readonly string[]; readonly clockMs: number },
): Promise<FoundState> {
  return {
    epoch: store.epoch,
    firstPart: store.firstPart,
    sharedParts: store.stats().sharedParts,
    accounts: accountsIn(store),
    refused: await refusedIn(store, clockMs),
    names: tableOf(worldNames, (name) => {
      const owner = store.readName({ brand: NAMING_BRAND, name: nameBytes(name) });
      return owner && toHex(owner);
    }),
    tokens: tableOf(worldAccounts, (account) => tokensOf(store, account)),
    targets: tableOf(worldDevices, (device) => targetOf(store, device)),
    keys: await keysIn(store),
    groups: tableOf(groups, (group) => {
      const found = store.readGroup(bytesOf(group));
      const members = found?.members.map(({ account, role }) => [toHex(account), role] as const);
      return found && { version: found.version, members: members ?? [] };
    }),
    memberships: tableOf(worldAccounts, (account) => listOf(store.memberships.of(bytesOf(account)))),
    leaving: tableOf(worldAccounts, (account) => listOf(store.memberships.toLeave(bytesOf(account)))),
    contacts: tableOf(worldAccounts, (account) => {
      const given = store.contacts.list(bytesOf(account));
      return given.length === 0
        ? undefined
        : sorted(given.map(({ account: other, covers }) => [toHex(other), covers]));
    }),
    agreed: tableOf(pairs, (pair) => {
      const [one = "", other = ""] = pair.split(" ");
      return store.contacts.both(bytesOf(one), bytesOf(other)) || undefined;
    }),
    repeats: repeatsIn(store, sends),
    queues: tableOf(worldDevices, (device) => {
      const items = store.readQueue(bytesOf(device), 0, { bytesMax: ALL, entriesMax: ALL });
      return items.length > 0 ? items.flatMap(entriesOf) : undefined;
    }),
    notices: noticesAfter(store, 0),
  };
}

const listOf = (groups: readonly AccountAddress[]): readonly string[] | undefined =>
  groups.length > 0 ? groups.map((group) => toHex(group)) : undefined;

function tableOf<T>(
  keys: readonly string[],
  read: (key: string) => T | undefined,
): Readonly<Record<string, T>> {
  const found: Record<string, T> = {};
  for (const key of keys) {
    const value = read(key);
    if (value !== undefined) found[key] = value;
  }
  return found;
}

function accountsIn(store: Store): FoundState["accounts"] {
  return tableOf(worldAccounts, (account) => {
    const found = store.readAccount(bytesOf(account));
    if (found === undefined) return undefined;
    const devices = found.devices.map(({ number, ordinal }) => [number, ordinal] as const);
    return { version: found.version, isRemoved: found.isRemoved === true, devices };
  });
}

function tokensOf(store: Store, account: string): Tokens | undefined {
  const { current, previous, previousUntilMs } = store.deliveryTokens(bytesOf(account));
  if (equalBytes(current, noTokens.current)) return undefined;
  return {
    current: toHex(current),
    previous: previous.every((byte) => byte === 0) ? "" : toHex(previous),
    previousUntilMs,
  };
}

function targetOf(store: Store, device: string): Target | undefined {
  const found = store.pushTargets.read(bytesOf(device));
  if (found === undefined) return undefined;
  const { target, settledMs, hasConnected } = found;
  return { target: Buffer.from(target).toString(), settledMs, hasConnected };
}

/** By asking with tokens of all ages: the store tells no more of its tombstones. */
async function refusedIn(store: Store, clockMs: number): Promise<FoundState["refused"]> {
  const isRefused = (device: string, issuedMs: number): Promise<boolean> =>
    store.registerDevice(bytesOf(accountIn(device)), numberIn(device), { issuedMs, mayRegister: false }).then(
      () => false,
      (error: { code?: string }) => error.code === "tokenRevoked",
    );
  const found: Record<string, number> = {};
  await Promise.all(
    worldDevices.map(async (device) => {
      if (!(await isRefused(device, 0))) return;
      let [low, high] = [0, clockMs + 1];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (await isRefused(device, middle + limits.clockToleranceMs)) low = middle;
        else high = middle;
      }
      found[device] = low;
    }),
  );
  return found;
}

async function keysIn(store: Store): Promise<FoundState["keys"]> {
  const found: Record<string, readonly [number, number, string]> = {};
  await Promise.all(
    worldDevices.map(async (device) => {
      const stocks = store.keyStocks(bytesOf(device));
      const digests = await store.keyDigests(bytesOf(device)).catch(() => undefined);
      for (const kind of Object.keys(keyNumbers) as Kind[]) {
        const { count, claimedThrough } = stocks[kind];
        const digest = digests === undefined ? "" : toHex(digests[kind].digest);
        if (count + claimedThrough > 0) found[`${device} ${kind}`] = [count, claimedThrough, digest];
      }
    }),
  );
  return found;
}

export function noticesAfter(store: Store, after: number): FoundNotice[] {
  const textOf = (account: AccountAddress): string => toHex(account);
  return store.notices(after, ALL).map(({ number, id, recipients, group, payload }) => ({
    number,
    id: toHex(id),
    to: recipients.map(({ account, devices }) => [textOf(account), devices ?? null] as const),
    group: group ? [textOf(group.address), group.version] : null,
    payload: toHex(payload),
  }));
}

/** `<sequence>`, or `<sequence>/<part>`; a gap, or bytes that are not those that were written, as what they are. */
function entriesOf(item: QueueItem): string[] {
  if (item.kind === "gap") return [`gap of ${item.entryCount}`];
  return framesIn(item.frames).map(({ sequence, block, payload }) => {
    const isSame = (bytes: Uint8Array, seed: number): boolean =>
      Buffer.compare(bytes, testPayload(seed, bytes.length)) === 0;
    if (block === undefined) return isSame(payload, sequence) ? `${sequence}` : `${sequence} changed`;
    const part = Number(new DataView(payload.buffer, payload.byteOffset).getBigUint64(0));
    const isWhole = isSame(block, sequence) && isSame(payload.subarray(8), part);
    return isWhole ? `${sequence}/${part}` : `${sequence}/${part} changed`;
  });
}

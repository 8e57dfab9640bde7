/**
 * A program that does everything to a store that changes what is on disk, at random and several things at once, and says
 * so (recovery-operations.ts has the lines). It is there to be killed; it may also be told to end itself, in a callback
 * of the store or so many turns after a question.
 *
 *   node <compiled> <data directory> <orders in JSON>
 */
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { numberedDevice } from "../../src/base/address.js";
import { concatBytes, toHex } from "../../src/base/bytes.js";
import { systemClock } from "../../src/base/clock.js";
import { Groups, groupMethods } from "../../src/directory/groups.js";
import { badRequest } from "../../src/directory/requests.js";
import type { KeyUpload } from "../../src/rules/keys.js";
import { limits } from "../../src/rules/limits.js";
import { type AccountRecord, openStore } from "../../src/store/store.js";
import { Fields } from "../../src/wire/fields.js";
import type { MsgpackMap } from "../../src/wire/msgpack-value.js";
import { SeededRandom } from "../demo/seeded-random.js";
import {
  bytesOf,
  type Change,
  type ChildOrders,
  deviceOf,
  KEYS_LOW,
  type Key,
  type Kind,
  keyNumbers,
  type Operation,
  type Outcome,
  REPEATS_KNOWN,
  worldAccounts,
  worldDevices,
  worldNames,
  worldNumbers,
} from "./recovery-operations.js";
import { NAMING_BRAND, nameBytes, noticesAfter, readState } from "./recovery-reader.js";
import { RecoveryWriter } from "./recovery-writer.js";

const WORKERS = 4;
const GROUPS_MAX = 4;
const MANY = 1_000_000;
const [directory = "", ordersText = "{}"] = process.argv.slice(2);
const orders: ChildOrders = JSON.parse(ordersText);
const random = new SeededRandom(orders.seed);
let clockMs = orders.clockMs;
let callbacksLeft = orders.kill.callbacks ?? Number.POSITIVE_INFINITY;
let asksLeft = orders.kill.asks ?? Number.POSITIVE_INFINITY;

function say(...line: readonly unknown[]): void {
  let bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      // The pipe is full: its reader is busy judging.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

const die = (): void => void process.kill(process.pid, "SIGKILL");

function dieInTurns(turns: number): void {
  if (turns === 0) die();
  else setImmediate(() => dieInTurns(turns - 1));
}

function called(): void {
  callbacksLeft--;
  if (callbacksLeft === 0) die();
}

const store = await openStore({
  directory,
  clock: { wallMs: () => clockMs, monotonicMs: () => clockMs },
  onCorruption: ({ table, detail }) => say("bad", `${table}: ${detail}`),
  onCommitted: called,
  onNotices: called,
  onRosterChanged: (record, removed) => {
    for (const number of removed) store.erase(numberedDevice(record.address, number), writer?.ceiling ?? 0);
    called();
  },
  quotas: {
    keysLow: KEYS_LOW,
    claimPairTokens: MANY,
    claimPairRefillMs: 1,
    claimTargetTokens: MANY,
    claimTargetRefillMs: 1,
    keyUploadTokens: MANY,
    keyUploadRefillMs: 1,
    identityChangeTokens: MANY,
    identityChangeRefillMs: 1,
    chunkBytesMax: 900,
    chunkMergeBytesMax: 300,
    dedupWindowCount: REPEATS_KNOWN,
  },
});
let nextQuestion = 1;

/** Says it, does it, says what came of it. */
async function ask(
  operation: Operation,
  run: (id: number) => Promise<Outcome | { outcome: Outcome; record: AccountRecord }>,
): Promise<Outcome> {
  const id = nextQuestion++;
  say("asked", id, ++clockMs, operation);
  if (--asksLeft === 0) dieInTurns(orders.kill.turns ?? 0);
  let outcome: Outcome;
  let record: AccountRecord | undefined;
  try {
    const told = await run(id);
    outcome = "record" in told ? (told.outcome as Outcome) : told;
    if ("record" in told) record = told.record as AccountRecord;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined || code === "storageFailed") throw error;
    outcome = { code };
  }
  const ordinals = Object.fromEntries(record?.devices.map(({ number, ordinal }) => [number, ordinal]) ?? []);
  say("answered", id, outcome, ordinals);
  for (const { number, ordinal } of record?.devices ?? []) {
    writer?.came(deviceOf(toHex((record as AccountRecord).address), number), ordinal);
  }
  return outcome;
}

// --- accounts, names, push targets ---

const oneAccount = (): string => random.pick(worldAccounts);
const oneDevice = (): string => random.pick(worldDevices);
const registered = (): string => {
  const found = worldDevices.filter((device) =>
    store
      .readAccount(bytesOf(device.slice(0, 36)))
      ?.devices.some(({ number }) => device.endsWith(`${number}`)),
  );
  // Now and then one that is not there.
  return found.length === 0 || random.between(0, 9) === 0 ? oneDevice() : random.pick(found);
};

async function roster(
  operation: Operation,
  run: () => Promise<AccountRecord | { record: AccountRecord; isChanged: boolean }>,
): Promise<void> {
  await ask(operation, async () => {
    const told = await run();
    const record = "record" in told ? told.record : told;
    const numbers = record.devices.map(({ number }) => number);
    const isChanged = "record" in told && { isChanged: told.isChanged };
    return { outcome: { version: record.version, numbers, ...isChanged }, record };
  });
}

const register = (): Promise<void> => {
  const [account, number] = [oneAccount(), random.pick(worldNumbers)];
  const isOld = random.between(0, 7) === 0;
  const mayRegister = random.between(0, 7) > 0;
  const arrival = { mayRegister, ...(isOld && { issuedMs: 0 }) };
  return roster({ op: "register", account, number, isOld, mayRegister }, () =>
    store.registerDevice(bytesOf(account), number, arrival),
  );
};

const addDevice = (): Promise<void> => {
  const [account, number] = [oneAccount(), random.pick(worldNumbers)];
  return roster({ op: "addDevice", account, number }, () => store.addDevice(bytesOf(account), number));
};

const removeDevice = (): Promise<void> => {
  const [account, number, nowMs] = [oneAccount(), random.pick(worldNumbers), clockMs];
  return roster({ op: "removeDevice", account, number, nowMs }, () =>
    store.removeDevice(bytesOf(account), number, nowMs),
  );
};

const createAccount = (): Promise<void> => {
  const account = oneAccount();
  return roster({ op: "createAccount", account }, () => store.createAccount(bytesOf(account)));
};

const removeAccount = (): Promise<void> => {
  const [account, nowMs] = [oneAccount(), clockMs];
  return roster({ op: "removeAccount", account, nowMs }, () => store.removeAccount(bytesOf(account), nowMs));
};

/** A brand names its own accounts. */
const named = worldAccounts.filter((account) => Number.parseInt(account.slice(0, 4), 16) === NAMING_BRAND);

async function giveName(): Promise<void> {
  const [account, name] = [random.pick(named), random.pick(worldNames)];
  await ask({ op: "giveName", account, name }, async () => ({
    isNew: await store.giveName(bytesOf(account), { brand: NAMING_BRAND, name: nameBytes(name) }),
  }));
}

async function takeName(): Promise<void> {
  const name = random.pick(worldNames);
  await ask({ op: "takeName", name }, async () => {
    await store.takeName({ brand: NAMING_BRAND, name: nameBytes(name) });
    return {};
  });
}

async function target(op: "setTarget" | "settleTarget" | "unsetTarget" | "connected"): Promise<void> {
  const [device, text, nowMs] = [registered(), `target ${random.between(1, 3)}`, clockMs];
  const at = { kind: "web", target: nameBytes(text) };
  const run = {
    setTarget: () => store.pushTargets.register(bytesOf(device), at, nowMs),
    settleTarget: () => store.pushTargets.settle(bytesOf(device), at, nowMs),
    unsetTarget: () => store.pushTargets.unregister(bytesOf(device)),
    connected: () => store.pushTargets.connected(bytesOf(device), nowMs),
  }[op];
  const asked = op === "unsetTarget" ? { op, device } : { op, device, target: text, nowMs };
  await ask(asked as Operation, async () => {
    await run();
    return {};
  });
}

async function changeTokens(): Promise<void> {
  const [account, token, nowMs] = [oneAccount(), `token ${random.between(1, 3)}`, clockMs + 1];
  const kind = random.pick(["set", "rotate", "rotate", "revoke"] as const);
  const overlapMs = random.between(0, 50);
  await ask({ op: "changeTokens", account, kind, token, overlapMs, nowMs }, async () => {
    const change = kind === "revoke" ? { kind } : { kind, token: nameBytes(token), overlapMs };
    await store.changeDeliveryTokens(bytesOf(account), change);
    return {};
  });
}

async function changeContacts(): Promise<void> {
  const [account, other, covers] = [oneAccount(), oneAccount(), random.between(1, 3)];
  if (account === other) return;
  const op = random.between(0, 2) === 0 ? "takeBack" : "agree";
  const method = op === "agree" ? "allow" : "withdraw";
  await ask({ op, account, other, covers }, async () => {
    await store.contacts[method](bytesOf(account), bytesOf(other), covers);
    return {};
  });
}

// --- keys ---

let nextKey = clockMs * 100;

async function upload(): Promise<void> {
  const device = registered();
  const keys: { [K in Kind]?: readonly Key[] } = {};
  for (const [kind, number] of Object.entries(keyNumbers) as [Kind, number][]) {
    if (random.between(0, 3) === 0 || (kind === "identity" && random.between(0, 2) > 0)) continue;
    const count = number < 16 ? 1 : random.between(0, 6);
    keys[kind] = Array.from({ length: count }, (): Key => [++nextKey, randomBytes(8).toString("hex")]);
  }
  await uploadKeys(device, keys);
  // The same again: what was handed out meanwhile must stay so.
  if (random.between(0, 2) === 0) await uploadKeys(device, keys);
}

async function uploadKeys(device: string, keys: { [K in Kind]?: readonly Key[] }): Promise<void> {
  const bytes = Object.entries(keys).map(([kind, list]) => [
    kind,
    list.map(([id, key]) => ({ id, key: bytesOf(key) })),
  ]);
  await ask({ op: "upload", device, keys }, async () => {
    await store.uploadKeys(bytesOf(device), Object.fromEntries(bytes) as KeyUpload);
    return {};
  });
}

async function claim(): Promise<void> {
  const [by, device] = [registered(), registered()];
  if (by === device) return;
  const suite = random.pick(["signal", "signal", "mls"] as const);
  await ask({ op: "claim", by, device, suite }, async () => {
    const claim = { requester: bytesOf(by), target: bytesOf(device), suite, mayMeet: true };
    const keys = Object.entries(await store.claimKeys(claim)).map(([kind, { id, key }]) => [
      kind,
      [id, toHex(key)],
    ]);
    return { claimed: keys.sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)) };
  });
}

// --- groups ---

let creating = 0;
const service = new Groups(
  {
    memberships: store.memberships,
    readGroup: (group) => store.readGroup(group),
    settledGroup: (group) => store.settledGroup(group),
    async changeGroup(changed) {
      if (changed.group.version === 1) say("naming", creating, toHex(changed.group.address));
      await store.changeGroup(changed);
      // Removed accounts are made to leave below, as questions like any other.
      return [];
    },
  },
  () => true,
);
const groups = groupMethods(service, systemClock, {
  ...limits,
  groupAccountsBurst: Number.MAX_SAFE_INTEGER,
});
const liveGroups = new Set(orders.groups.filter((group) => store.readGroup(bytesOf(group)) !== undefined));

async function callGroups(method: string, by: string, body: MsgpackMap): Promise<MsgpackMap> {
  const run = groups[method];
  if (run === undefined) throw new Error(`there is no method ${method}`);
  return run(bytesOf(deviceOf(by, 1)), new Fields(body, badRequest));
}

const someAccounts = (most: number): string[] => {
  const all = worldAccounts.map((account) => [random.fraction(), account] as const).sort();
  return all.slice(0, random.between(1, most)).map(([, account]) => account);
};
const joined = (accounts: readonly string[]): Uint8Array => concatBytes(accounts.map(bytesOf));

async function createGroup(): Promise<void> {
  if (liveGroups.size >= GROUPS_MAX) return changeGroup();
  const [by, others] = [oneAccount(), someAccounts(3)];
  await ask({ op: "createGroup", by, others }, async (id) => {
    creating = id;
    const { group, version } = await callGroups("groups.create", by, { accounts: joined(others) });
    liveGroups.add(toHex(group as Uint8Array));
    return { version };
  });
}

async function changeGroup(): Promise<void> {
  if (liveGroups.size === 0) return;
  const group = random.pick([...liveGroups]);
  const known = store.readGroup(bytesOf(group));
  if (known === undefined) return void liveGroups.delete(group);
  const members = known.members.map(({ account }) => toHex(account));
  const admins = known.members.filter(({ role }) => role === "admin").map(({ account }) => toHex(account));
  const kind = random.pick(["add", "add", "remove", "setRole", "leave"] as const);
  const by =
    random.between(0, 7) === 0
      ? oneAccount()
      : random.pick(kind === "leave" || admins.length === 0 ? members : admins);
  const others = worldAccounts.filter((account) => !members.includes(account));
  const named = kind === "add" ? others : members;
  const accounts = named.length === 0 || random.between(0, 9) === 0 ? someAccounts(2) : [random.pick(named)];
  const version = known.version - (random.between(0, 9) === 0 ? 1 : 0);
  const change: Change = { kind, version, accounts, role: random.pick(["admin", "member"] as const) };
  await ask({ op: "changeGroup", group, by, change }, async () => {
    const body = { group: bytesOf(group), version, accounts: joined(accounts), role: change.role };
    const told = await callGroups(`groups.${kind}`, by, body);
    return { version: told.version };
  });
}

/** Accounts that were removed leave their groups, those too that a kill has left in them. */
async function dismiss(): Promise<never> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 5)));
    const [account] = store.memberships.leaving().map((address) => toHex(address));
    const [group] =
      account === undefined ? [] : store.memberships.toLeave(bytesOf(account)).map((one) => toHex(one));
    if (account === undefined || group === undefined) continue;
    const change: Change = { kind: "leave", version: 0, accounts: [], role: "member" };
    await ask({ op: "changeGroup", group, by: account, change }, async () => {
      const told = await callGroups("groups.leave", account, { group: bytesOf(group) });
      return { version: told.version };
    });
  }
}

// --- all of it ---

const found = await readState(store, { ...orders, clockMs });
say("found", found);
const writer = new RecoveryWriter(store, random, async (operation, run) => void (await ask(operation, run)));
for (const [account, { devices }] of Object.entries(found.accounts)) {
  for (const [number, ordinal] of devices) {
    const newest = found.queues[deviceOf(account, number)]?.at(-1)?.split("/")[0];
    writer.came(deviceOf(account, number), ordinal, Number(newest ?? 0));
  }
}

const choices: readonly (readonly [number, () => Promise<void>])[] = [
  [8, register],
  [2, addDevice],
  [4, removeDevice],
  [1, createAccount],
  [1, removeAccount],
  [3, giveName],
  [1, takeName],
  [3, () => target("setTarget")],
  [1, () => target("unsetTarget")],
  [1, () => target("settleTarget")],
  [1, () => target("connected")],
  [3, changeTokens],
  [5, upload],
  [8, claim],
  [6, changeContacts],
  [3, createGroup],
  [9, changeGroup],
];
const weighted = choices.flatMap(([weight, run]) => Array.from({ length: weight }, () => run));

async function work(): Promise<never> {
  for (;;) {
    await random.pick(weighted)();
    if (random.between(0, 3) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function write(): Promise<never> {
  for (;;) {
    await writer.step((parts, bytes) => say("drained", parts, bytes));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Sends what is owed: some at once, some later. */
async function tell(): Promise<never> {
  const dropped = new Set<number>();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 3)));
    const due = noticesAfter(store, 0).filter(
      ({ number }) => !dropped.has(number) && random.between(0, 2) > 0,
    );
    if (due.length === 0) continue;
    for (const { number } of due) dropped.add(number);
    say("dropping", due);
    store.dropNotices(due.map(({ number }) => number));
  }
}

await Promise.all([...Array.from({ length: WORKERS }, work), write(), tell(), dismiss()]);

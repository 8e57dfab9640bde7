/**
 * What a node's directory holds, as plain objects, and what each operation makes of them: written from docs/ alone and
 * sharing no code with the engine. An operation happens whole, at one moment, or not at all.
 *
 * A queue holds the entries of one registration of a device (its ordinal): what was sent to an earlier one of its number
 * is gone. A notice stays here when the node has sent it; the judge knows which ones may be gone.
 */
import { createHash } from "node:crypto";
import { digestOf } from "./claim-judge.js";
import { changeContacts, endContacts } from "./recovery-contact-model.js";
import { changeGroup, createGroup, leaveAll } from "./recovery-group-model.js";
import {
  accountIn,
  deviceOf,
  KEYS_LOW,
  type Key,
  type Kind,
  keyNumbers,
  numberIn,
  type Operation,
  type Target,
} from "./recovery-operations.js";
import {
  type Account,
  type DeviceKeys,
  type ModelDevice,
  noticeText,
  refuse,
  type State,
  type Step,
  sequenceIn,
  without,
} from "./recovery-state.js";

/** One operation on one state. */
export function applyOperation(state: State, operation: Operation): Step {
  switch (operation.op) {
    case "register":
    case "addDevice":
    case "removeDevice":
    case "createAccount":
    case "removeAccount":
      return changeAccount(state, operation);
    case "giveName":
    case "takeName":
      return changeName(state, operation);
    case "setTarget":
    case "settleTarget":
    case "unsetTarget":
    case "connected":
      return changeTarget(state, operation);
    case "changeTokens":
      return changeTokens(state, operation);
    case "upload":
      return upload(state, operation);
    case "claim":
      return claim(state, operation);
    case "createGroup":
      return createGroup(state, operation);
    case "changeGroup":
      return changeGroup(state, operation);
    case "agree":
    case "takeBack":
      return changeContacts(state, operation);
    case "commit":
      return commit(state, operation);
  }
}

function isRegistered(state: State, device: string): boolean {
  const account = state.accounts[accountIn(device)];
  return account?.devices.some(({ number }) => number === numberIn(device)) === true;
}

// --- accounts ---

type AccountOperation = Extract<
  Operation,
  { op: "register" | "addDevice" | "removeDevice" | "createAccount" | "removeAccount" }
>;

function changeAccount(state: State, operation: AccountOperation): Step {
  const { account } = operation;
  const before = state.accounts[account];
  const isThere = before !== undefined && !before.isRemoved;
  const told = (next: State, isChanged: boolean): Step => {
    const { version, devices } = next.accounts[account] as Account;
    const numbers = devices.map(({ number }) => number);
    const outcome = { version, numbers, ...(operation.op !== "register" && { isChanged }) };
    return { state: next, outcome, roster: { account, devices } };
  };
  const version = (before?.version ?? 0) + 1;
  const devices = before?.devices ?? [];
  const roster = (after: readonly ModelDevice[], isRemoved = false): State =>
    withRoster(state, account, { version, isRemoved, devices: after });
  switch (operation.op) {
    case "createAccount":
      return isThere ? told(state, false) : told(roster([]), true);
    case "register":
    case "addDevice": {
      const { number } = operation;
      if (operation.op === "addDevice" && !isThere) return refuse(state, "notFound");
      const isRefused = [account, deviceOf(account, number)].some(
        (name) => state.refused[name] !== undefined,
      );
      if (operation.op === "register" && operation.isOld && isRefused) return refuse(state, "tokenRevoked");
      if (devices.some((device) => device.number === number)) return told(state, false);
      if (operation.op === "register" && !operation.mayRegister) return refuse(state, "deviceUnknown");
      return told(roster([...devices, { number, since: version, ordinal: 0 }]), true);
    }
    case "removeDevice": {
      const { number, nowMs } = operation;
      if (!isThere || !devices.some((device) => device.number === number)) return refuse(state, "notFound");
      return told(
        refuseTokens(roster(devices.filter((one) => one.number !== number)), {
          names: [deviceOf(account, number)],
          nowMs,
        }),
        true,
      );
    }
    case "removeAccount": {
      if (!isThere) return refuse(state, "notFound");
      const names = [account, ...devices.map(({ number }) => deviceOf(account, number))];
      const gone = refuseTokens(roster([], true), { names, nowMs: operation.nowMs });
      const kept = Object.fromEntries(Object.entries(gone.names).filter(([, owner]) => owner !== account));
      const tokens = without(gone.tokens, (key) => key === account);
      return told(endContacts(leaveAll({ ...gone, names: kept, tokens }, account), account), true);
    }
  }
}

/** With what goes with devices that are no more, and the word to those that stay. */
function withRoster(state: State, account: string, after: Account): State {
  const before = state.accounts[account]?.devices ?? [];
  const has = (number: number): boolean => after.devices.some((device) => device.number === number);
  const gone = before.filter(({ number }) => !has(number)).map(({ number }) => deviceOf(account, number));
  const audience = before.filter(({ number }) => has(number)).map(({ number }) => number);
  const body = {
    notice: "roster",
    version: after.version,
    devices: after.devices.map(({ number }) => number),
  };
  const isGone = (device: string): boolean => gone.includes(device);
  return {
    ...state,
    accounts: { ...state.accounts, [account]: after },
    queues: without(state.queues, isGone),
    keys: without(state.keys, isGone),
    targets: without(state.targets, isGone),
    notices:
      audience.length === 0
        ? state.notices
        : [...state.notices, noticeText([[account, audience]], null, body)],
  };
}

function refuseTokens(
  state: State,
  { names, nowMs }: { readonly names: readonly string[]; readonly nowMs: number },
): State {
  const refused = { ...state.refused };
  for (const name of names) refused[name] = Math.max(refused[name] ?? 0, nowMs);
  return { ...state, refused };
}

// --- names and push targets ---

function changeName(state: State, operation: Extract<Operation, { op: "giveName" | "takeName" }>): Step {
  const { name } = operation;
  const owner = state.names[name];
  if (operation.op === "takeName") {
    if (owner === undefined) return refuse(state, "notFound");
    return { state: { ...state, names: without(state.names, (key) => key === name) }, outcome: {} };
  }
  const account = state.accounts[operation.account];
  if (account === undefined || account.isRemoved) return refuse(state, "notFound");
  if (owner !== undefined && owner !== operation.account) return refuse(state, "nameTaken");
  const names = { ...state.names, [name]: operation.account };
  return { state: { ...state, names }, outcome: { isNew: owner === undefined } };
}

type TargetOperation = Extract<Operation, { op: "setTarget" | "settleTarget" | "unsetTarget" | "connected" }>;

function changeTarget(state: State, operation: TargetOperation): Step {
  const { device } = operation;
  const before = state.targets[device];
  const set = (target: Target): Step => ({
    state: { ...state, targets: { ...state.targets, [device]: target } },
    outcome: {},
  });
  const unchanged = { state, outcome: {} };
  if (operation.op === "setTarget") {
    if (!isRegistered(state, device)) return refuse(state, "notFound");
    const { target, nowMs } = operation;
    return before?.target === target ? unchanged : set({ target, settledMs: nowMs, hasConnected: true });
  }
  if (before === undefined) return unchanged;
  if (operation.op === "unsetTarget") {
    return { state: { ...state, targets: without(state.targets, (key) => key === device) }, outcome: {} };
  }
  const settledMs = operation.nowMs;
  if (operation.op === "connected") return set({ ...before, settledMs, hasConnected: true });
  return before.target === operation.target ? set({ ...before, settledMs, hasConnected: false }) : unchanged;
}

// --- delivery tokens ---

function changeTokens(state: State, operation: Extract<Operation, { op: "changeTokens" }>): Step {
  const { account, kind, token, overlapMs, nowMs } = operation;
  const there = state.accounts[account];
  const before = state.tokens[account];
  if (there === undefined || there.isRemoved) return refuse(state, "notFound");
  if (kind === "rotate" && before === undefined) return refuse(state, "notFound");
  const current = createHash("sha256").update(token).digest("hex");
  const isSame = kind === "revoke" ? before === undefined : kind === "rotate" && before?.current === current;
  if (isSame) return { state, outcome: {} };
  const overlap = kind === "rotate" && before !== undefined;
  const previous = overlap
    ? { previous: before.current, previousUntilMs: nowMs + overlapMs }
    : { previous: "", previousUntilMs: 0 };
  const others = without(state.tokens, (key) => key === account);
  const tokens = kind === "revoke" ? others : { ...others, [account]: { current, ...previous } };
  const body = { notice: "deliveryToken", isSet: kind !== "revoke" };
  const notices = [...state.notices, noticeText([[account, null]], null, body)];
  return { state: { ...state, tokens, notices }, outcome: {} };
}

// --- keys ---

const oneTime = ["preKey", "kyberPreKey", "keyPackage"] as const;
const ofIdentity = ["identity", "signedPreKey", "lastResortKyber", "preKey", "kyberPreKey"];
const noKeys: DeviceKeys = { kinds: {}, claimedThrough: {}, holders: [] };
const suites = {
  signal: { needs: ["identity", "signedPreKey"], takes: [["preKey"], ["kyberPreKey", "lastResortKyber"]] },
  mls: { needs: [], takes: [["keyPackage", "lastResortKeyPackage"]] },
} as const;

export function digestOfKeys(device: string, kind: Kind, keys: readonly Key[]): string {
  const noted = keys.map(([id, bytes]) => ({ id, bytes: Buffer.from(bytes, "hex") }));
  return digestOf(device, keyNumbers[kind], noted);
}

function upload(state: State, { device, keys }: Extract<Operation, { op: "upload" }>): Step {
  if (!isRegistered(state, device)) return refuse(state, "notFound");
  const before = state.keys[device] ?? noKeys;
  const identity = keys.identity?.[0];
  const known = before.kinds.identity?.[0];
  const isNew = identity !== undefined && known !== undefined && identity[1] !== known[1];
  const kinds: { [K in Kind]?: readonly Key[] } = { ...before.kinds };
  for (const kind of Object.keys(keyNumbers) as Kind[]) {
    const given = keys[kind] ?? (isNew && ofIdentity.includes(kind) ? [] : undefined);
    const through = before.claimedThrough[kind] ?? 0;
    const isOneTime = (oneTime as readonly string[]).includes(kind);
    if (given !== undefined) kinds[kind] = isOneTime ? given.filter(([id]) => id > through) : given;
  }
  const after = { ...state, keys: { ...state.keys, [device]: { ...before, kinds } } };
  if (!isNew) return { state: after, outcome: {} };
  const to = [accountIn(device), ...before.holders].map((account): [string, null] => [account, null]);
  const body = { notice: "identity", device, digest: digestOfKeys(device, "identity", [identity]) };
  return { state: { ...after, notices: [...state.notices, noticeText(to, null, body)] }, outcome: {} };
}

function claim(state: State, { by, device, suite }: Extract<Operation, { op: "claim" }>): Step {
  if (!isRegistered(state, by) || !isRegistered(state, device)) return refuse(state, "notFound");
  let keys = state.keys[device] ?? noKeys;
  const { needs, takes } = suites[suite];
  if (needs.some((kind) => (keys.kinds[kind]?.length ?? 0) === 0)) return refuse(state, "keysMissing");
  const claimed: Record<string, Key> = {};
  const notices = [...state.notices];
  for (const kind of needs) claimed[kind] = keys.kinds[kind]?.[0] as Key;
  for (const [kind, lastResort] of takes) {
    const [taken, ...left] = keys.kinds[kind] ?? [];
    if (taken === undefined) {
      const last = lastResort && keys.kinds[lastResort]?.[0];
      if (lastResort !== undefined && last !== undefined) claimed[lastResort] = last;
      continue;
    }
    claimed[kind] = taken;
    const claimedThrough = { ...keys.claimedThrough, [kind]: taken[0] };
    keys = { ...keys, kinds: { ...keys.kinds, [kind]: left }, claimedThrough };
    if (left.length === KEYS_LOW - 1 || left.length === 0) {
      const body = { notice: "lowKeys", kind, count: left.length };
      notices.push(noticeText([[accountIn(device), [numberIn(device)]]], null, body));
    }
  }
  if (Object.keys(claimed).length === 0) return refuse(state, "keysMissing");
  const asker = accountIn(by);
  const isHolder = suite === "signal" && asker !== accountIn(device) && !keys.holders.includes(asker);
  if (isHolder) keys = { ...keys, holders: [...keys.holders, asker] };
  const outcome = { claimed: Object.entries(claimed).sort(([a], [b]) => (a < b ? -1 : 1)) };
  return { state: { ...state, keys: { ...state.keys, [device]: keys }, notices }, outcome };
}

// --- envelopes ---

/** How many of the last sends are kept in mind. */
const SENDS_MAX = 400;

function commit(state: State, { runs, acks, sends }: Extract<Operation, { op: "commit" }>): Step {
  const queues: Record<string, readonly string[]> = { ...state.queues };
  const isThere = (device: string, ordinal: number): boolean =>
    state.accounts[accountIn(device)]?.devices.some((one) => one.ordinal === ordinal) === true;
  for (const { device, ordinal, entries } of runs) {
    if (isThere(device, ordinal)) queues[device] = [...(queues[device] ?? []), ...entries];
  }
  for (const { device, ordinal, floor } of acks) {
    const before = queues[device] ?? [];
    if (isThere(device, ordinal)) queues[device] = before.filter((entry) => sequenceIn(entry) > floor);
  }
  const accepted = [...state.sends, ...sends].slice(-SENDS_MAX);
  return { state: { ...state, queues, sends: accepted }, outcome: {} };
}

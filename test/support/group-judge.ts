/**
 * Judges a history of groups: what their members asked, sent and were given. It shares no code with the engine; the
 * roster of every version is computed here, from the changes that members were told of.
 *
 *   created     a group was asked for and made, with these members
 *   changed     a change was answered: it made this version
 *   arrived     a device was given an event or a message, in the order in which it was given them
 *   receipted   a message was accepted
 *   roster      what the node says of a group in the end
 *
 * Of each device and group: events come with rising versions, each the one after the last unless the account was out of
 * the group in between; a message is of the version of the last event; nothing comes before the account is in, or after
 * it is out. Over all: every version has one event, the same for everybody; every answered change has its event; every
 * receipted message came once to every device of every member of its version but the sending one; the roster in the end
 * is the one that the events make.
 */

export type GroupHistoryEvent =
  | {
      readonly op: "created";
      readonly group: string;
      readonly by: string;
      readonly accounts: readonly string[];
    }
  | { readonly op: "changed"; readonly group: string; readonly version: number; readonly change: string }
  | {
      readonly op: "event";
      readonly device: string;
      readonly group: string;
      readonly version: number;
      readonly event: string;
      readonly by: string;
      readonly accounts: readonly string[];
      readonly role?: string | undefined;
      readonly promoted?: string | undefined;
    }
  | {
      readonly op: "message";
      readonly device: string;
      readonly group: string;
      readonly version: number;
      readonly sender: string;
      readonly id: string;
    }
  | {
      readonly op: "receipted";
      readonly device: string;
      readonly group: string;
      readonly version: number;
      readonly id: string;
    }
  | {
      readonly op: "roster";
      readonly group: string;
      readonly version: number;
      readonly members: readonly { readonly account: string; readonly role: string }[];
    };

export interface GroupFault {
  readonly rule:
    | "order"
    | "outside"
    | "version"
    | "disagreement"
    | "untold"
    | "lost"
    | "repeated"
    | "surplus"
    | "roster";
  readonly detail: string;
}

type Told = Extract<GroupHistoryEvent, { op: "event" }>;
type Roster = Map<string, string>;

/** Kept of each rule, so that many faults of one hide none of another. */
const FAULTS_PER_RULE = 20;

/** What the devices of an account are called. */
const accountOf = (device: string): string => device.slice(0, 36);

export function judgeGroups(
  history: readonly GroupHistoryEvent[],
  devices: readonly string[],
): { readonly faults: readonly GroupFault[]; readonly events: number; readonly messages: number } {
  const faults: GroupFault[] = [];
  const found = new Map<GroupFault["rule"], number>();
  const find = (rule: GroupFault["rule"], detail: string): void => {
    const count = (found.get(rule) ?? 0) + 1;
    found.set(rule, count);
    if (count <= FAULTS_PER_RULE) faults.push({ rule, detail });
  };
  const groups = new Set(history.map(({ group }) => group));
  let events = 0;
  let messages = 0;
  for (const group of groups) {
    const own = history.filter((entry) => entry.group === group);
    for (const device of devices) judgeDevice(device, own, find);
    const told = agreedEvents(own, find);
    events += told.size;
    const rosters = rostersOf(own, told, find);
    messages += judgeMessages(own, rosters, devices, find);
    judgeEnd(own, rosters, told, find);
  }
  return { faults, events, messages };
}

type Find = (rule: GroupFault["rule"], detail: string) => void;

/** The order in which one device was given things. */
function judgeDevice(device: string, own: readonly GroupHistoryEvent[], find: Find): void {
  const account = accountOf(device);
  let version = 0;
  let isIn = false;
  for (const entry of own) {
    if ((entry.op !== "event" && entry.op !== "message") || entry.device !== device) continue;
    if (entry.op === "message") {
      const what = `${device} was given ${entry.id} of version ${entry.version}`;
      if (!isIn) find("outside", `${what} while out of the group (version ${version})`);
      else if (entry.version !== version) find("version", `${what} after the event of ${version}`);
      continue;
    }
    const isJoining =
      entry.event === "created" || (entry.event === "added" && entry.accounts.includes(account));
    const isParting =
      (entry.event === "removed" || entry.event === "left") && entry.accounts.includes(account);
    const what = `${device} was given the event of ${entry.version} after that of ${version}`;
    if (isIn && entry.version !== version + 1) find("order", what);
    if (!isIn && entry.version <= version) find("order", what);
    if (!isIn && !isJoining) find("outside", `${what}, while out of the group`);
    if (isIn && isJoining) find("order", `${what}, which takes it in again`);
    version = entry.version;
    isIn = !isParting;
  }
}

/** The event of each version, if all who got it got the same. */
function agreedEvents(own: readonly GroupHistoryEvent[], find: Find): Map<number, Told> {
  const told = new Map<number, Told>();
  for (const entry of own) {
    if (entry.op !== "event") continue;
    const known = told.get(entry.version);
    if (known === undefined) told.set(entry.version, entry);
    else if (contentOf(known) !== contentOf(entry)) {
      find("disagreement", `${contentOf(known)} and ${contentOf(entry)}`);
    }
  }
  for (const entry of own) {
    if (entry.op !== "changed") continue;
    const event = told.get(entry.version);
    if (event === undefined) find("untold", `${entry.change} was answered with version ${entry.version}`);
    else if (`${event.event} ${event.accounts.join(",")}` !== entry.change) {
      find("disagreement", `${entry.change} was answered, and told as ${contentOf(event)}`);
    }
  }
  return told;
}

const contentOf = ({ version, event, by, accounts, role, promoted }: Told): string =>
  JSON.stringify([version, event, by, accounts, role ?? "", promoted ?? ""]);

/** The roster of each version, in order of joining. */
function rostersOf(
  own: readonly GroupHistoryEvent[],
  told: ReadonlyMap<number, Told>,
  find: Find,
): Map<number, Roster> {
  const rosters = new Map<number, Roster>();
  const made = own.find((entry) => entry.op === "created");
  if (made?.op !== "created") return rosters;
  let roster: Roster = new Map([
    [made.by, "admin"],
    ...made.accounts.map((one): [string, string] => [one, "member"]),
  ]);
  rosters.set(1, roster);
  for (let version = 2; version <= Math.max(1, ...told.keys()); version++) {
    const event = told.get(version);
    if (event === undefined) {
      find("untold", `nobody was told of version ${version} of ${made.group}`);
      return rosters;
    }
    roster = new Map(roster);
    for (const account of event.accounts) {
      if (event.event === "added") roster.set(account, "member");
      else if (event.event === "role") roster.set(account, event.role ?? "");
      else roster.delete(account);
    }
    if (event.promoted !== undefined) roster.set(event.promoted, "admin");
    rosters.set(version, roster);
  }
  return rosters;
}

function judgeMessages(
  own: readonly GroupHistoryEvent[],
  rosters: ReadonlyMap<number, Roster>,
  devices: readonly string[],
  find: Find,
): number {
  const given = new Map<string, number>();
  for (const entry of own) {
    if (entry.op !== "message") continue;
    const key = `${entry.device} ${entry.sender} ${entry.id}`;
    const count = (given.get(key) ?? 0) + 1;
    given.set(key, count);
    if (count > 1) find("repeated", key);
    if (!rosters.get(entry.version)?.has(accountOf(entry.device)))
      find("surplus", `${entry.device} was given ${entry.id} of version ${entry.version}`);
  }
  let count = 0;
  for (const entry of own) {
    if (entry.op !== "receipted") continue;
    count++;
    const roster = rosters.get(entry.version) ?? new Map();
    for (const device of devices) {
      if (device === entry.device || !roster.has(accountOf(device))) continue;
      if (!given.has(`${device} ${entry.device} ${entry.id}`))
        find("lost", `${entry.id} of version ${entry.version} for ${device}`);
    }
  }
  return count;
}

function judgeEnd(
  own: readonly GroupHistoryEvent[],
  rosters: ReadonlyMap<number, Roster>,
  told: ReadonlyMap<number, Told>,
  find: Find,
): void {
  const last = own.findLast((entry) => entry.op === "roster");
  if (last?.op !== "roster") return;
  const version = Math.max(1, ...told.keys());
  const model = [...(rosters.get(version) ?? [])].map(([account, role]) => `${account} ${role}`).join(", ");
  const stored = last.members.map(({ account, role }) => `${account} ${role}`).join(", ");
  if (last.version !== version || stored !== model)
    find("roster", `version ${last.version} is ${stored}; the events make version ${version}: ${model}`);
}

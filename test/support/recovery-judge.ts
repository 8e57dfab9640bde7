/**
 * Judges what recovery-child.ts says by the model alone. It holds every state that the directory may be in: those that
 * come of what was answered, in an order in which it may have happened, and of any part of what is asked and not yet
 * answered. An answer rules out the states that do not give it; what is found after a kill rules out all but itself, and
 * if nothing is left, something was lost, halved, or made up.
 *
 * What need not be exact: notices that the node has sent may be gone or not, and entries that were acked may be gone
 * before the commit that holds the ack.
 */
import { tablesOf, wrongRepeats } from "./recovery-expected.js";
import { applyOperation } from "./recovery-model.js";
import {
  accountIn,
  type FoundNotice,
  type FoundState,
  type Operation,
  type Outcome,
  worldDevices,
  worldNames,
} from "./recovery-operations.js";
import { emptyState, noticeText, type State, type Step, sequenceIn } from "./recovery-state.js";
import { Reader, type Value } from "./stranger-codec.js";

/** More than so many states at once: the world is too small for what is asked at once. */
const CANDIDATES_MAX = 20_000;

/** A state, and what of the questions that are open has happened in it, with its outcome. */
interface Candidate {
  readonly state: State;
  readonly happened: ReadonlyMap<number, Step>;
}

interface Question {
  operation: Operation;
  readonly subjects: readonly string[];
}

export class RecoveryJudge {
  readonly faults: string[] = [];
  readonly groups = new Set<string>();
  /** All sends that were asked for. */
  readonly sends: string[] = [];
  clockMs = 0;
  answers = 0;
  /** Questions that were open at a kill, and those of them that had happened. */
  readonly cut = { open: 0, happened: 0 };
  drained = 0;
  #candidates: readonly Candidate[] = [{ state: emptyState, happened: new Map() }];
  readonly #open = new Map<number, Question>();
  readonly #sent = new Map<string, number>();
  /** By device and ordinal: acks that were asked for. */
  readonly #acked = new Map<string, number>();
  readonly #owners = new Map<number, string>();
  #epoch = 0;
  #openAtKill: readonly number[] = [];

  take(line: readonly unknown[]): void {
    const [word, ...rest] = line;
    if (word === "asked") this.#asked(...(rest as [number, number, Operation]));
    else if (word === "naming") this.#naming(...(rest as [number, string]));
    else if (word === "answered") this.#answered(...(rest as [number, Outcome, Record<string, number>]));
    else if (word === "dropping") for (const notice of rest[0] as FoundNotice[]) this.#dropping(notice);
    else if (word === "found") this.#found(rest[0] as FoundState);
    else if (word === "drained") this.#drained(...(rest as [number, number]));
    else this.#fault(`the store reports damage: ${JSON.stringify(rest)}`);
  }

  #fault(text: string): void {
    this.faults.push(text);
  }

  #asked(id: number, clockMs: number, operation: Operation): void {
    this.clockMs = Math.max(this.clockMs, clockMs);
    this.#open.set(id, { operation, subjects: subjectsOf(operation) });
    if (operation.op !== "commit") return;
    this.sends.push(...operation.sends);
    for (const { device, ordinal, floor } of operation.acks) {
      const name = `${device} ${ordinal}`;
      this.#acked.set(name, Math.max(floor, this.#acked.get(name) ?? 0));
    }
  }

  #naming(id: number, group: string): void {
    const question = this.#open.get(id);
    if (question?.operation.op === "createGroup") question.operation = { ...question.operation, group };
    this.groups.add(group);
  }

  #dropping({ to, group, payload }: FoundNotice): void {
    const text = noticeText(to, group, bodyOf(payload));
    this.#sent.set(text, (this.#sent.get(text) ?? 0) + 1);
  }

  #drained(parts: number, bytes: number): void {
    this.drained++;
    if (parts + bytes > 0) this.#fault(`${parts} shared parts and ${bytes} bytes are left of nothing`);
  }

  #answered(id: number, outcome: Outcome, ordinals: Record<string, number> = {}): void {
    this.answers++;
    const question = this.#open.get(id) as Question;
    const others = this.#related(question);
    const left: Candidate[] = [];
    for (const before of this.#candidates) {
      const begun = before.happened.has(id) ? [before] : ordersEndingWith(before, id, others);
      for (const { state, happened } of begun) {
        const step = happened.get(id) as Step;
        if (canonical(step.outcome) !== canonical(outcome)) continue;
        const rest = new Map(happened);
        rest.delete(id);
        left.push({ state: withOrdinals(state, step, ordinals), happened: rest });
      }
    }
    this.#open.delete(id);
    for (const [number, ordinal] of Object.entries(ordinals)) {
      this.#owns(ordinal, `${(question.operation as { account: string }).account}/${number}`);
    }
    if (left.length === 0) {
      const [before] = this.#candidates as [Candidate];
      const expected = applyOperation(before.state, question.operation).outcome;
      const asked = JSON.stringify(question.operation);
      this.#fault(`${asked} was answered ${canonical(outcome)}, where it should be ${canonical(expected)}`);
      return;
    }
    this.#keep(left);
  }

  /** No two devices ever have one ordinal. */
  #owns(ordinal: number, device: string): void {
    const owner = this.#owners.get(ordinal) ?? device;
    if (owner !== device) this.#fault(`${device} has the ordinal ${ordinal} of ${owner}`);
    this.#owners.set(ordinal, owner);
  }

  /** Open questions that bear on what this one is about, and those that bear on these. */
  #related(question: Question): ReadonlyMap<number, Operation> {
    const subjects = new Set(question.subjects);
    const found = new Map<number, Operation>();
    for (let before = -1; before < found.size; ) {
      before = found.size;
      for (const [id, other] of this.#open) {
        if (other !== question && !other.subjects.some((name) => subjects.has(name))) continue;
        found.set(id, other.operation);
        for (const name of other.subjects) subjects.add(name);
      }
    }
    return found;
  }

  #keep(candidates: readonly Candidate[]): void {
    if (candidates.length === 1) {
      this.#candidates = candidates;
      return;
    }
    const kept = new Map<string, Candidate>();
    for (const candidate of candidates) kept.set(nameOf(candidate, this.#open), candidate);
    this.#candidates = [...kept.values()];
    if (kept.size > CANDIDATES_MAX) throw new Error(`${kept.size} states are possible: too many to tell`);
  }

  /**
   * What is open may have happened, in any order, or may not. What is about different things is taken one after the
   * other: its order makes no difference.
   */
  killed(): void {
    this.#openAtKill = [...this.#open.keys()];
    for (let question = first(this.#open); question !== undefined; question = first(this.#open)) {
      const related = this.#related(question);
      for (const id of related.keys()) this.#open.delete(id);
      this.#keep(this.#candidates.flatMap((before) => [before, ...allOrders(before, related)]));
    }
  }

  #found(found: FoundState): void {
    if (found.epoch <= this.#epoch) this.#fault(`epoch ${found.epoch} follows epoch ${this.#epoch}`);
    this.#epoch = found.epoch;
    const parts = new Set(
      Object.values(found.queues).flatMap((entries) => entries.flatMap((entry) => entry.split("/").slice(1))),
    );
    if (found.sharedParts < parts.size) this.#fault("shared parts are fewer than entries refer to");
    if ([...parts].some((part) => Number(part) >= found.firstPart))
      this.#fault("a part's number comes again");
    this.#judgeNotices(found.notices);
    const matching = this.#candidates.filter(({ state }) => this.#differences(state, found).length === 0);
    if (matching.length === 0) {
      const closest = this.#candidates
        .map(({ state }) => this.#differences(state, found))
        .reduce((best, next) => (next.length < best.length ? next : best));
      this.#fault(
        `of ${this.#candidates.length} states none was found; the nearest differs: ${closest.join("; ")}`,
      );
      return;
    }
    const [{ happened }] = matching as [Candidate];
    this.cut.open += this.#openAtKill.length;
    this.cut.happened += this.#openAtKill.filter((id) => happened.has(id)).length;
    this.#openAtKill = [];
    this.#sent.clear();
    this.#acked.clear();
    this.#keep(matching.map(({ state }) => ({ state: asFound(state, found), happened: new Map() })));
    for (const [account, { devices }] of Object.entries(found.accounts))
      for (const [number, ordinal] of devices) this.#owns(ordinal, `${account}/${number}`);
  }

  /** Numbers say the order of what is told of one account or group. */
  #judgeNotices(notices: readonly FoundNotice[]): void {
    const versions = new Map<string, number>();
    for (const [i, notice] of notices.entries()) {
      if (i > 0 && notice.number <= (notices[i - 1] as FoundNotice).number)
        this.#fault("notices are out of order");
      const body = bodyOf(notice.payload);
      const about = `${body.group ?? notice.to[0]?.[0]}`;
      const version = Number(body.version ?? 0);
      if (version === 0) continue;
      if (version < (versions.get(about) ?? 0))
        this.#fault(`version ${version} of ${about} is told too late`);
      versions.set(about, version);
    }
    if (new Set(notices.map(({ id }) => id)).size < notices.length) this.#fault("two notices have one id");
  }

  /** Where the state that was found is not this one. */
  #differences(state: State, found: FoundState): string[] {
    const wrong: string[] = [];
    const compare = (what: string, model: unknown, disk: unknown): void => {
      const [expected, seen] = [canonical(model), canonical(disk)];
      if (expected !== seen) wrong.push(`${what}: found ${seen}, expected ${expected}`);
    };
    for (const account of new Set([...Object.keys(state.accounts), ...Object.keys(found.accounts)])) {
      const model = state.accounts[account];
      const disk = found.accounts[account];
      const devices = model?.devices.map(({ number, ordinal }, i) => [
        number,
        ordinal === 0 ? disk?.devices[i]?.[1] : ordinal,
      ]);
      compare(`account ${account}`, model && { ...model, devices }, disk);
    }
    for (const [what, model, disk] of tablesOf(state, found)) {
      for (const name of new Set([...Object.keys(model), ...Object.keys(disk)]))
        compare(`${what} of ${name}`, model[name], disk[name]);
    }
    for (const device of worldDevices) this.#compareQueue(state, found, { device, wrong });
    wrong.push(...wrongRepeats(state, found));
    this.#compareNotices(state.notices, found.notices, wrong);
    return wrong;
  }

  #compareQueue(
    state: State,
    found: FoundState,
    { device, wrong }: { readonly device: string; readonly wrong: string[] },
  ): void {
    const entries = state.queues[device] ?? [];
    const disk = found.queues[device] ?? [];
    const ordinal = ordinalOf(state, device);
    const mayBeGone = this.#acked.get(`${device} ${ordinal}`) ?? 0;
    const gone = entries.slice(0, Math.max(0, entries.length - disk.length));
    const isSame = canonical([...gone, ...disk]) === canonical(entries);
    if (isSame && gone.every((entry) => sequenceIn(entry) <= mayBeGone)) return;
    wrong.push(`queue of ${device}: found ${disk.join(" ")}, expected ${entries.join(" ")}`);
  }

  #compareNotices(expected: readonly string[], found: readonly FoundNotice[], wrong: string[]): void {
    const left = new Map<string, number>();
    for (const text of expected) left.set(text, (left.get(text) ?? 0) + 1);
    for (const { to, group, payload } of found) {
      const text = noticeText(to, group, bodyOf(payload));
      left.set(text, (left.get(text) ?? 0) - 1);
    }
    for (const [text, count] of left) {
      if (count < 0) wrong.push(`a notice of nothing: ${text}`);
      if (count > (this.#sent.get(text) ?? 0)) wrong.push(`a notice is missing: ${text}`);
    }
  }
}

function first(open: ReadonlyMap<number, Question>): Question | undefined {
  const [question] = open.values();
  return question;
}

function subjectsOf(operation: Operation): readonly string[] {
  switch (operation.op) {
    case "removeAccount":
      return [operation.account, ...worldNames];
    case "giveName":
      return [operation.account, operation.name];
    case "takeName":
      return [operation.name];
    case "claim":
      return [accountIn(operation.by), accountIn(operation.device)];
    case "createGroup":
      return [operation.by, ...operation.others];
    case "changeGroup":
      return [operation.group, operation.by, ...operation.change.accounts];
    case "agree":
    case "takeBack":
      return [operation.account, operation.other];
    case "commit":
      return [];
    default:
      return ["account" in operation ? operation.account : accountIn(operation.device)];
  }
}

/** Whatever may happen before the operation `id`, and then that. */
function ordersEndingWith(
  before: Candidate,
  id: number,
  operations: ReadonlyMap<number, Operation>,
): Candidate[] {
  const ends = [before, ...allOrders(before, new Map([...operations].filter(([other]) => other !== id)))];
  return ends.map((end) => after(end, id, operations.get(id) as Operation));
}

/** Every order of every part of the operations that have not happened in this state. */
function allOrders(before: Candidate, operations: ReadonlyMap<number, Operation>): Candidate[] {
  const found: Candidate[] = [];
  for (const [id, operation] of operations) {
    // A group without an address is not yet anywhere.
    const isEarly = operation.op === "createGroup" && operation.group === undefined;
    if (isEarly || before.happened.has(id)) continue;
    const next = after(before, id, operation);
    found.push(next, ...allOrders(next, operations));
  }
  return found;
}

function after({ state, happened }: Candidate, id: number, operation: Operation): Candidate {
  const step = applyOperation(state, operation);
  return { state: step.state, happened: new Map([...happened, [id, step]]) };
}

function withOrdinals(state: State, { roster }: Step, ordinals: Record<string, number>): State {
  const account = roster && state.accounts[roster.account];
  if (roster === undefined || account === undefined) return state;
  const devices = account.devices.map((device) => {
    const isSame = roster.devices.some((one) => one.number === device.number && one.since === device.since);
    return isSame ? { ...device, ordinal: ordinals[device.number] ?? device.ordinal } : device;
  });
  return { ...state, accounts: { ...state.accounts, [roster.account]: { ...account, devices } } };
}

function asFound(state: State, found: FoundState): State {
  const accounts = Object.entries(state.accounts).map(([name, account]) => {
    const ordinals = new Map(found.accounts[name]?.devices);
    const devices = account.devices.map((device) => ({
      ...device,
      ordinal: ordinals.get(device.number) ?? device.ordinal,
    }));
    return [name, { ...account, devices }] as const;
  });
  const queues = Object.keys(state.queues).map((device) => [device, found.queues[device] ?? []] as const);
  return {
    ...state,
    accounts: Object.fromEntries(accounts),
    queues: Object.fromEntries(queues),
    notices: found.notices.map(({ to, group, payload }) => noticeText(to, group, bodyOf(payload))),
  };
}

function ordinalOf(state: State, device: string): number {
  const devices = state.accounts[accountIn(device)]?.devices ?? [];
  return devices.find(({ number }) => device.endsWith(`000${number}`))?.ordinal ?? 0;
}

const bodies = new Map<string, Record<string, unknown>>();

/** A notice's payload as docs/protocol.md says it, byte strings in hex. */
function bodyOf(payload: string): Record<string, unknown> {
  const known = bodies.get(payload);
  if (known !== undefined) return known;
  const fields = new Reader(Buffer.from(payload, "hex")).value() as Map<string, Value>;
  const body = Object.fromEntries(
    [...fields].map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString("hex") : value]),
  );
  if (bodies.size > 10_000) bodies.clear();
  bodies.set(payload, body);
  return body;
}

const texts = new WeakMap<object, string>();

/** The same text for the same content, whatever the order in which a table was filled. Objects never change here. */
function canonical(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "nothing";
  const known = texts.get(value);
  if (known !== undefined) return known;
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const text = Array.isArray(value)
    ? `[${value.map(canonical).join()}]`
    : `{${fields
        .map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`)
        .sort()
        .join()}}`;
  texts.set(value, text);
  return text;
}

/** Two candidates of one name allow the same. */
function nameOf({ state, happened }: Candidate, open: ReadonlyMap<number, Question>): string {
  const steps = [...happened].filter(([id]) => open.has(id)).sort(([a], [b]) => a - b);
  const parts = steps.map(([id, { outcome, roster }]) => [id, outcome, roster?.devices ?? null]);
  return `${canonical({ ...state, notices: [] })} ${[...state.notices].sort().join()} ${canonical(parts)}`;
}

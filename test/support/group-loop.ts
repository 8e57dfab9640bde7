/**
 * Groups across three brands whose members change rosters and write, while the node is killed again and again. Every
 * device is the SDK's; what it is told and given goes into a history, which the judge of groups looks at.
 */
import { setTimeout as delay } from "node:timers/promises";
import { toHex } from "../../src/base/bytes.js";
import { type Client, createClient, InterlineError, type Role } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { checkDirectory } from "../../src/store/store.js";
import type { SeededRandom } from "../demo/seeded-random.js";
import { type GroupHistoryEvent, judgeGroups } from "./group-judge.js";
import { NodeUnderTest } from "./node-under-test.js";
import { scanOutput } from "./output-scan.js";
import { tell } from "./scale.js";
import { untilOrStill } from "./until.js";
import { World, type WorldDevice } from "./world.js";

export interface GroupLoopOptions {
  readonly random: SeededRandom;
  readonly kills: number;
  readonly build?: string;
}

const TURN_MS = 4;
const STILL_MS = 4_000;
/** Short, so that kills fall into spills too. */
const SPILL_AGE_MS = 120;
const MEMBERS_MAX = 9;
/** What may be said to somebody who does not know yet what others have done, or while the node is away. */
const FORGIVEN = [
  "groupStale",
  "groupUnknown",
  "groupBusy",
  "notFound",
  "notAllowed",
  "memberAlready",
  "memberUnknown",
  "lastAdmin",
  "connectionLost",
  "overloaded",
  "clientClosed",
];

type Told = Extract<GroupHistoryEvent, { op: "event" }>;

/** A group as the latest event that anybody was given makes it: who may be asked to do something next. */
interface View {
  readonly group: string;
  /** Events that somebody was given before anybody was given the one before. */
  readonly early: Map<number, Told>;
  version: number;
  members: { account: string; role: Role }[];
}

interface Person {
  readonly device: WorldDevice;
  readonly account: string;
  readonly client: Client;
}

class GroupLoop {
  readonly history: GroupHistoryEvent[] = [];
  readonly views = new Map<string, View>();
  readonly people: Person[] = [];
  /** By account: those with whom it has asked for a group that nobody has seen yet. */
  readonly #creating = new Map<string, readonly string[]>();
  readonly #created = new Set<string>();
  readonly #random: SeededRandom;
  readonly #accounts: readonly string[];
  underWay = 0;

  constructor(world: World, port: number, random: SeededRandom) {
    this.#random = random;
    this.#accounts = world.accounts.map(({ address }) => toHex(address));
    for (const device of world.devices) this.people.push(this.#person(world, port, device));
  }

  #person(world: World, port: number, device: WorldDevice): Person {
    const client = createClient({
      url: `ws://127.0.0.1:${port}`,
      token: () => world.token(device),
      transport: nodeTransport(),
      backOff: { baseMs: 10, capMs: 60 },
      attemptsMax: 1_000,
    });
    client.on("group", ({ event, group, version, by, accounts, role, promoted }) => {
      const told = {
        op: "event" as const,
        device: device.address,
        group: toHex(group),
        version,
        event,
        by: toHex(by),
        accounts: accounts.map(toHex),
        role,
        promoted: promoted && toHex(promoted),
      };
      if (event === "created") this.#made(told.group, told.by);
      this.history.push(told);
      this.#follow(told);
    });
    client.on("envelope", ({ sender, id, group }) => {
      if (group === undefined) throw new Error("only groups are written to");
      this.history.push({
        op: "message",
        device: device.address,
        group: toHex(group.address),
        version: group.version,
        sender: toHex(sender),
        id: toHex(id),
      });
    });
    return { device, account: toHex(device.account.address), client };
  }

  #made(group: string, by: string): void {
    if (this.views.has(group)) return;
    const accounts = this.#creating.get(by) ?? [];
    this.history.push({ op: "created", group, by, accounts });
    const members = [by, ...accounts].map((account, i) => ({
      account,
      role: i === 0 ? ("admin" as const) : ("member" as const),
    }));
    this.views.set(group, { group, early: new Map(), version: 1, members });
  }

  #follow(told: Told): void {
    const view = this.views.get(told.group);
    view?.early.set(told.version, told);
    for (;;) {
      const next = view?.early.get(view.version + 1);
      if (view === undefined || next === undefined) return;
      this.#apply(view, next);
    }
  }

  #apply(view: View, told: Told): void {
    view.version = told.version;
    view.early.delete(told.version);
    if (told.event === "added")
      view.members.push(...told.accounts.map((account) => ({ account, role: "member" as const })));
    else if (told.event === "role")
      for (const member of view.members) {
        if (told.accounts.includes(member.account)) member.role = told.role as Role;
      }
    else view.members = view.members.filter(({ account }) => !told.accounts.includes(account));
    for (const member of view.members) if (member.account === told.promoted) member.role = "admin";
  }

  /** A few things that people do at once. */
  act(): void {
    if (this.underWay > 60) return;
    const views = [...this.views.values()].filter(({ members }) => members.length > 0);
    if (views.length < 3 || this.#random.fraction() < 0.01) this.#create();
    for (let i = 0; i < 3 && views.length > 0; i++) this.#write(this.#random.pick(views));
    if (views.length > 0 && this.#random.fraction() < 0.35) this.#change(this.#random.pick(views));
  }

  #devicesOf(account: string): Person[] {
    return this.people.filter((person) => person.account === account);
  }

  #some(accounts: readonly string[], most: number): string[] {
    const left = [...accounts];
    const chosen: string[] = [];
    for (let n = this.#random.between(1, most); n > 0 && left.length > 0; n--) {
      const one = this.#random.pick(left);
      left.splice(left.indexOf(one), 1);
      chosen.push(one);
    }
    return chosen;
  }

  /** Each account makes one group at most, so that whoever is told of one knows whose it is. */
  #create(): void {
    const by = this.#random.pick(this.people);
    if (this.#created.has(by.account)) return;
    this.#created.add(by.account);
    const others = this.#some(
      this.#accounts.filter((account) => account !== by.account),
      5,
    );
    this.#creating.set(by.account, others);
    this.#do(async () => {
      const { group } = await by.client.groups.create(others.map((account) => Buffer.from(account, "hex")));
      this.#made(toHex(group), by.account);
    });
  }

  #write({ group, version, members }: View): void {
    const { client, device } = this.#random.pick(this.#devicesOf(this.#random.pick(members).account));
    this.#do(async () => {
      const shared = Buffer.alloc(this.#random.between(1, 300), 7);
      const { id } = await client.sendToGroup({ group: Buffer.from(group, "hex"), version, shared });
      this.history.push({ op: "receipted", device: device.address, group, version, id: toHex(id) });
    });
  }

  #change(view: View): void {
    const group = Buffer.from(view.group, "hex");
    const { version } = view;
    const member = this.#random.pick(view.members);
    const { client, account } = this.#random.pick(this.#devicesOf(member.account));
    const inside = view.members.map((one) => one.account);
    const outside = this.#accounts.filter((one) => !inside.includes(one));
    const draw = this.#random.fraction();
    const others = inside.filter((one) => one !== account);
    if (draw < 0.08) {
      this.#ask(view.group, "left", [account], () => client.groups.leave(group));
      return;
    }
    const kind = draw < 0.5 ? "added" : draw < 0.8 ? "removed" : "role";
    const from = kind === "added" ? outside : kind === "removed" ? others : inside;
    if (from.length === 0 || (kind === "added" && inside.length >= MEMBERS_MAX)) return;
    const chosen = this.#some(from, 3);
    const change = { group, version, accounts: chosen.map((one) => Buffer.from(one, "hex")) };
    this.#ask(view.group, kind, chosen, () => {
      if (kind === "added") return client.groups.add(change);
      if (kind === "removed") return client.groups.remove(change);
      return client.groups.setRole({ ...change, role: this.#random.fraction() < 0.6 ? "admin" : "member" });
    });
  }

  #ask(
    group: string,
    event: string,
    accounts: readonly string[],
    ask: () => Promise<{ readonly version: number }>,
  ): void {
    this.#do(async () => {
      const { version } = await ask();
      this.history.push({ op: "changed", group, version, change: `${event} ${accounts.join(",")}` });
    });
  }

  #do(work: () => Promise<void>): void {
    this.underWay++;
    work()
      .catch((error: unknown) => {
        if (!(error instanceof InterlineError) || !FORGIVEN.includes(error.code)) throw error;
      })
      .finally(() => {
        this.underWay--;
      });
  }

  /** What the node says of every group that has members. */
  async noteRosters(): Promise<void> {
    for (const { group, members } of this.views.values()) {
      const [first] = members;
      if (first === undefined) continue;
      const [asker] = this.#devicesOf(first.account);
      const address = Buffer.from(group, "hex");
      // For whoever is taken for a member and is none there is no group, which is not what the events make.
      const nothing = { version: 0, members: [] };
      const roster = (await asker?.client.groups.get(address).catch(() => nothing)) ?? nothing;
      this.history.push({
        op: "roster",
        group,
        version: roster.version,
        members: roster.members.map(({ account, role }) => ({ account: toHex(account), role })),
      });
    }
  }
}

export async function groupLoop(options: GroupLoopOptions) {
  const { random, kills, build } = options;
  const world = new World({ brands: 3, accountsPerBrand: 4, devices: (i) => (i % 3 === 0 ? 2 : 1) });
  const node = await NodeUnderTest.create({
    world,
    limits: { spillAgeMs: SPILL_AGE_MS },
    ...(build === undefined ? {} : { build }),
  });
  const loop = new GroupLoop(world, node.port, random);
  const devices = world.devices.map(({ address }) => address);
  try {
    await node.start();
    await Promise.all(loop.people.map(({ client }) => client.connect()));
    for (let kill = 0; kill < kills; kill++) {
      const killAtMs = performance.now() + random.between(80, 700);
      while (performance.now() < killAtMs) {
        loop.act();
        await delay(TURN_MS);
      }
      await node.kill();
      if (build === undefined) await expectSound(node);
      await node.start();
      await untilOrStill(
        () => loop.people.every(({ client }) => client.state === "live"),
        () => 0,
        20_000,
      );
    }
    await untilOrStill(
      () => loop.underWay === 0 && judgeGroups(loop.history, devices).faults.length === 0,
      () => loop.history.length,
      STILL_MS,
    );
    await loop.noteRosters();
    await Promise.all(loop.people.map(({ client }) => client.close()));
    await (build === undefined ? node.stop() : node.kill());
    scanOutput(node, world);
    const { history } = loop;
    const changes = history.filter(({ op }) => op === "changed").length;
    const verdict = judgeGroups(history, devices);
    tell(
      `${kills} kills, ${loop.views.size} groups, ${changes} changes answered, ${verdict.events} events, ` +
        `${verdict.messages} messages receipted, ${history.filter(({ op }) => op === "message").length} delivered`,
    );
    return { ...verdict, changes, history };
  } finally {
    await Promise.all(loop.people.map(({ client }) => client.close()));
    await node.discard();
  }
}

/** What the kill left on disk, before anybody repairs it. */
async function expectSound(node: NodeUnderTest): Promise<void> {
  const { findings } = await checkDirectory(node.dataDirectory);
  const bad = findings.filter(({ table }) => table === "groups" || table === "outbox");
  if (bad.length > 0) throw new Error(`after a kill: ${JSON.stringify(bad)}`);
}

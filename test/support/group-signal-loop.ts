/**
 * People of whom one takes the others into a group and out of it, while all of them, members or not, write signals to it and the
 * node is killed. What is right is kept here, by what was asked and answered alone:
 *
 *   leaked   a signal came although, from before it was written, its writer or its reader was certainly no member
 *   echoed   … or came to the device that wrote it
 *   lost     a change that was answered is not in the roster after a kill
 *   missed   after everything was answered, a member never got one of another's
 *
 * A change that a kill cut off may hold or not: until the roster was read nothing is certain of it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { NodeUnderTest } from "./node-under-test.js";
import { tell } from "./scale.js";
import { Stranger } from "./stranger.js";
import { bin, frames, map, uint } from "./stranger-codec.js";
import { until } from "./until.js";
import type { World, WorldDevice } from "./world.js";

export type GroupWrong = "leaked" | "echoed" | "lost" | "missed";

const ADDRESS_BYTES = 18;
const CHANGES_PER_ROUND = 10;
/** So that a member who was taken out is there, and out, while others write. */
const CHANGE_EVERY_MS = 15;

interface Person {
  readonly device: WorldDevice;
  state: "in" | "out" | "unknown";
  sinceMs: number;
  stranger: Stranger | undefined;
  /** Names of those from whom a signal came since the last look. */
  readonly heard: Set<string>;
}

interface Written {
  readonly from: Person;
  readonly atMs: number;
}

export class GroupSignalLoop {
  readonly wrongs: GroupWrong[] = [];
  kills = 0;
  changes = 0;
  signals = 0;
  heard = 0;
  readonly #node: NodeUnderTest;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #admin: Person;
  readonly #others: readonly Person[];
  #group: Buffer | undefined;
  #version = 0;
  readonly #written = new Map<string, Written>();

  constructor(options: { node: NodeUnderTest; world: World; random: SeededRandom }) {
    this.#node = options.node;
    this.#world = options.world;
    this.#random = options.random;
    const people = options.world.devices.map((device): Person => {
      return { device, state: "out", sinceMs: 0, stranger: undefined, heard: new Set() };
    });
    const [admin, ...others] = people;
    if (admin === undefined) throw new Error("a group has an admin");
    this.#admin = admin;
    this.#others = others;
  }

  get #people(): Person[] {
    return [this.#admin, ...this.#others];
  }

  /** Changes and signals, a kill in the middle of them, and a look at what is left. */
  async round(isKilled: boolean): Promise<void> {
    await this.#connectAll();
    this.#group ??= await this.#create();
    const isDone = { value: false };
    const writing = this.#writeUntil(isDone);
    const changing = this.#change();
    if (isKilled) {
      await delay(this.#random.between(5, CHANGES_PER_ROUND * CHANGE_EVERY_MS));
      await this.#node.kill();
      this.kills++;
    }
    await changing;
    isDone.value = true;
    await writing;
    if (isKilled) {
      await this.#node.start();
      await this.#connectAll();
    }
    await this.#readRoster();
    await this.#lookAtAll();
  }

  async #connectAll(): Promise<void> {
    await Promise.all(
      this.#people.map(async (person) => {
        if (person.stranger?.isOpen) return;
        let isLive = false;
        person.stranger = await Stranger.open({
          port: this.#node.port,
          token: this.#world.token(person.device),
          live: () => {
            isLive = true;
          },
          groupSignal: (_, group, payload) => this.#hear(person, group, payload.toString()),
        });
        await until("it is live", () => isLive);
      }),
    );
  }

  async #create(): Promise<Buffer> {
    const answer = await this.#ask("groups.create", { accounts: bin(new Uint8Array()) });
    if (answer?.code !== 0) throw new Error("no group could be made");
    this.#version = answer.body.get("version") as number;
    this.#admin.state = "in";
    return answer.body.get("group") as Buffer;
  }

  /** undefined when the connection ended before the answer. */
  async #ask(method: string, body: Record<string, Buffer>) {
    const { stranger } = this.#admin;
    if (!stranger?.isOpen) return undefined;
    const answer = await Promise.race([stranger.request(method, map(body)), stranger.ended]);
    return "body" in answer ? answer : undefined;
  }

  async #change(): Promise<void> {
    for (let i = 0; i < CHANGES_PER_ROUND; i++) {
      const person = this.#random.pick(this.#others);
      const isComing = person.state !== "in";
      person.state = "unknown";
      const answer = await this.#ask(isComing ? "groups.add" : "groups.remove", {
        group: bin(this.#group as Buffer),
        version: uint(this.#version),
        accounts: bin(person.device.account.address),
      });
      if (answer === undefined) return;
      if (answer.code !== 0) throw new Error(`a change was answered with ${answer.code}`);
      this.changes++;
      this.#version = answer.body.get("version") as number;
      person.state = isComing ? "in" : "out";
      person.sinceMs = performance.now();
      await delay(CHANGE_EVERY_MS);
    }
  }

  async #writeUntil(isDone: { readonly value: boolean }): Promise<void> {
    while (!isDone.value) {
      for (const from of this.#people) this.#write(from);
      await delay(3);
    }
  }

  #write(from: Person): void {
    if (!from.stranger?.isOpen) return;
    const name = `signal ${++this.signals}`;
    this.#written.set(name, { from, atMs: performance.now() });
    from.stranger.write(frames.groupEphemeral(this.#group as Buffer, Buffer.from(name)));
  }

  #hear(person: Person, group: string, name: string): void {
    const written = this.#written.get(name);
    if (written === undefined || group !== this.#group?.toString("hex"))
      throw new Error("a signal that nobody wrote to this group");
    const { from, atMs } = written;
    this.heard++;
    person.heard.add(from.device.account.address.toString("hex"));
    if (from === person) this.wrongs.push("echoed");
    if ([from, person].some(({ state, sinceMs }) => state === "out" && sinceMs < atMs))
      this.wrongs.push("leaked");
  }

  async #readRoster(): Promise<void> {
    const answer = await this.#ask("groups.get", { group: bin(this.#group as Buffer) });
    const accounts = answer?.body.get("accounts") as Buffer;
    this.#version = answer?.body.get("version") as number;
    const members = new Set<string>();
    for (let at = 0; at < accounts.length; at += ADDRESS_BYTES)
      members.add(accounts.toString("hex", at, at + ADDRESS_BYTES));
    for (const person of this.#others) {
      const state = members.has(person.device.account.address.toString("hex")) ? "in" : "out";
      if (person.state !== "unknown" && person.state !== state) this.wrongs.push("lost");
      if (person.state === state) continue;
      person.state = state;
      person.sinceMs = performance.now();
    }
  }

  /** Nothing changes now: whoever is a member hears everybody who is. What is written before all are told may be dropped. */
  async #lookAtAll(): Promise<void> {
    for (const { heard } of this.#people) heard.clear();
    const members = this.#people.filter(({ state }) => state === "in");
    const expected = members.length - 1;
    const isAllThere = (): boolean => members.every(({ heard }) => heard.size === expected);
    for (let i = 0; i < 100 && !isAllThere(); i++) {
      for (const from of this.#people) this.#write(from);
      await delay(20);
    }
    if (!isAllThere()) {
      tell(`of ${expected} members there were heard ${members.map(({ heard }) => heard.size)}`);
      this.wrongs.push("missed");
    }
    this.#written.clear();
  }
}

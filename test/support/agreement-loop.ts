/**
 * Accounts that agree with each other and take it back, all at once, while each writes signals to each and the node is killed.
 * What is right is kept here, by what was asked and answered alone:
 *
 *   leaked   a signal came although, from before it was written, one side had certainly not agreed
 *   seen     … or an account was told to be here to such a one
 *   lost     an agreement that was answered is not in its giver's list after a kill, or one that was taken back is
 *   missed   after everything was answered, a signal did not come where both have agreed
 *   stale    … or what somebody was told last of another's presence is not how it is
 *
 * A change that a kill cut off may hold or not: until the list was read it is certain of neither.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { NodeUnderTest } from "./node-under-test.js";
import { tell } from "./scale.js";
import { Stranger } from "./stranger.js";
import { frames } from "./stranger-codec.js";
import { until } from "./until.js";
import type { World, WorldDevice } from "./world.js";

export type Wrong = "leaked" | "seen" | "lost" | "missed" | "stale";

const COVERS_ALL = 3;
/** For what was on its way when something was answered to be read by this process. */
const READ_MS = 250;
const CHANGES_PER_ROUND = 24;

/** What one account has given to another, as far as is certain. */
interface Given {
  state: "given" | "not" | "unknown";
  /** When it came to be so. */
  sinceMs: number;
}

interface Person {
  readonly device: WorldDevice;
  readonly given: Map<Person, Given>;
  stranger: Stranger | undefined;
  /** Accounts that it was last told to be here, in hex. */
  readonly here: Set<string>;
  /** Texts of signals that came since the last look. */
  readonly heard: Set<string>;
}

/** `{ account, covers }` as the body of contacts.allow and contacts.withdraw. */
export function agreementBody(account: Uint8Array, covers: number): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.of(0xa0 + value.length), Buffer.from(value)]);
  return Buffer.concat([
    Buffer.of(0x82),
    text("account"),
    Buffer.of(0xc4, account.length),
    account,
    text("covers"),
    Buffer.of(covers),
  ]);
}

const EMPTY_BODY = Buffer.of(0x80);

export class AgreementLoop {
  readonly wrongs: Wrong[] = [];
  kills = 0;
  changes = 0;
  signals = 0;
  heard = 0;
  readonly #node: NodeUnderTest;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #people: readonly Person[];
  #written = 0;
  /** By the text of a signal: when it was written. */
  readonly #writtenMs = new Map<
    string,
    { readonly from: Person; readonly to: Person; readonly atMs: number }
  >();

  constructor(options: { node: NodeUnderTest; world: World; random: SeededRandom }) {
    this.#node = options.node;
    this.#world = options.world;
    this.#random = options.random;
    this.#people = options.world.devices.map((device) => ({
      device,
      given: new Map(),
      stranger: undefined,
      here: new Set(),
      heard: new Set(),
    }));
    for (const one of this.#people)
      for (const other of this.#people) if (other !== one) one.given.set(other, { state: "not", sinceMs: 0 });
  }

  /** Changes and signals, a kill in the middle of them, and a look at what is left. */
  async round(isKilled: boolean): Promise<void> {
    await Promise.all(this.#people.map((person) => this.#connect(person)));
    const changing = Promise.all(this.#people.map((person) => this.#change(person)));
    const isDone = { value: false };
    const writing = this.#writeUntil(isDone);
    if (isKilled) {
      await delay(this.#random.between(5, 120));
      await this.#node.kill();
      this.kills++;
    } else await changing;
    isDone.value = true;
    await writing;
    if (isKilled) {
      await this.#node.start();
      await Promise.all(this.#people.map((person) => this.#connect(person)));
    }
    await Promise.all(this.#people.map((person) => this.#readList(person)));
    await this.#lookAtAll();
  }

  async #connect(person: Person): Promise<void> {
    if (person.stranger?.isOpen) return;
    person.here.clear();
    let isLive = false;
    const stranger = await Stranger.open({
      port: this.#node.port,
      token: this.#world.token(person.device),
      live: () => {
        isLive = true;
      },
      signal: (_, payload) => this.#hear(person, payload.toString()),
      presence: (online, offline) => this.#see(person, online, offline),
    });
    await until("it is live", () => isLive);
    person.stranger = stranger;
    await stranger.request("presence.watch", EMPTY_BODY);
  }

  /** Some changes one after the other; then, all at once, the opposite of what there is with everybody. */
  async #change(person: Person): Promise<void> {
    for (let i = 0; i < CHANGES_PER_ROUND / this.#people.length; i++)
      await this.#changeOne(person, this.#random.pick(this.#people), this.#random.fraction() < 0.6);
    const opposites = this.#inPairs(person).map((other) =>
      this.#changeOne(person, other, person.given.get(other)?.state !== "given"),
    );
    await Promise.all(opposites);
  }

  /** It is certain only when it is answered. */
  async #changeOne(person: Person, other: Person, isGiving: boolean): Promise<void> {
    const { stranger } = person;
    const given = person.given.get(other);
    if (given === undefined || !stranger?.isOpen) return;
    given.state = "unknown";
    const method = isGiving ? "contacts.allow" : "contacts.withdraw";
    const body = agreementBody(other.device.account.address, COVERS_ALL);
    const answer = await Promise.race([stranger.request(method, body), stranger.ended]);
    if (!("body" in answer)) return;
    if (answer.code !== 0) throw new Error(`${method} was answered with ${answer.code}`);
    this.changes++;
    given.state = isGiving ? "given" : "not";
    given.sinceMs = performance.now();
  }

  /**
   * Everybody else, in the order of a tournament of which these are the players: when the k-th of one person is another, the k-th
   * of that other is the one. A transaction of the node has one change of each account at most, and so both sides' of a pair.
   */
  #inPairs(person: Person): Person[] {
    const last = this.#people.length - 1;
    const own = this.#people.indexOf(person);
    return Array.from({ length: last }, (_, game) => {
      const opponent = own === last ? (game * (this.#people.length / 2)) % last : (game + last - own) % last;
      return this.#people[opponent === own ? last : opponent] as Person;
    });
  }

  async #writeUntil(isDone: { readonly value: boolean }): Promise<void> {
    while (!isDone.value) {
      for (const from of this.#people) this.#writeToAll(from);
      await delay(4);
    }
  }

  #writeToAll(from: Person): void {
    const others = this.#people.filter((person) => person !== from);
    if (!from.stranger?.isOpen) return;
    const atMs = performance.now();
    const parties = others.map((to) => {
      const text = `signal ${++this.#written}`;
      this.#writtenMs.set(text, { from, to, atMs });
      this.signals++;
      return { account: to.device.account.address, devices: [{ device: 1, payload: Buffer.from(text) }] };
    });
    from.stranger.write(frames.ephemeral(parties));
  }

  #hear(person: Person, text: string): void {
    const written = this.#writtenMs.get(text);
    if (written === undefined || written.to !== person) throw new Error("a signal that nobody wrote to it");
    person.heard.add(text);
    this.heard++;
    if (this.#mayNot(written.from, person, written.atMs)) this.wrongs.push("leaked");
  }

  #see(person: Person, online: readonly string[], offline: readonly string[]): void {
    for (const account of offline) person.here.delete(account);
    for (const account of online) {
      person.here.add(account);
      const other = this.#people.find(({ device }) => device.account.address.toString("hex") === account);
      if (other === undefined) throw new Error("presence of somebody who is not in this world");
      if (this.#mayNot(other, person, performance.now() - READ_MS)) this.wrongs.push("seen");
    }
  }

  /** Whether one side had certainly not agreed, from before then until now. */
  #mayNot(one: Person, other: Person, atMs: number): boolean {
    return [one.given.get(other), other.given.get(one)].some(
      (given) => given?.state === "not" && given.sinceMs < atMs,
    );
  }

  async #readList(person: Person): Promise<void> {
    const answer = await person.stranger?.request("contacts.list", EMPTY_BODY);
    const accounts = answer?.body.get("accounts") as Buffer;
    for (const [other, given] of person.given) {
      const isThere = indexOfAccount(accounts, other.device.account.address) >= 0;
      if (given.state !== "unknown" && isThere !== (given.state === "given")) this.wrongs.push("lost");
      given.state = isThere ? "given" : "not";
      given.sinceMs = performance.now();
    }
  }

  /** Nothing changes now: everything that may come does, and nothing else. */
  async #lookAtAll(): Promise<void> {
    for (const { heard } of this.#people) heard.clear();
    const first = this.#written;
    for (const from of this.#people) this.#writeToAll(from);
    const expected = [...this.#writtenMs].filter(
      ([text, { from, to }]) => Number(text.split(" ")[1]) > first && this.#isAgreed(from, to),
    );
    const missed = () => expected.filter(([text, { to }]) => !to.heard.has(text));
    const stale = () =>
      this.#people.flatMap((person) =>
        [...person.given.keys()]
          .map((other) => ({ other, isAgreed: this.#isAgreed(person, other) }))
          .filter(
            ({ other, isAgreed }) =>
              person.here.has(other.device.account.address.toString("hex")) !== isAgreed,
          ),
      );
    const isAllThere = (): boolean => missed().length + stale().length === 0;
    await until("everything that was agreed to is there", isAllThere, 5_000).catch(() => {
      const shouldBe = stale().map(({ isAgreed }) => (isAgreed ? "here" : "not here"));
      tell(`${missed().length} of ${expected.length} signals missed; presence that should be: ${shouldBe}`);
      if (missed().length > 0) this.wrongs.push("missed");
      if (shouldBe.length > 0) this.wrongs.push("stale");
    });
    await delay(READ_MS / 5);
    this.#writtenMs.clear();
  }

  #isAgreed(one: Person, other: Person): boolean {
    return one.given.get(other)?.state === "given" && other.given.get(one)?.state === "given";
  }
}

/** The place of an account in a list of addresses. */
function indexOfAccount(accounts: Buffer, account: Buffer): number {
  for (let at = 0; at < accounts.length; at += account.length)
    if (accounts.subarray(at, at + account.length).equals(account)) return at / account.length;
  return -1;
}

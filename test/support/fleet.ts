/**
 * All devices of a world against one node: registers them, keeps those
 * connected that want to be, makes them send, and knows what is still to come.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import { Actor, goodHabits, type Habits } from "./actor.js";
import { type Addressee, History } from "./history.js";
import { type End, Stranger } from "./stranger.js";
import { untilOrStill } from "./until.js";
import type { World, WorldAccount, WorldDevice } from "./world.js";

export interface FleetOptions {
  readonly world: World;
  readonly port: number;
  readonly random: SeededRandom;
  readonly habits?: (device: WorldDevice, index: number) => Habits;
  /** The devices that are actors; all of the world without. */
  readonly devices?: readonly WorldDevice[];
}

const RECONNECT_MS = 15;
/** Begins every payload, and exists nowhere else. */
export const PAYLOAD_CANARY = Buffer.from(`canary:${randomBytes(9).toString("base64url")}:`);

export class Fleet {
  readonly world: World;
  readonly port: number;
  readonly history = new History();
  readonly actors: readonly Actor[];
  /** Sends answered by a receipt so far. */
  receipts = 0;
  /** Entries that gaps told of so far. */
  removed = 0;
  /** How connections ended that had been welcomed, by what the node said. */
  readonly ends: End[] = [];
  readonly random: SeededRandom;
  readonly #versions = new Map<WorldAccount, number>();
  readonly #missing = new Set<string>();
  #connections = 0;
  #isHeld = false;
  #isOver = false;
  #mark: { readonly receipts: number; readonly reached: () => void } | undefined;

  constructor({ world, port, random, habits = () => goodHabits, devices = world.devices }: FleetOptions) {
    this.world = world;
    this.port = port;
    this.random = random;
    this.actors = devices.map((device, i) => new Actor(this, device, habits(device, i)));
  }

  /** Brings every device of the world into its account's roster, and learns the versions. */
  async register(): Promise<void> {
    for (const device of this.world.devices) {
      const stranger = await Stranger.open({ port: this.port, token: this.world.token(device) });
      stranger.drop();
      await stranger.ended;
    }
    await this.#learnRosters();
  }

  async #learnRosters(): Promise<void> {
    const [actor] = this.actors;
    if (actor === undefined) return;
    await actor.connect();
    for (const account of this.world.accounts) {
      const roster = await actor.stranger?.roster(account.address);
      if (roster?.devices.length !== account.devices.length) throw new Error("the roster is not complete");
      this.#versions.set(account, roster.version);
    }
    actor.drop();
    await actor.gone();
  }

  rosterVersion(account: WorldAccount): number {
    return this.#versions.get(account) as number;
  }

  nextConnection(): number {
    return ++this.#connections;
  }

  payload(bytes: number): Buffer {
    return Buffer.concat([PAYLOAD_CANARY, randomBytes(Math.max(8, bytes - PAYLOAD_CANARY.length))]);
  }

  /** Connects all who want to be, again and again, until `release`. */
  async keepConnected(): Promise<void> {
    while (!this.#isOver) {
      if (!this.#isHeld) {
        const due = this.actors.filter((actor) => actor.isWanted && actor.stranger === undefined);
        await Promise.all(due.map((actor) => actor.connect()));
      }
      await delay(RECONNECT_MS);
    }
  }

  /** Nobody connects from now on. */
  hold(): void {
    this.#isHeld = true;
  }

  resume(): void {
    this.#isHeld = false;
  }

  /** Resolves when no socket is left: everything that the node ever said has been heard. */
  async silence(): Promise<void> {
    await Promise.all(this.actors.map((actor) => actor.gone()));
  }

  wantAll(): void {
    for (const actor of this.actors) actor.isWanted = true;
  }

  release(): void {
    this.#isOver = true;
    for (const actor of this.actors) {
      actor.isWanted = false;
      actor.drop();
    }
  }

  /** Calls back within the receipt that makes it `count` from now. */
  atReceipts(count: number, reached: () => void): void {
    this.#mark = { receipts: this.receipts + count, reached };
  }

  forgetMark(): void {
    this.#mark = undefined;
  }

  receipted(): void {
    const mark = this.#mark;
    if (mark === undefined || this.receipts < mark.receipts) return;
    this.#mark = undefined;
    mark.reached();
  }

  sent(sender: string, id: string, to: readonly Addressee[]): void {
    this.history.note({ op: "sent", device: sender, id, to });
    for (const { device } of to) this.#missing.add(`${device} ${sender} ${id}`);
  }

  arrived(device: string, sender: string, id: string): void {
    this.#missing.delete(`${device} ${sender} ${id}`);
  }

  connectionEnded(end: End): void {
    this.ends.push(end);
  }

  get unansweredCount(): number {
    return this.actors.reduce((sum, actor) => sum + actor.unanswered.length, 0);
  }

  get missingCount(): number {
    return this.#missing.size;
  }

  /**
   * Waits until every send is answered and everything has arrived, as far as it
   * comes: when nothing has moved for `stillMs` the judge has the word.
   */
  async drain(stillMs = 10_000): Promise<void> {
    this.wantAll();
    for (const actor of this.actors) actor.reform();
    await untilOrStill(
      () => this.unansweredCount === 0 && this.#missing.size === 0,
      () => this.history.events.length,
      stillMs,
    );
  }

  /** A few sends of whoever has room for them. */
  pump(options: { readonly perTurn: number; readonly unansweredMax: number }): void {
    const { accounts } = this.world;
    for (let i = 0; i < options.perTurn; i++) {
      const actor = this.random.pick(this.actors);
      if (actor.unanswered.length >= options.unansweredMax) continue;
      const to = new Set<WorldAccount>();
      for (let n = this.random.between(1, 2); n > 0; n--) to.add(this.random.pick(accounts));
      if (actor.device.account.devices.length === 1) to.delete(actor.device.account);
      if (to.size === 0) continue;
      actor.send([...to], this.#payloadBytes());
    }
  }

  #payloadBytes(): number {
    const draw = this.random.fraction();
    if (draw < 0.9) return this.random.between(40, 700);
    return draw < 0.995 ? this.random.between(700, 9_000) : this.random.between(9_000, 98_304);
  }
}

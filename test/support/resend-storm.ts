/**
 * Many sends, a good part of them repetitions of earlier ones at any distance,
 * to devices served by the SDK, while acks are lost, applications crash,
 * connections are cut and the node is killed.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { Actor, Sending } from "./actor.js";
import { Fleet } from "./fleet.js";
import type { History } from "./history.js";
import { NodeUnderTest } from "./node-under-test.js";
import { scanOutput } from "./output-scan.js";
import { SdkDevice } from "./sdk-device.js";
import { untilOrStill } from "./until.js";
import { World, type WorldAccount } from "./world.js";

export interface ResendStormOptions {
  readonly random: SeededRandom;
  readonly sends: number;
  readonly repeats: number;
  readonly kills: number;
  readonly build?: string;
}

export interface StormResult {
  readonly history: History;
  readonly repeats: number;
  readonly appCrashes: number;
  readonly cuts: number;
  /** Devices whose application the SDK serves. */
  readonly applies: ReadonlySet<string>;
}

/** Accounts per brand: the first ones send, the others receive. */
const SENDING = 6;
const RECEIVING = 4;
const BURST = 40;
const UNANSWERED_MAX = 1_500;
const STILL_MS = 10_000;
/** One in so many sends is remembered for a late repetition; the latest are all. */
const REMEMBERED = 5;

export async function resendStorm(options: ResendStormOptions): Promise<StormResult> {
  const world = new World({ brands: 2, accountsPerBrand: SENDING + RECEIVING, devices: () => 1 });
  const node = await NodeUnderTest.create({
    world,
    ...(options.build === undefined ? {} : { build: options.build }),
  });
  await node.start();
  const storm = new ResendStorm(world, node, options);
  try {
    return await storm.run();
  } finally {
    storm.fleet.release();
    await node.discard();
  }
}

class ResendStorm {
  readonly fleet: Fleet;
  readonly #world: World;
  readonly #node: NodeUnderTest;
  readonly #options: ResendStormOptions;
  readonly #random: SeededRandom;
  readonly #targets: readonly WorldAccount[];
  readonly #applications: readonly SdkDevice[];
  readonly #sdkSender: SdkDevice;
  readonly #remembered = new Map<Actor, Sending[]>();
  #sent = 0;
  #repeated = 0;
  #cuts = 0;

  constructor(world: World, node: NodeUnderTest, options: ResendStormOptions) {
    this.#world = world;
    this.#node = node;
    this.#options = options;
    this.#random = options.random;
    const perBrand = SENDING + RECEIVING;
    const isSending = (account: WorldAccount) => world.accounts.indexOf(account) % perBrand < SENDING;
    const senders = world.accounts.filter(isSending);
    this.#targets = world.accounts.filter((account) => !isSending(account));
    const [sdkSender, ...others] = senders.flatMap((account) => account.devices);
    if (sdkSender === undefined) throw new Error("the world has senders");
    this.fleet = new Fleet({ world, port: node.port, random: this.#random, devices: others });
    this.#sdkSender = new SdkDevice(this.fleet, sdkSender);
    this.#applications = this.#targets.flatMap((account) =>
      account.devices.map((device) => new SdkDevice(this.fleet, device)),
    );
  }

  async run(): Promise<StormResult> {
    const { fleet } = this;
    await fleet.register();
    for (const application of [...this.#applications, this.#sdkSender]) application.start();
    fleet.wantAll();
    const connecting = fleet.keepConnected();
    const killAt = Array.from({ length: this.#options.kills }, (_, i) =>
      Math.floor(((i + 0.3 + 0.4 * this.#random.fraction()) * this.#options.sends) / this.#options.kills),
    );
    while (this.#sent < this.#options.sends) {
      this.#turn();
      if (killAt[0] !== undefined && this.#sent >= killAt[0]) {
        killAt.shift();
        await this.#kill();
      }
      await delay(0);
    }
    await untilOrStill(
      () => fleet.unansweredCount + this.#sdkSender.unreceiptedCount + fleet.missingCount === 0,
      () => fleet.history.events.length,
      this.#options.build === undefined ? STILL_MS : 2_000,
    );
    for (const application of [...this.#applications, this.#sdkSender]) await application.end();
    fleet.release();
    await connecting;
    scanOutput(this.#node, this.#world, fleet.history);
    return {
      history: fleet.history,
      repeats: this.#repeated,
      appCrashes: this.#applications.reduce((sum, { crashes }) => sum + crashes, 0),
      cuts: this.#cuts,
      applies: new Set(this.#applications.map(({ device }) => device.address)),
    };
  }

  #turn(): void {
    const share = this.#options.repeats / this.#options.sends;
    for (const actor of this.fleet.actors) {
      if (actor.unanswered.length > UNANSWERED_MAX) continue;
      for (let i = 0; i < BURST; i++) {
        if (this.#random.fraction() < share) this.#repeat(actor);
        this.#send(actor);
      }
    }
    if (this.#sdkSender.unreceiptedCount < BURST) {
      this.#sdkSender.send(this.#random.pick(this.#targets), 64);
      this.#sent++;
    }
    this.#disturb();
  }

  #send(actor: Actor): void {
    const sending = actor.send([this.#random.pick(this.#targets)], 48);
    this.#sent++;
    const remembered = this.#remembered.get(actor) ?? [];
    this.#remembered.set(actor, remembered);
    if (this.#sent % REMEMBERED === 0) remembered.push(sending);
  }

  /** One of the latest, or any of the old ones. */
  #repeat(actor: Actor): void {
    const remembered = this.#remembered.get(actor) ?? [];
    const sending =
      this.#random.fraction() < 0.5 || remembered.length === 0
        ? actor.unanswered.at(-1)
        : this.#random.pick(remembered);
    if (sending !== undefined && actor.repeat(sending)) this.#repeated++;
  }

  #disturb(): void {
    if (this.#random.fraction() < 0.3) {
      const application = this.#random.pick(this.#applications);
      if (this.#random.fraction() < 0.5) application.crash();
      else application.cut();
      this.#cuts++;
    }
    if (this.#random.fraction() < 0.1) this.#random.pick(this.fleet.actors).drop();
  }

  async #kill(): Promise<void> {
    const { fleet } = this;
    fleet.hold();
    await this.#node.kill();
    await fleet.silence();
    await untilOrStill(
      () => [...this.#applications, this.#sdkSender].every((application) => !application.isConnected),
      () => 0,
      STILL_MS,
    );
    fleet.history.note({ op: "killed", how: "random" });
    await this.#node.start();
    fleet.resume();
  }
}

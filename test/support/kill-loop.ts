/**
 * A node that is killed again and again while a fleet of devices sends and
 * receives: at random moments, right after a receipt, in the middle of a write, and
 * while it is still recovering from the kill before. Returns the history; the
 * judge says what it is worth.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { Actor } from "./actor.js";
import { Fleet } from "./fleet.js";
import type { History } from "./history.js";
import { NodeUnderTest } from "./node-under-test.js";
import { scanOutput } from "./output-scan.js";
import { tell } from "./scale.js";
import { World } from "./world.js";

export interface KillLoopOptions {
  readonly random: SeededRandom;
  readonly kills: number;
  readonly build?: string;
  /** Of a broken build: stops early when the history is bad already. Asked after every kill. */
  readonly isEnough?: (history: History) => boolean;
}

/** Where a kill falls. */
const moments = ["random", "receipt", "write", "recovery"] as const;
type Moment = (typeof moments)[number];

const TURN_MS = 4;
/** What a broken build has lost is not waited for long. */
const CONTROL_STILL_MS = 1_500;
/** Short, so that kills fall into spills too. */
const SPILL_AGE_MS = 120;

export async function killLoop(options: KillLoopOptions): Promise<{ history: History; receipts: number }> {
  const { random, kills } = options;
  const world = new World({
    brands: 3,
    accountsPerBrand: 6,
    devices: (account) => (account % 3 === 0 ? 2 : 1),
  });
  const node = await NodeUnderTest.create({
    world,
    limits: { spillAgeMs: SPILL_AGE_MS },
    ...(options.build === undefined ? {} : { build: options.build }),
  });
  const fleet = new Fleet({ world, port: node.port, random, habits: habitsOf });
  try {
    await node.start();
    await fleet.register();
    await node.stop();
    const loop = new KillLoop(node, fleet, random);
    const connecting = fleet.keepConnected();
    const counts = new Map<Moment, number>();
    for (let kill = 0; kill < kills; kill++) {
      const moment = kill < moments.length ? (moments[kill] as Moment) : random.pick(moments);
      counts.set(moment, (counts.get(moment) ?? 0) + 1);
      await loop.runAndKill(moment);
      if (options.isEnough?.(fleet.history)) break;
    }
    await node.start();
    fleet.resume();
    await fleet.drain(options.build === undefined ? undefined : CONTROL_STILL_MS);
    fleet.release();
    await connecting;
    await fleet.silence();
    await (options.build === undefined ? node.stop() : node.kill());
    tell(`kills: ${[...counts].map(([moment, count]) => `${count} × ${moment}`).join(", ")}`);
    scanOutput(node, world, fleet.history);
    return { history: fleet.history, receipts: fleet.receipts };
  } finally {
    fleet.release();
    await node.discard();
  }
}

/** All kinds of devices the protocol allows. */
function habitsOf(_device: unknown, index: number) {
  return {
    acks: (["prompt", "late", "prompt", "never"] as const)[index % 4] as "prompt",
    resume: (["acked", "taken", "nothing"] as const)[index % 3] as "acked",
    windowEntries: index % 5 === 0 ? 3 : 0,
  };
}

class KillLoop {
  readonly #node: NodeUnderTest;
  readonly #fleet: Fleet;
  readonly #random: SeededRandom;
  /** Devices that stay away, and for how many more runs. */
  readonly #away = new Map<Actor, number>();

  constructor(node: NodeUnderTest, fleet: Fleet, random: SeededRandom) {
    this.#node = node;
    this.#fleet = fleet;
    this.#random = random;
  }

  /** One run of the node, from its start to its kill. */
  async runAndKill(moment: Moment): Promise<void> {
    this.#sendSomeAway();
    if (moment === "recovery") await this.#killWhileItOpens();
    else {
      const strace = moment === "write" ? killAtWrite(this.#random.between(3, 160)) : undefined;
      this.#node.launch(strace === undefined ? {} : { strace });
      const isReady = (await this.#node.saysOrEnds("ready")) !== undefined;
      if (isReady) await this.#loadUntilKilled(moment);
    }
    this.#fleet.hold();
    await this.#fleet.silence();
    this.#fleet.history.note({ op: "killed", how: moment });
  }

  async #killWhileItOpens(): Promise<void> {
    this.#node.launch();
    await this.#node.saysOrEnds("opening");
    await delay(this.#random.between(0, 250));
    await this.#node.kill();
  }

  async #loadUntilKilled(moment: Moment): Promise<void> {
    const node = this.#node;
    let isGone = false;
    const ended = node.ended.then(() => {
      isGone = true;
    });
    if (moment === "receipt") {
      this.#fleet.atReceipts(this.#random.between(1, 1200), () => void node.kill());
    }
    const killAtMs = performance.now() + this.#random.between(30, moment === "random" ? 700 : 5_000);
    this.#fleet.resume();
    while (!isGone) {
      this.#fleet.pump({ perTurn: 14, unansweredMax: 40 });
      this.#flap();
      await Promise.race([delay(TURN_MS), ended]);
      if (performance.now() > killAtMs && !isGone) await node.kill();
    }
    this.#fleet.forgetMark();
  }

  /** Now and then a connection goes down; its device comes back by itself. */
  #flap(): void {
    if (this.#random.fraction() > 0.04) return;
    this.#random.pick(this.#fleet.actors).drop();
  }

  #sendSomeAway(): void {
    for (const actor of this.#fleet.actors) {
      const left = (this.#away.get(actor) ?? 0) - 1;
      if (left > 0) this.#away.set(actor, left);
      else {
        this.#away.delete(actor);
        if (this.#random.fraction() < 0.2) this.#away.set(actor, this.#random.between(1, 6));
      }
      actor.isWanted = !this.#away.has(actor);
    }
  }
}

/** Kills the node as it enters its n-th write or flush of the data file. */
function killAtWrite(n: number): string[] {
  const calls = "pwrite64,pwritev,fdatasync";
  return [
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "-e",
    `trace=${calls}`,
    "-e",
    `inject=${calls}:signal=SIGKILL:when=${n}`,
  ];
}

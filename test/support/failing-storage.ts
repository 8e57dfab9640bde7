/**
 * A node whose storage fails: one system call on its data file, the n-th of its
 * kind on its thread since the start of the process, returns an error (and, if
 * told so, every later one too). A fleet sends and receives meanwhile, part of it away, so
 * that what is lost would be missed. After each failure the node is started again
 * on the same data.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import { Fleet } from "./fleet.js";
import type { History } from "./history.js";
import { NodeUnderTest, type RunEnd } from "./node-under-test.js";
import { scanOutput } from "./output-scan.js";
import type { End } from "./stranger.js";
import { earlyReceipts, readTrace, traceArguments } from "./trace.js";
import { World } from "./world.js";

export interface Injection {
  readonly call: "fdatasync" | "pwrite64,pwritev";
  readonly error: "EIO" | "ENOSPC";
  readonly when: number;
  readonly isLasting: boolean;
}

/** What one failure led to. */
export interface Outcome {
  readonly injection: Injection;
  /** The node never became ready. */
  readonly atOpen: boolean;
  readonly end: RunEnd;
  /** From the failed call to the end of the process; undefined when no call failed. */
  readonly exitMs: number | undefined;
  readonly receipts: number;
  /** Receipts that left before what they cover was durable. */
  readonly early: number;
  /** How the connections ended that were there. */
  readonly ends: readonly End[];
  /** Its output. */
  readonly wrote: string;
  /** lmdb wrote beyond its own memory, so that malloc may have ended the process, or the process itself, at any moment since. */
  readonly hasOverrun: boolean;
}

/** A node that goes on after this long with a failed storage does not stop by itself. */
const GOES_ON_MS = 8_000;
const TURN_MS = 4;
/** LMDB's. */
const DATA_FILE = "/store.mdb>";
/** Short, so that failures fall into spills too. */
const SPILL_AGE_MS = 150;

/**
 * The lmdb package composes a text about a page of the data file that could not be
 * written in memory for 100 characters (mdb_page_flush); malloc gives 104, the zero
 * at the end among them. Numbers from the stack make the text longer, or not. One
 * that nobody got to read counts as too long.
 */
function overran(wrote: string): boolean {
  const [text] = /Attempting to write page .*/.exec(wrote) ?? [];
  return text === undefined || text.length > 103;
}

export class FailingStorage {
  readonly fleet: Fleet;
  readonly outcomes: Outcome[] = [];
  readonly #world: World;
  readonly #node: NodeUnderTest;
  readonly #random: SeededRandom;
  readonly #connecting: Promise<void>;

  static async create(
    random: SeededRandom,
    {
      build,
      spillAgeMs = SPILL_AGE_MS,
      isServed = false,
    }: { build?: string; spillAgeMs?: number; isServed?: boolean } = {},
  ): Promise<FailingStorage> {
    const world = new World({ brands: 2, accountsPerBrand: 4, devices: () => 1 });
    const node = await NodeUnderTest.create({
      world,
      limits: { spillAgeMs },
      isServed,
      ...(build === undefined ? {} : { build }),
    });
    await node.start();
    const fleet = new Fleet({ world, port: node.port, random });
    await fleet.register();
    await node.stop();
    return new FailingStorage(world, node, fleet, random);
  }

  private constructor(world: World, node: NodeUnderTest, fleet: Fleet, random: SeededRandom) {
    this.#world = world;
    this.#node = node;
    this.#random = random;
    this.fleet = fleet;
    fleet.hold();
    this.#connecting = fleet.keepConnected();
  }

  /** One run of the node, from its start to its end by the failure, or by a kill when it goes on. */
  async fail(injection: Injection, goesOnMs = GOES_ON_MS): Promise<Outcome> {
    const { fleet } = this;
    const file = join(this.#node.dataDirectory, "trace");
    const { call, error, when, isLasting } = injection;
    const inject = `inject=${call}:error=${error}:when=${when}${isLasting ? "+" : ""}`;
    // Without anybody there, nothing would be written that could fail.
    const present = this.#random.pick(fleet.actors);
    for (const actor of fleet.actors) actor.isWanted = actor === present || this.#random.fraction() < 0.6;
    const receiptsBefore = fleet.receipts;
    const outputBefore = this.#node.output.length;
    fleet.ends.length = 0;
    this.#node.launch({ strace: [...traceArguments(file), "-e", inject] });
    const ended = this.#node.ended;
    const isReady = (await this.#node.saysOrEnds("ready")) !== undefined;
    if (isReady) await this.#load(goesOnMs);
    const end = await ended;
    const endedS = Date.now() / 1000;
    fleet.hold();
    await fleet.silence();
    fleet.history.note({ op: "killed", how: `${error} at ${call} ${when}` });
    const trace = await readTrace(file);
    rmSync(file);
    const { failures } = trace;
    const [failed] = failures;
    const latest = fleet.actors.map((actor) => actor.latest);
    const wrote = this.#node.output.slice(outputBefore);
    const outcome = {
      injection,
      atOpen: !isReady,
      end,
      exitMs: failed === undefined ? undefined : (endedS - failed.atS) * 1000,
      receipts: fleet.receipts - receiptsBefore,
      early: earlyReceipts(trace, new Map(latest.map(({ port, ids }) => [port, ids]))).length,
      ends: [...fleet.ends],
      wrote,
      hasOverrun:
        call !== "fdatasync" &&
        failures.some(({ descriptor }) => descriptor.includes(DATA_FILE)) &&
        overran(wrote),
    };
    this.outcomes.push(outcome);
    return outcome;
  }

  /** A last run without failures, in which everything must come. */
  async settle(isBroken = false): Promise<History> {
    await this.#node.start();
    this.fleet.resume();
    await this.fleet.drain(isBroken ? 1_500 : undefined);
    this.fleet.release();
    await this.#connecting;
    if (!isBroken) scanOutput(this.#node, this.#world, this.fleet.history);
    return this.fleet.history;
  }

  async discard(): Promise<void> {
    this.fleet.release();
    await this.#node.discard();
  }

  async #load(goesOnMs: number): Promise<void> {
    let isGone = false;
    const ended = this.#node.ended.then(() => {
      isGone = true;
    });
    const untilMs = performance.now() + goesOnMs;
    this.fleet.resume();
    while (!isGone) {
      this.fleet.pump({ perTurn: 4, unansweredMax: 25 });
      await Promise.race([delay(TURN_MS), ended]);
      if (performance.now() > untilMs && !isGone) await this.#node.kill();
    }
  }
}

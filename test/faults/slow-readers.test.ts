/**
 * B6: a device that reads slowly, or not at all, costs at most its cap and slows
 * nobody; what it missed comes later.
 *
 * Quiet and slow phases alternate in one run, with the same traffic: in a quiet phase
 * every device reads, in a slow one a tenth of them does not, and another tenth reads
 * a little now and then. The node holds its promise when the middle of the
 * phases' ratios of p99 delivery is within the bound, or when the slow phases'
 * p99 is so short that a ratio of two such numbers says nothing.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Actor, goodHabits } from "../support/actor.js";
import { agreementBody } from "../support/agreement-loop.js";
import { Fleet } from "../support/fleet.js";
import { describeFaults, judge } from "../support/judge.js";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { frames } from "../support/stranger-codec.js";
import { until } from "../support/until.js";
import { World } from "../support/world.js";

const DEVICES = amount({ short: 1_000, full: 10_000 });
const PHASE_MS = amount({ short: 3_000, full: 20_000 });
const ROUNDS = 3;
const RATIO_MAX = 2;
/** Below this a ratio measures the machine. */
const P99_SHORT_MS = 25;
/** What a slow device may cost: its window, and what the addon and the kernel need beside it. */
const COST_BYTES = 512 * 1024;
/** What may wait in the node for one socket (limits.backpressureBytesMax). */
const BACKPRESSURE_BYTES = 4 << 20;
/** The journal's tail is reserved at start, and becomes memory as traffic passes through it (limits.journalTailBytes). */
const TAIL_BYTES = 64 << 20;
const TURN_MS = 5;
const PER_TURN = 12;
const PAYLOAD_BYTES = 900;
const PAYLOAD_BYTES_TO_SLOW = 4_000;
/** Every second slow device grants so little that its window is full at once. */
const SMALL_WINDOW = 4;
/** So many of the stalled ones are sent more signals than any socket takes. */
const FLOODED = DEVICES / 125;
const SIGNALS = 70;
const SIGNAL_BYTES = 96 * 1024;
/** In one turn of this process: about what the node hands to one connection in one turn of its own. */
const SIGNALS_PER_TURN = 2;
/** What an agreement to signals covers. */
const COVERS_SIGNALS = 1;
/** Short, so that those whose sockets are full are evicted within a phase. */
const STALL_MS = 1_500;
const TRICKLE_MS = 250;

interface Phase {
  readonly p99Ms: number;
  readonly delivered: number;
}

class SlowReaders {
  readonly fleet: Fleet;
  readonly #node: NodeUnderTest;
  readonly #healthy: readonly Actor[];
  readonly #stalled: readonly Actor[];
  readonly #trickling: readonly Actor[];
  readonly #sentMs = new Map<string, number>();
  #latenciesMs: number[] = [];

  constructor(node: NodeUnderTest, fleet: Fleet) {
    this.#node = node;
    this.fleet = fleet;
    const tenth = fleet.actors.length / 10;
    this.#stalled = fleet.actors.slice(0, tenth);
    this.#trickling = fleet.actors.slice(tenth, 2 * tenth);
    this.#healthy = fleet.actors.slice(2 * tenth);
    for (const actor of this.#healthy) actor.heard = (id) => this.#arrived(id);
  }

  /** Traffic for a while; every second envelope is for one of the devices that may be slow. */
  async phase(isSlow: boolean): Promise<Phase> {
    const { fleet } = this;
    this.#latenciesMs = [];
    const endMs = performance.now() + PHASE_MS;
    let trickleMs = 0;
    if (isSlow) {
      for (const actor of [...this.#stalled, ...this.#trickling]) actor.stranger?.socket.pause();
    }
    let floods = 0;
    while (performance.now() < endMs) {
      for (let i = 0; i < PER_TURN; i++) this.#send(i % 2 === 0);
      if (isSlow) this.#flood(floods++);
      if (isSlow && performance.now() > trickleMs) {
        trickleMs = performance.now() + TRICKLE_MS;
        for (const actor of this.#trickling) readALittle(actor);
      }
      await delay(TURN_MS);
    }
    for (const actor of [...this.#stalled, ...this.#trickling]) readOn(actor);
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b);
    await until("the receipts", () => fleet.unansweredCount === 0);
    return { p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN, delivered: sorted.length };
  }

  /** Memory of the node's own. */
  get memoryBytes(): number {
    const status = readFileSync(`/proc/${this.#node.pid}/status`, "latin1");
    return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  /** Those who are flooded have agreed to it. */
  async agree(): Promise<void> {
    const pairs = this.#stalled.slice(0, FLOODED).flatMap((flooded, i) => {
      const sender = this.#healthy[i] as Actor;
      return [
        [flooded, sender],
        [sender, flooded],
      ] as const;
    });
    const answers = await Promise.all(
      pairs.map(([by, { device }]) =>
        by.stranger?.request("contacts.allow", agreementBody(device.account.address, COVERS_SIGNALS)),
      ),
    );
    expect(answers.map((answer) => answer?.code)).toEqual(pairs.map(() => 0));
  }

  /** Signals are not held back by a window: they fill the sockets themselves, one after the other. */
  #flood(turn: number): void {
    const i = Math.floor((turn * SIGNALS_PER_TURN) / SIGNALS);
    if (i >= FLOODED) return;
    const { device } = this.#stalled[i] as Actor;
    const devices = [{ device: device.number, payload: Buffer.alloc(SIGNAL_BYTES) }];
    for (let n = 0; n < SIGNALS_PER_TURN; n++)
      this.#healthy[i]?.stranger?.write(frames.ephemeral([{ account: device.account.address, devices }]));
  }

  #send(isForHealthy: boolean): void {
    const { random } = this.fleet;
    const sender = random.pick(this.#healthy);
    const to = random.pick(isForHealthy ? this.#healthy : [...this.#stalled, ...this.#trickling]);
    if (to === sender || !sender.isConnected) return;
    const { id } = sender.send([to.device.account], isForHealthy ? PAYLOAD_BYTES : PAYLOAD_BYTES_TO_SLOW);
    if (isForHealthy) this.#sentMs.set(id.toString("hex"), performance.now());
  }

  #arrived(id: string): void {
    const sentMs = this.#sentMs.get(id);
    if (sentMs === undefined) return;
    this.#sentMs.delete(id);
    this.#latenciesMs.push(performance.now() - sentMs);
  }
}

/** What is there now, and no more. Where nothing is there, the one who waits for it does not wait twice. */
function readALittle({ stranger }: Actor): void {
  stranger?.socket.off("data", pauseAfter).once("data", pauseAfter).resume();
}

/** Whatever comes: nobody waits any more in order to stop. */
function readOn({ stranger }: Actor): void {
  stranger?.socket.off("data", pauseAfter).resume();
}

function pauseAfter(this: Socket): void {
  this.pause();
}

async function slowReaders(rounds: number, build?: string) {
  const world = new World({ brands: 1, accountsPerBrand: DEVICES, devices: () => 1 });
  const limits = { stallMs: STALL_MS, signalsBurst: 1_000_000 };
  const node = await NodeUnderTest.create({ world, limits, ...(build === undefined ? {} : { build }) });
  const habits = (_: unknown, i: number) => ({
    ...goodHabits,
    windowEntries: i < DEVICES / 5 && i % 2 === 0 ? SMALL_WINDOW : 0,
  });
  const fleet = new Fleet({ world, port: node.port, random: seededRandom("slow readers"), habits });
  try {
    await node.start();
    await fleet.register();
    fleet.wantAll();
    const connecting = fleet.keepConnected();
    await until("all are there", () => fleet.actors.every((actor) => actor.isLive));
    const readers = new SlowReaders(node, fleet);
    await readers.agree();
    // Warms up, and takes the memory that traffic itself takes.
    await readers.phase(false);
    const beforeBytes = readers.memoryBytes;
    let grownBytes = 0;
    const quiet: Phase[] = [];
    const slow: Phase[] = [];
    for (let round = 0; round < rounds; round++) {
      quiet.push(await readers.phase(false));
      slow.push(await readers.phase(true));
      grownBytes = Math.max(grownBytes, readers.memoryBytes - beforeBytes);
    }
    await fleet.drain(build === undefined ? undefined : 2_000);
    const evictions = fleet.ends.length;
    fleet.release();
    await connecting;
    if (build === undefined) scanOutput(node, world);
    return { quiet, slow, grownBytes, evictions, verdict: judge(fleet.history.events, { gaps: "none" }) };
  } finally {
    fleet.release();
    await node.discard();
  }
}

const p99s = (phases: readonly Phase[]) => phases.map(({ p99Ms }) => p99Ms.toFixed(1)).join(", ");
const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

/** How much longer healthy deliveries take beside slow readers; at most 1 when they are short anyway. */
function slowdown(quiet: readonly Phase[], slow: readonly Phase[]): number {
  const ratio = middle(slow.map(({ p99Ms }, i) => p99Ms / (quiet[i] as Phase).p99Ms));
  return middle(slow.map(({ p99Ms }) => p99Ms)) < P99_SHORT_MS ? Math.min(1, ratio) : ratio;
}

test("devices that read slowly or not at all slow nobody, cost little, and miss nothing", async () => {
  const { quiet, slow, grownBytes, evictions, verdict } = await slowReaders(ROUNDS);
  tell(
    `${DEVICES} devices, a tenth stalled and a tenth trickling: p99 of the others ${p99s(quiet)} ms quiet, ` +
      `${p99s(slow)} ms slow; memory grew by ${(grownBytes / 2 ** 20).toFixed(1)} MiB; ` +
      `${evictions} evictions; ${verdict.sent} sends, ${verdict.faults.length} faults`,
  );
  expect(slowdown(quiet, slow)).toBeLessThanOrEqual(RATIO_MAX);
  expect(grownBytes).toBeLessThan((DEVICES / 5) * COST_BYTES + FLOODED * BACKPRESSURE_BYTES + TAIL_BYTES);
  expect(evictions).toBeGreaterThan(0);
  expect(describeFaults(verdict)).toBe("");
});

test("control: a node that waits for slow readers is caught", async () => {
  const mutant = buildMutant("slowAwaited");
  try {
    const { quiet, slow } = await slowReaders(1, mutant.build);
    tell(`slowAwaited: p99 ${p99s(quiet)} ms quiet, ${p99s(slow)} ms slow`);
    expect(slowdown(quiet, slow)).toBeGreaterThan(RATIO_MAX);
  } finally {
    mutant.remove();
  }
});

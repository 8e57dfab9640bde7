/**
 * The kill loop of recovered-state.test.ts: recovery-child.ts on a directory, killed at a random moment (also while it
 * opens, and, by its own hand, in a callback of its store or some turns after a question), judged, checked, and started
 * again on what is there. Several directories at once; the first fault ends all of them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkDirectory } from "../../src/store/store.js";
import type { SeededRandom } from "../demo/seeded-random.js";
import { compiledProgram } from "./compiled.js";
import { RecoveryJudge } from "./recovery-judge.js";
import type { ChildOrders, KillOrder } from "./recovery-operations.js";

const LANES = 4;
/** As long as that after its state was read, or after its start. */
const RUN_MS_MAX = 60;
const START_MS_MAX = 250;
/** A child that does not end itself is ended. */
const PATIENCE_MS = 2_000;
/** Groups that are gone are asked for as long as they are among the last so many. */
const GROUPS_ASKED = 60;
/** So many of the last sends are made again: within what must be known, and beyond it. */
const SENDS_REPEATED = 100;

export interface RecoveryOutcome {
  readonly faults: readonly string[];
  readonly kills: number;
  /** Kills before the state was read. */
  readonly killsAtOpen: number;
  readonly answers: number;
  /** Questions that a kill left open, and how many of them had happened. */
  readonly open: number;
  readonly happened: number;
  readonly drained: number;
}

interface LoopOptions {
  readonly random: SeededRandom;
  readonly kills: number;
  /** The build of a mutant. */
  readonly build?: string;
}

interface Moment {
  readonly order: KillOrder;
  /** Until it is killed from outside; counted from its start, or from when its state was read. */
  readonly afterMs: number;
  readonly isFromStart: boolean;
}

export async function recoveryLoop({ random, kills, build }: LoopOptions): Promise<RecoveryOutcome> {
  const lanes = Array.from({ length: LANES }, () => new Lane(build));
  let left = kills;
  const isOver = (): boolean => left <= 0 || lanes.some(({ judge }) => judge.faults.length > 0);
  try {
    await Promise.all(
      lanes.map(async (lane) => {
        while (!isOver()) {
          left--;
          await lane.killOnce(random);
        }
        if (lane.judge.faults.length === 0) await lane.endCalmly(random);
      }),
    );
    const sum = (of: (lane: Lane) => number): number => lanes.reduce((total, lane) => total + of(lane), 0);
    return {
      faults: lanes.flatMap(({ judge }) => judge.faults),
      kills: sum((lane) => lane.kills),
      killsAtOpen: sum((lane) => lane.killsAtOpen),
      answers: sum(({ judge }) => judge.answers),
      open: sum(({ judge }) => judge.cut.open),
      happened: sum(({ judge }) => judge.cut.happened),
      drained: sum(({ judge }) => judge.drained),
    };
  } finally {
    for (const lane of lanes) lane.discard();
  }
}

function momentOf(random: SeededRandom): Moment {
  const chance = random.fraction();
  const outside = { order: {}, isFromStart: false, afterMs: random.fraction() * RUN_MS_MAX };
  if (chance < 0.4) return outside;
  if (chance < 0.5) return { ...outside, isFromStart: true, afterMs: random.fraction() * START_MS_MAX };
  const afterMs = PATIENCE_MS;
  if (chance < 0.75) return { order: { callbacks: random.between(1, 30) }, isFromStart: false, afterMs };
  const order = { asks: random.between(1, 60), turns: random.between(0, 6) };
  return { order, isFromStart: false, afterMs };
}

class Lane {
  readonly directory = mkdtempSync(join(tmpdir(), "interline-recovery-"));
  readonly judge = new RecoveryJudge();
  kills = 0;
  killsAtOpen = 0;
  readonly #program: string;
  #isMade = false;

  constructor(build: string | undefined) {
    const program = "recovery-child";
    this.#program =
      build === undefined ? compiledProgram(program) : join(build, "test/support", `${program}.js`);
  }

  async killOnce(random: SeededRandom): Promise<void> {
    const isRead = await this.#run(momentOf(random), random);
    this.kills++;
    if (!isRead) this.killsAtOpen++;
    this.judge.killed();
    // Before its first open has returned, a directory is nothing that could be checked.
    this.#isMade ||= isRead;
    if (!this.#isMade) return;
    const { findings } = await checkDirectory(this.directory);
    for (const { detail } of findings) this.judge.take(["bad", `interline check: ${detail}`]);
  }

  /** What the last kill has left is read once more. */
  async endCalmly(random: SeededRandom): Promise<void> {
    await this.#run({ order: {}, isFromStart: false, afterMs: 0 }, random);
  }

  /** True when the child came so far as to read its state. */
  async #run({ order, afterMs, isFromStart }: Moment, random: SeededRandom): Promise<boolean> {
    const groups = [...this.judge.groups].slice(-GROUPS_ASKED);
    const seed = random.between(1, 2 ** 31);
    const sends = this.judge.sends.slice(-SENDS_REPEATED);
    const orders: ChildOrders = { seed, clockMs: this.judge.clockMs + 1, groups, sends, kill: order };
    const child = spawn(process.execPath, [this.#program, this.directory, JSON.stringify(orders)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let timer = isFromStart ? killIn(child, afterMs) : undefined;
    let isRead = false;
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (more: string) => {
      // What stands behind the last line's end is a line that the kill may cut.
      const lines = `${text}${more}`.split("\n");
      text = lines.pop() as string;
      for (const line of lines) {
        const said: unknown[] = JSON.parse(line);
        if (said[0] === "found") {
          isRead = true;
          timer ??= killIn(child, afterMs);
        }
        if (this.judge.faults.length === 0) this.judge.take(said);
      }
    });
    const [[code, signal]] = await Promise.all([once(child, "exit"), once(child, "close")]);
    clearTimeout(timer);
    if (signal !== "SIGKILL") this.judge.take(["bad", `the child ended by itself: ${code ?? signal}`]);
    return isRead;
  }

  discard(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function killIn(child: ChildProcess, ms: number): NodeJS.Timeout {
  return setTimeout(() => child.kill("SIGKILL"), ms);
}
